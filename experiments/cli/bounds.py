"""What values on a command line must be, in whichever command they are given."""

from argparse import ArgumentTypeError
from pathlib import Path

MOST_SEEDS = 1000
LAST_PORT = 65535


def named_folder(text: str) -> Path:
    """ArgumentTypeError for "", as of a variable that is not set: it would be the current one."""
    if not text:
        raise ArgumentTypeError("the name of a folder is empty")
    return Path(text)


def seeds_refused(seeds: int) -> str | None:
    """What is wrong with a number of seeds, in words; None if nothing is."""
    if 1 <= seeds <= MOST_SEEDS:
        return None
    return f"--seeds must lie between 1 and {MOST_SEEDS}, not be {seeds}"


def port_refused(port: int) -> str | None:
    """What is wrong with a port, in words; None if nothing is. 0 is a free one."""
    if 0 <= port <= LAST_PORT:
        return None
    return f"--port must lie between 0 (a free one) and {LAST_PORT}, not be {port}"
