"""Curves with intervals, from a table's results.

Every point is a mean over seeds; its whisker is the 95 % interval of that mean (Student's t), which
one seed alone has not. Lines stand a little aside of one another, so that none hides another.
"""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.drawing.intervals import aside, means, name_interval, whiskers
from experiments.drawing.panels import legend, panels_of
from experiments.drawing.style import COLOURS, DASHES, FAINT, INK, MARKERS, chart, tidy
from experiments.tables.columns import Column
from experiments.tables.results import Chart, Results
from experiments.tables.rows import joined
from experiments.tables.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = ("--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
"""The dashes of rows that have no place along x, in the order of use."""
TITLE = 28
"""Letters of a panel's title in a line."""
By = str | tuple[str, ...] | None
Reader = Callable[[int, Column], Estimate]


@dataclass(frozen=True)
class Style:
    """How the points of one group look, and the line through them."""

    colour: str
    marker: str
    dashes: str | tuple[int, tuple[float, ...]] = "-"


def curve(
    results: Results,
    x: str,
    y: Sequence[Column],
    by: By,
    xlabel: str,
    less: int | None = None,
    doubling: bool = False,
) -> Chart:
    """Each column of y in a panel, against the number that rows carry under the name x.

    by: the name, or names, whose values part the rows into lines; None for one line. Points of a
    line that share an x are not joined. Rows whose x is no number are horizontal lines, and missing
    values leave gaps.
    less: a row whose numbers are taken from all others', seed by seed: what is drawn is then the
    mean difference, whose interval has not the spread that seeds share.
    doubling: along x each doubling is as wide, and the numbers that rows have are named.
    """
    lines = _lines(results, x, by, math.log2 if doubling else float)
    level = [i for i, row in enumerate(results.rows[0]) if _number(row.names[x]) is None]
    read = _reader(results, less)
    every = [at for points in lines.values() for at, _ in points]
    span = max(every, default=0.0) - min(every, default=0.0)
    figure, panels = panels_of(len(y))
    for axes, column in zip(panels, map(results.shown, y), strict=True):
        for n, (name, points) in enumerate(lines.items()):
            where, rows = [p[0] for p in points], [p[1] for p in points]
            joined = len(set(where)) == len(where)
            spots = list(aside(where, n, len(lines), span))
            _line(axes, spots, [read(i, column) for i in rows], name, _style(n), joined)
        for n, i in enumerate(level):
            _level(axes, read(i, column), results.rows[0][i].name, n)
        axes.set_xlabel(xlabel, fontsize=9)
        axes.set_title(textwrap.fill(column.title, TITLE), fontsize=9, color=INK)
        if less is not None:
            axes.axhline(0, color=FAINT, lw=0.8)
        tidy(axes)
        if doubling:
            axes.set_xticks(sorted({*every}), [f"{2**at:g}" for at in sorted({*every})])
    legend(figure, panels)
    name_interval(figure, results.seeds, "" if less is None else results.rows[0][less].name)
    return chart(figure)


def _reader(results: Results, less: int | None) -> Reader:
    """What gives a row's mean in a column, or its mean difference to row `less`."""
    if less is None:
        return results.mean
    return lambda row, column: results.difference(row, less, column)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _names(by: By) -> tuple[str, ...]:
    return () if by is None else (by,) if isinstance(by, str) else by


def _group(names: Mapping[str, str], by: By) -> str:
    return joined(names[name] for name in _names(by))


def _lines(
    results: Results, x: str, by: By, placed: Callable[[float], float]
) -> dict[str, list[tuple[float, int]]]:
    """For each line its (place along x, row), in their order."""
    lines: dict[str, list[tuple[float, int]]] = {}
    for i, row in enumerate(results.rows[0]):
        at = _number(row.names[x])
        if at is not None:
            lines.setdefault(_group(row.names, by), []).append((placed(at), i))
    return {name: sorted(points) for name, points in lines.items()}


def _style(n: int) -> Style:
    each = (COLOURS, MARKERS, DASHES)
    return Style(*(kinds[n % len(kinds)] for kinds in each))  # type: ignore[arg-type]


def _line(
    axes: "Axes",
    x: Sequence[float],
    estimates: Sequence[Estimate],
    name: str,
    style: Style,
    joined: bool,
) -> None:
    """Points with their whiskers, and the line through them; NaN parts all of it."""
    mean, colour, width = means(estimates), style.colour, 1.3 if joined else 0.0
    axes.plot(
        x, mean, color=colour, marker=style.marker, ms=3.6, lw=width, ls=style.dashes,
        label=name or "_line",
    )  # fmt: skip
    reach = whiskers(estimates)
    axes.errorbar(x, mean, yerr=reach, fmt="none", ecolor=colour, elinewidth=0.9, capsize=1.5)


def _level(axes: "Axes", estimate: Estimate, name: str, n: int) -> None:
    """A horizontal line with its interval."""
    if estimate.mean is None:
        return
    shade = INK if n % 2 == 0 else FAINT
    axes.axhline(estimate.mean, color=shade, linestyle=LEVELS[n % len(LEVELS)], lw=1.2, label=name)
    if estimate.low is not None and estimate.high is not None:
        axes.axhspan(estimate.low, estimate.high, color=shade, alpha=0.07, linewidth=0)
