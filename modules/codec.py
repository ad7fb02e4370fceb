"""Frozen values as JSON and back, one form for keys, configs and cards.

A dataclass becomes {"is": its class, field: ...}, an enum {"is": its class, "name": ...}, a class
{"class": its name} with the frozen values that it holds, a tuple a list. A class is known by its
bare name, wherever its file lies. Reading makes no class but those handed to it.
"""

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

Form = Mapping[str, Any]
"""A value's form, kept by those who may lack its class: a field with `metadata={"form": True}`."""

PLAIN = (bool, int, float, str, type(None))
"""What JSON has a form for; of such, two of one form have one type and one `repr`."""

About = Callable[[type], dict[str, Any]]


def nothing(kind: type) -> dict[str, Any]:
    """What there is to say of a class on a card: no more than its name."""
    return {}


def encode(value: Any, about: About = nothing, *, defaults: bool = True) -> Any:
    """`value` as JSON. TypeError for what has no form.

    Fields with `metadata={"key": False}` are left out: they say where on a machine data lies.
    about: what else is said of a class.  defaults: False leaves out a field that holds its default,
    unless `about` has something to say of a class in it.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, tuple):
        return [encode(item, about, defaults=defaults) for item in value]
    if isinstance(value, Enum):
        return {"is": type(value).__name__, "name": value.name}
    if isinstance(value, type):
        held = {k: x for k, x in vars(value).items() if dataclasses.is_dataclass(x)}
        forms = {k: encode(x, about, defaults=defaults) for k, x in held.items()}
        return {"class": value.__name__, **forms, **about(value)}
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"{value!r} of type {type(value).__name__} has no form as JSON")
    kind: type = type(value)
    forms = {}
    for field in fields(kind):
        held = getattr(value, field.name)
        if field.metadata.get("form"):
            forms[field.name] = held
        elif defaults or not _is_default(field, held, about):
            forms[field.name] = encode(held, about, defaults=defaults)
    return {"is": kind.__name__, **forms, **about(kind)}


@functools.cache  # asked of each value of each config: a sixth of what keys cost
def fields(kind: type) -> "tuple[Field[Any], ...]":
    """The fields that say what a value is, rather than where on a machine it finds its data."""
    return tuple(x for x in dataclasses.fields(kind) if x.metadata.get("key", True))


def same(one: Any, other: Any) -> bool:
    """Whether two forms are alike to the letter; 1, 1.0 and True, which are equal, are not."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _is_default(field: "Field[Any]", held: Any, about: About) -> bool:
    if field.default is not MISSING:
        default = field.default
    elif field.default_factory is not MISSING:
        default = field.default_factory()
    else:
        return False
    if isinstance(default, PLAIN) and isinstance(held, PLAIN):
        return type(held) is type(default) and repr(held) == repr(default)
    return same(encode(default), encode(held, about))


def decode(form: Any, kinds: Iterable[type], where: str) -> Any:
    """The value of a form, an absent field having its default. ValueError, naming `where`, for a
    class not among `kinds`, a field that it does not know or lacks, or a value of another type."""
    known: dict[str, Any] = {kind.__name__: kind for kind in kinds}
    if isinstance(form, list):
        return tuple(decode(item, known.values(), where) for item in form)
    if not isinstance(form, dict):
        return form
    kind = known.get(str(form.get("is")))
    if kind is None:
        raise ValueError(f"{where}: no such kind of value as {form.get('is')!r}")
    given = {name: x for name, x in form.items() if name != "is"}
    if issubclass(kind, Enum):
        if given.keys() != {"name"} or given["name"] not in kind.__members__:
            raise ValueError(f"{where}: {given} names no {kind.__name__}")
        return kind[given["name"]]
    kept = {field.name for field in dataclasses.fields(kind) if field.metadata.get("form")}
    given |= {n: decode(x, known.values(), where) for n, x in given.items() if n not in kept}
    _check(kind, given, where)
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {kind.__name__}: {error}") from error


def _check(kind: type, given: dict[str, Any], where: str) -> None:
    """Every field of its type, and every one there that has no default. ValueError otherwise."""
    there, hints = {field.name: field for field in fields(kind)}, get_type_hints(kind)
    needed = {n for n, f in there.items() if f.default is f.default_factory is MISSING}
    absent, unknown = needed - given.keys(), given.keys() - there.keys()
    if absent or unknown:
        lacks = f"lacks {sorted(absent)}, does not know {sorted(unknown)}"
        raise ValueError(f"{where}: {kind.__name__} {lacks}")
    wrong = [f"{name} = {x!r}" for name, x in given.items() if not _fits(x, hints[name])]
    if wrong:
        raise ValueError(f"{where}: of another type, {kind.__name__}: {', '.join(wrong)}")


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in arguments)
    if origin is tuple:
        each = arguments if arguments[-1] is not ... else arguments[:1] * len(value)
        return isinstance(value, tuple) and len(value) == len(each) and all(map(_fits, value, each))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else origin or hint)
