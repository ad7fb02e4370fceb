"""Labels in a list of pictures: whole numbers or words, numbered from 0."""

import functools
import json
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any, TypeGuard

Label = int | str
NONE = -1
"""The label of a picture where none of its source has one."""


def parsed(line: bytes) -> dict[str, Any]:
    """A line of JSON; empty for one that is no object."""
    try:
        entry = json.loads(line.removeprefix(BOM_UTF8))
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}


def classes_in(path: Path) -> tuple[Label, ...]:
    """The different labels of a list, numbers before words; none where there is no list."""
    try:
        about = path.stat()
    except (OSError, ValueError):
        return ()
    return _classes_in(path, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=16)
def _classes_in(path: Path, changed: int, size: int) -> tuple[Label, ...]:
    labels = set[Label]()
    with open(path, "rb") as lines:
        for line in lines:
            if _is_label(label := parsed(line).get("label")):
                labels.add(label)
    return tuple(sorted(labels, key=lambda x: (isinstance(x, str), x)))


def class_number(label: object, found: tuple[Label, ...], count: int | None) -> int | None:
    """The class of a label; NONE where `found`, all labels, is empty, and None for a wrong one.

    count: of the classes, where it is given: then whole numbers are classes themselves.
    """
    if not found:
        return NONE
    if not _is_label(label):
        return None
    if count is not None and isinstance(label, int):
        return label if 0 <= label < count else None
    number = found.index(label)
    return number if count is None or number < count else None


def _is_label(x: object) -> TypeGuard[Label]:
    return (isinstance(x, int) and not isinstance(x, bool)) or (isinstance(x, str) and x != "")
