"""Where weights lie, and where what is drawn goes: what is wrong with either, in words."""

from pathlib import Path

TOLD = "sample.json"
"""Beside what a command has drawn: the command."""


def weights_refused(name: str) -> str | None:
    """None for a folder that is there, and for what may be a name of the hub."""
    place = Path(name).expanduser()
    if place.is_dir() or name.count("/") == 1:
        return None
    return f"there is no folder {name}, and a name of the hub is owner/name"


def out_refused(out: Path) -> str | None:
    """None for a folder that is to be made, or that has nothing drawn in it yet."""
    if out.exists() and not out.is_dir():
        return f"{out} is no folder"
    if (out / TOLD).exists():
        return f"{out} has what an earlier command drew, and nothing is drawn over: another --out"
    return None
