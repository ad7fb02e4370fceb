"""Intervals as charts draw them: whiskers about a mean, and the line that says which they are."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.drawing.style import FAINT
from experiments.tables.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ASIDE = 0.009
"""How far from their neighbours whiskers at one place stand, as a share of the span of all x."""


def means(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """The means [n]; NaN, which parts a line, where there is none."""
    return np.array([math.nan if e.mean is None else e.mean for e in estimates])


def whiskers(estimates: Sequence[Estimate]) -> NDArray[np.float64]:
    """How far each interval reaches [2, n] below and above its mean; 0 where there is none."""
    down = [0.0 if e.mean is None or e.low is None else e.mean - e.low for e in estimates]
    up = [0.0 if e.mean is None or e.high is None else e.high - e.mean for e in estimates]
    return np.array([down, up])


def aside(x: Sequence[float], n: int, of: int, span: float) -> NDArray[np.float64]:
    """The places x of line n among `of`, each a little aside so that none hides another's."""
    return np.asarray(x, dtype=float) + (n - (of - 1) / 2) * ASIDE * span


def name_interval(figure: "Figure", seeds: int, less: str = "", drawn_as: str = "whiskers") -> None:
    """Say below a chart what its whiskers are.  less: what a difference is to, paired by seed."""
    of = f"difference to {less}, paired by seed" if less else "mean"
    words = (
        f"{drawn_as}: 95 % interval (Student's t) of the {of}, n = {seeds} seeds"
        if seeds > 1
        else "n = 1 seed: no interval"
    )
    figure.supxlabel(words, fontsize=7, color=FAINT)


def name_means(figure: "Figure", seeds: int) -> None:
    """Say below a chart without whiskers of how many seeds its numbers are the mean."""
    of = f"n = {seeds} seeds; the table has the intervals" if seeds > 1 else "n = 1 seed"
    figure.supxlabel(f"mean over {of}", fontsize=7, color=FAINT)
