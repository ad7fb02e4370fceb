"""Files that are whole or absent, and JSON that is named when damaged."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any


class StoreError(RuntimeError):
    """The store cannot be read or written. Names the path."""


def write_whole(path: Path, content: bytes | memoryview, part: Path | None = None) -> None:
    """Write a file aside and rename it: it is whole or as it was.

    part: where it is written meanwhile. By default a name of this process's own, for folders that
    two may write; a fixed name, where a lock holds the folder, is what the next try overwrites.
    """
    aside = part or path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        os.replace(aside, path)
    except OSError as error:  # a full disk is reported without a name
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        aside.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The hexadecimal digest of a file. OSError if it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(content: dict[str, Any]) -> bytes:
    """JSON of `content` with its own SHA-256, which `read_sealed` holds it against."""
    return (json.dumps({**content, "sha256": _digest(content)}, indent=1) + "\n").encode()


def read_sealed(path: Path) -> dict[str, Any]:
    """What `sealed` wrote. StoreError, naming it, if it is damaged."""
    content = read_json(path)
    seal = content.pop("sha256", None)  # none in what was written before there were seals
    if seal is not None and seal != _digest(content):
        raise StoreError(f"{path} is damaged: delete {path.parent} and run again")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. StoreError, naming it, if it is damaged."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} is damaged: delete {path.parent} and run again")
    return content
