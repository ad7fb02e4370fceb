"""Who made an artifact: commit, command, machine, packages, time."""

import functools
import hashlib
import importlib.metadata
import inspect
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
CODE = ("experiments", "modules", "datamodules", "metrics", "requirements.lock")
"""What a number depends on. Committing results or a README makes no new code."""
UNKNOWN = "unknown"
"""The commit where no git tells of one."""
PACKAGES = ("torch", "lightning", "numpy", "scipy", "scikit-learn", "webdataset", "open_clip_torch")


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return b""
    return done.stdout


def covers(made: Any) -> bool:
    """Whether `commit` names the code of a function or class: it lies here, and git tells."""
    try:
        path = Path(inspect.getfile(made)).resolve()
    except TypeError:  # a partial, or what was typed at a prompt
        return False
    return commit() != UNKNOWN and any(path.is_relative_to(ROOT / name) for name in CODE)


@functools.cache
def commit() -> str:
    """The last commit that touched the code; `+dirty` and a digest of what differs from it, if the
    tree does, so that two uncommitted edits have two names."""
    last = _git("log", "-1", "--format=%h", "--abbrev=12", "--", *CODE).decode().strip()
    edits = _git("diff", "HEAD", "--binary", "--no-ext-diff", "--", *CODE)
    names = _git("ls-files", "-z", "--others", "--exclude-standard", "--", *CODE)
    for name in filter(None, names.decode().split("\0")):
        edits += b"\0" + name.encode() + b"\0" + (ROOT / name).read_bytes()
    dirty = f"+dirty.{hashlib.sha256(edits).hexdigest()[:8]}" if edits else ""
    return last + dirty or UNKNOWN


_asked: str | None = None


def on_behalf_of(command: str) -> None:
    """What this process makes was asked for by that command, given elsewhere."""
    global _asked
    _asked = command


def command() -> str:
    """The command line as a person would type it."""
    if _asked is not None:
        return _asked
    main = sys.modules["__main__"].__spec__
    name = f"python -m {main.name.removesuffix('.__main__')}" if main else Path(sys.argv[0]).name
    return " ".join([name, *sys.argv[1:]])


def packages() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


@functools.cache
def version(package: str) -> str:
    """That which is installed; its metadata are parsed once."""
    return importlib.metadata.version(package)


def provenance(seconds: float, device: torch.device) -> dict[str, Any]:
    """Everything about a making that its config does not say; seconds are the last process's."""
    return {
        "commit": commit(),
        "command": command(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 2),
        "host": platform.node(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "packages": packages(),
    }
