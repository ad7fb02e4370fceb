"""What names an artifact: the hash of the whole config that it is made from, code included.

The key leaves out a field at its default, so that fields may be added, but for a default that has
code of its own: an edit of that must be seen. config.json has every field.
"""

import hashlib
import json
from typing import Any

from experiments.pipeline import code
from modules.codec import encode, same


def about(kind: type) -> dict[str, Any]:
    """What a key covers of a class beside its fields: its `version`, if it has one, and its code,
    unless it says `covered = False`, as stages do."""
    digest = code.digest(kind) if getattr(kind, "covered", True) else None
    return _version(kind) | ({} if digest is None else {"code": digest})


def _version(kind: type) -> dict[str, Any]:
    version = getattr(kind, "version", None)
    return {} if version is None else {"version": version}


def config(value: Any) -> Any:
    """All that makes `value` what it is, as it is written beside an artifact."""
    return encode(value, about)


def key(value: Any, coded: bool = True) -> str:
    """12 hexadecimal digits of the SHA-256 of a config. TypeError for what has no form as JSON.

    coded: whether it covers the code too; without, it is the same before and after an edit.
    """
    form = encode(value, about if coded else _version, defaults=False)
    text = json.dumps(form, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def codes(form: Any) -> dict[str, str]:
    """The code of every class that a config names, by the class's name."""
    inside = form if isinstance(form, list) else form.values() if isinstance(form, dict) else ()
    digests = {name: digest for item in inside for name, digest in codes(item).items()}
    if isinstance(form, dict) and "code" in form:
        digests[form.get("is") or form["class"]] = form["code"]
    return digests


def difference(was: Any, now: Any, where: str = "") -> str | None:
    """The first field in which a stored config is another than today's; None for the same.

    A field that the stored one lacks was added since, and holds its default: their keys agree. One
    that today's lacks is a difference, for it may have got another name and another default.
    """
    if same(was, now):  # as nearly always: found without a walk
        return None
    if not isinstance(was, dict) or not isinstance(now, dict):
        if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
            each = (difference(one, other, where) for one, other in zip(was, now, strict=True))
            return next((line for line in each if line is not None), None)
        return f"{where} was {_short(was)} and is {_short(now)}"
    if was.get("is") != now.get("is"):
        return f"{where} was {_short(was)} and is {_short(now)}"
    gone = [name for name in was if name not in now]
    if gone:
        return f"{now.get('is', where)}.{gone[0]} was {_short(was[gone[0]])} and is gone"
    inside = (f"{now.get('is', where)}.{name}" for name in was.keys() & now.keys())
    each = (difference(was[at.split(".")[-1]], now[at.split(".")[-1]], at) for at in inside)
    return next((line for line in each if line is not None), None)


def _short(form: Any) -> str:
    text = json.dumps(form)
    return text if len(text) <= 80 else f"{text[:77]}..."
