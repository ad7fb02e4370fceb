"""One statement of the paper that is mathematics, beside what it comes to."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """A statement, the value printed for it, ours, whether it holds, and why, in one line.

    holds: None for what the paper implies rather than states, or what hangs on what it leaves open.

    Nothing here is measured: every check is exact arithmetic, or a closed form in float64.
    """

    name: str
    section: str
    statement: str
    paper: str
    ours: str
    holds: bool | None
    why: str


EXACT = 1e-9
"""Two closed forms in float64 that differ by less than this are the same."""


def agrees(printed: str, value: float) -> bool:
    """Whether `value` rounds or truncates to the printed number. A percent sign or a comma in
    `printed` does not matter.
    """
    digits = printed.replace(",", "").rstrip("%×M")
    unit = 10.0 ** len(digits.partition(".")[2])
    shown = round(float(digits) * unit)
    return shown in (round(value * unit), math.trunc(value * unit + EXACT))


def power(value: float) -> str:
    """A small error as a power of ten, rounded up: how exact, not which rounding."""
    return "0" if value == 0 else f"below 1e{math.ceil(math.log10(value)):+03d}"
