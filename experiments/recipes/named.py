"""Dials that are turned by a person, by name: a wrong name or type is answered in one line."""

import dataclasses
import difflib
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from experiments.recipes.scale import ScaleT, turned


def turned_by_name(scale: ScaleT, dials: Mapping[str, object]) -> ScaleT:
    """`scale` with dials turned. TypeError for a dial that there is not or a value that is no such
    thing, ValueError for one without sense."""
    for name, value in dials.items():
        _check(scale, name, value)
    return turned(scale, dials)


def _check(scale: Any, name: str, value: object) -> None:
    group, path = scale, str(name).split(".")
    for i, part in enumerate(path):
        fields = dataclasses.fields(group) if dataclasses.is_dataclass(group) else ()
        if part not in (names := [field.name for field in fields]):
            raise TypeError(_unknown(scale, name, ".".join(path[:i]), names))
        holder, group = group, getattr(group, part)
    hint = get_type_hints(type(holder))[path[-1]]
    if not _fits(value, hint, group):
        now = type(group).__name__ if dataclasses.is_dataclass(group) else f"{group!r}"
        wanted = hint.__name__ if isinstance(hint, type) else str(hint)
        raise TypeError(f"{name} cannot be {value!r}: it is {now}, and takes {wanted}")


def _unknown(scale: Any, name: str, group: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, every(scale), n=1, cutoff=0.5)
    ends = [dial for dial in every(scale) if dial.split(".")[-1] == name.split(".")[-1]]
    meant = f"; did you mean {' or '.join((ends or near)[:2])}?" if ends or near else ""
    there = f": {group or 'a scale'} has {', '.join(names)}" if names else f": {group} is one value"
    return f"there is no dial {name!r}{there}{meant}"


def every(value: Any, group: str = "") -> list[str]:
    """The names of all dials of a scale, groups of them among these."""
    names = list[str]()
    for field in dataclasses.fields(value):
        name, held = f"{group}{field.name}", getattr(value, field.name)
        names.append(name)
        if dataclasses.is_dataclass(held) and not isinstance(held, type):
            names += every(held, f"{name}.")
    return names


def _fits(value: object, hint: Any, now: object) -> bool:
    """Whether a value may stand where `hint` does. Of what cannot be told, what is a value of the
    kind that is there now, or another frozen value in the place of one."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, each, now) for each in get_args(hint))
    if get_origin(hint) is tuple:
        inner = [each for each in get_args(hint) if each is not Ellipsis]
        return isinstance(value, tuple) and all(_fits(x, inner[0], None) for x in value)
    if hint in (int, float, bool, str, type(None)):
        allowed = (int, float) if hint is float else (hint,)
        return isinstance(value, allowed) and (hint is bool or not isinstance(value, bool))
    if isinstance(hint, type) and not getattr(hint, "_is_protocol", False):
        return isinstance(value, hint)
    plain = isinstance(value, type) or not dataclasses.is_dataclass(value)
    return isinstance(value, type(now)) or not plain
