"""What names an artifact: the hash of the whole config that it is made from.

The key leaves out fields at their default, so that a field may be added; config.json has them all.
"""

import hashlib
import json
from typing import Any

from modules.codec import encode, same


def about(kind: type) -> dict[str, Any]:
    """What a key covers of a class beside its fields: its `version`, if it has one."""
    version = getattr(kind, "version", None)
    return {} if version is None else {"version": version}


def config(value: Any) -> Any:
    """All that makes `value` what it is, as it is written beside an artifact."""
    return encode(value, about)


def key(value: Any) -> str:
    """12 hexadecimal digits of the SHA-256 of a config. TypeError for what has no form as JSON."""
    form = encode(value, about, defaults=False)
    text = json.dumps(form, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def difference(was: Any, now: Any, where: str = "") -> str | None:
    """The first field in which a stored config is another than today's; None for the same.

    A field that one of them lacks was added or removed since: it holds its default in the other, or
    their keys would differ.
    """
    if not isinstance(was, dict) or not isinstance(now, dict):
        if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
            each = (difference(one, other, where) for one, other in zip(was, now, strict=True))
            return next((found for found in each if found is not None), None)
        return None if same(was, now) else f"{where} was {_short(was)} and is {_short(now)}"
    if was.get("is") != now.get("is"):
        return f"{where} was {_short(was)} and is {_short(now)}"
    inside = (f"{now.get('is', where)}.{name}" for name in was.keys() & now.keys())
    each = (difference(was[at.split(".")[-1]], now[at.split(".")[-1]], at) for at in inside)
    return next((found for found in each if found is not None), None)


def _short(form: Any) -> str:
    text = json.dumps(form)
    return text if len(text) <= 80 else f"{text[:77]}..."
