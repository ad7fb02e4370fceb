"""Where weights lie, and where what is drawn goes: what is wrong with either, in words."""

from collections.abc import Sequence
from pathlib import Path

TOLD = "sample.json"
"""Beside what a command has drawn: the command."""


def weights_refused(name: str) -> str | None:
    """None for a folder that is there, and for what may be a name of the hub."""
    if name and (Path(name).expanduser().is_dir() or name.count("/") == 1):
        return None
    return f"there is no folder {name!r}, and a name of the hub is owner/name"


def out_refused(out: Path) -> str | None:
    """None for a folder that is to be made, or in which there is nothing."""
    if out.exists() and not out.is_dir():
        return f"{out} is no folder"
    if out.is_dir() and any(out.iterdir()):
        return f"{out} is not empty, and nothing is drawn over: say another folder with --out"
    return None


def lacking(error: Exception, names: Sequence[str]) -> str:
    """What is wrong with weights, in a line, and which names are no folders here."""
    absent = [name for name in names if not Path(name).expanduser().is_dir()]
    said = " ".join(str(error).split())
    return f"no folder here is {', '.join(absent)}; {said}" if absent else said
