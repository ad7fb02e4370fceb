"""A scale's dials as options at any depth: --scale.steps 3000, --scale.source.root /data.

A parser reads options from types, but a dial may hold any source or encoder: here a scale becomes a
type of its own, whose fields have the types of what they hold, and comes back from it.
"""

import dataclasses
import importlib
from typing import Any, cast, get_type_hints

from datamodules.sources.source import Source
from experiments.recipes.images import Scale
from modules.codec import encode


def form(scale: Any, source: type[Source] | None = None) -> type:
    """The type to read options as: `scale` where none is given, with another class of source."""
    return _kind(scale, {} if source is None else {"source": source})


def filled(found: Any, scale: Any) -> Any:
    """The scale that was read: of `scale` what has no options. ValueError for unfit values.

    Another class of source is Table 1's too.
    """
    read = _back(found, scale)
    if not isinstance(read, Scale):
        return _later(read, scale)
    matched = read.matched
    if matched is None or isinstance(read.source, type(scale.source)):
        return read
    return dataclasses.replace(read, matched=dataclasses.replace(matched, source=read.source))


def _later(read: Any, scale: Any) -> Any:
    """A scale of video whose later stages have the source that was read, of their own sizes."""
    if read.source == scale.source:
        return read
    sides = [
        read.source.image if ahead.source.image == scale.source.image else ahead.source.image
        for ahead in read.later
    ]
    later = [
        dataclasses.replace(ahead, source=dataclasses.replace(read.source, image=side))
        for ahead, side in zip(read.later, sides, strict=True)
    ]
    return dataclasses.replace(read, later=tuple(later))


def changed(plain: Any, scale: Any) -> dict[str, object]:
    """The dials of `scale` that differ from those of a named one, wherever the data lie."""
    return {
        dial: value
        for dial, value in vars(scale).items()
        if encode(value) != encode(getattr(plain, dial))
    }


def source_class(path: str) -> type[Source]:
    """The class package.module.Class. ValueError if there is none, or it is no source."""
    module, _, name = path.rpartition(".")
    if not module:
        raise ValueError(
            f"{path!r}: package.module.Class is wanted, as datamodules.sources.folder.Folder"
        )
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"no class {path}: {error}") from error
    lacking = [part for part in ("parts", "batches", "read") if not hasattr(found, part)]
    if not isinstance(found, type) or not dataclasses.is_dataclass(found) or lacking:
        raise ValueError(f"{path} is no source: a frozen dataclass with parts, batches and read")
    return cast(type[Source], found)


def _kind(value: Any, others: dict[str, type]) -> type:
    """A dataclass with the value's fields, each of the type of what it holds, and that as default;
    but for `others`, which have a type and no default."""
    hints, fields = get_type_hints(type(value)), list[tuple[str, Any, Any]]()
    for field in dataclasses.fields(value):
        held, hint = getattr(value, field.name), hints[field.name]
        if field.name in others:
            fields.append((field.name, others[field.name], dataclasses.field()))
            continue
        if dataclasses.is_dataclass(held):
            if not dataclasses.fields(held):
                continue  # a value without options
            held = _kind(held, {})()
            hint = type(held)
        fields.append((field.name, hint, dataclasses.field(default=held)))
    name, doc = type(value).__name__, {"__doc__": type(value).__doc__}
    return dataclasses.make_dataclass(name, fields, namespace=doc, frozen=True, kw_only=True)


def _back(found: Any, value: Any) -> Any:
    """What was read, in the types of `value`; what is of a class of its own stays."""
    if not dataclasses.is_dataclass(found) or type(found).__module__ != "types":
        return found
    read = {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}
    return dataclasses.replace(value, **{n: _back(x, getattr(value, n)) for n, x in read.items()})
