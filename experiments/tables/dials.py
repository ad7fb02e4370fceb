"""Which dials of a scale were turned."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from experiments.pipeline.key import key


def changed(plain: Any, scale: Any) -> dict[str, object]:
    """The dials of `scale` that differ from those of a named one, wherever the data lie."""
    return dict(_changed(plain, scale))


def _changed(plain: Any, scale: Any, group: str = "") -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(scale):
        name = f"{group}{field.name}"
        old, new = getattr(plain, field.name), getattr(scale, field.name)
        if not field.metadata.get("key", True) or key(old, coded=False) == key(new, coded=False):
            continue
        if dataclasses.is_dataclass(new) and type(old) is type(new):
            yield from _changed(old, new, f"{name}.")
        else:
            yield name, new
