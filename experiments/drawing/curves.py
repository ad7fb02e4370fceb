"""Curves with intervals, and quality against cost, from a table's results.

Every point is a mean over seeds; its bar and the band through the bars are the 95 % interval of
that mean (Student's t), absent where one seed was run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from experiments.drawing.labels import place
from experiments.drawing.style import COLOURS, FAINT, INK, MARKERS, png, tidy
from experiments.tables.columns import Column
from experiments.tables.results import Results
from experiments.tables.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES = ("--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
"""The lines of rows that have no place along x, in the order of use."""
PANELS = 3
"""Panels side by side; further ones begin a new line."""
By = str | tuple[str, ...] | None
Words = tuple[str, float, float, str]
"""What to write beside which (x, y), in which colour."""


@dataclass(frozen=True)
class Style:
    """How the points of one group look."""

    colour: str
    marker: str


def curve(results: Results, x: str, y: Sequence[Column], by: By, xlabel: str) -> bytes:
    """A PNG: each column of y in a panel, against the number that rows carry under the name x.

    by: the name, or names, whose values part the rows into lines; None for one line. Points of a
    line that share an x are not joined. Rows whose x is no number are horizontal lines, and missing
    values leave gaps.
    """
    lines = _lines(results, x, by)
    level = [i for i, row in enumerate(results.rows[0]) if _number(row.names[x]) is None]
    y = [results.shown(column) for column in y]
    figure, panels = _panels(len(y))
    for axes, column in zip(panels, y, strict=True):
        for n, (name, points) in enumerate(lines.items()):
            where, rows = [p[0] for p in points], [p[1] for p in points]
            _line(axes, where, [results.mean(i, column) for i in rows], name, _style(n))
        for n, i in enumerate(level):
            _level(axes, results.mean(i, column), results.rows[0][i].name, n)
        axes.set_xlabel(xlabel, fontsize=9)
        axes.set_title(column.title, fontsize=9, color=INK)
        tidy(axes)
    _legend(figure, panels)
    return png(figure)


def scatter(results: Results, x: Column, y: Column, by: By) -> bytes:
    """A PNG: every row as a point, y against x, on a logarithmic axis of what x counts.

    by: the name, or names, whose values have a panel each, with a scale of its own; rows without
    such a value are in every panel. The other names are written beside each point. A row whose x
    is 0 has no place on such an axis and is a horizontal line.
    """
    x, y = results.shown(x), results.shown(y)
    of = [_group(row.names, by) for row in results.rows[0]]
    groups = list(dict.fromkeys(filter(None, of))) or [""]
    figure, panels = _panels(len(groups), width=5.0 if len(groups) > 1 else 6.6, height=4.2)
    for n, (axes, group) in enumerate(zip(panels, groups, strict=True)):
        styles = {group: _style(n)} | {"": Style(INK, "o")}
        rows = [i for i, name in enumerate(of) if name in styles]
        axes.set_title(group, fontsize=9, color=INK)
        texts = _points(axes, results, rows, x, y, [styles[of[i]] for i in rows], _names(by))
        _counting_axis(axes)
        axes.set_xlabel(x.title, fontsize=9)
        axes.set_ylabel(y.title, fontsize=9)
        tidy(axes)
        place(axes, texts)
    _legend(figure, panels)
    return png(figure)


def _points(
    axes: "Axes",
    results: Results,
    rows: Sequence[int],
    x: Column,
    y: Column,
    styles: Sequence[Style],
    known: Sequence[str],
) -> list[Words]:
    """Draw the rows; what to write beside which point. known: names that need no writing."""
    texts, levels = [], 0
    for i, style in zip(rows, styles, strict=True):
        at, value, names = results.mean(i, x), results.mean(i, y), results.rows[0][i].names
        if at.mean is None or value.mean is None:
            continue
        if at.mean <= 0:
            _level(axes, value, results.rows[0][i].name, levels)
            levels += 1
            continue
        half = (at.half_width or 0.0, value.half_width or 0.0)
        _point(axes, (at.mean, value.mean), half, style)
        rest = " ".join(value for name, value in names.items() if value and name not in known)
        texts.append((rest, at.mean, value.mean, style.colour))
    return texts


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _names(by: By) -> tuple[str, ...]:
    return () if by is None else (by,) if isinstance(by, str) else by


def _group(names: Mapping[str, str], by: By) -> str:
    return ", ".join(filter(None, (names[name] for name in _names(by))))


def _lines(results: Results, x: str, by: By) -> dict[str, list[tuple[float, int]]]:
    """For each line its (x, row), by x."""
    lines: dict[str, list[tuple[float, int]]] = {}
    for i, row in enumerate(results.rows[0]):
        at = _number(row.names[x])
        if at is not None:
            lines.setdefault(_group(row.names, by), []).append((at, i))
    return {name: sorted(points) for name, points in lines.items()}


def _style(n: int) -> Style:
    return Style(COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)])


def _panels(n: int, width: float = 3.1, height: float = 2.5) -> "tuple[Figure, list[Axes]]":
    import matplotlib.pyplot as plt

    across, down = min(n, PANELS), -(-n // PANELS)
    figure, grid = plt.subplots(
        down, across, figsize=(width * across, height * down), squeeze=False, layout="constrained"
    )
    for spare in grid.flat[n:]:
        spare.axis("off")
    return figure, list(grid.flat[:n])


def _array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([math.nan if value is None else value for value in values])


def _line(
    axes: "Axes", x: Sequence[float], estimates: Sequence[Estimate], name: str, style: Style
) -> None:
    """Points, the line through them, their intervals as bars and a band; NaN parts all of it."""
    mean, half = _array([e.mean for e in estimates]), _array([e.half_width for e in estimates])
    c, joined = style.colour, len(set(x)) == len(x)
    width = 1.5 if joined else 0.0
    axes.plot(x, mean, color=c, marker=style.marker, ms=4.5, lw=width, label=name or "_line")
    if joined:
        axes.fill_between(x, mean - half, mean + half, color=c, alpha=0.14, linewidth=0)
    axes.errorbar(x, mean, yerr=half, fmt="none", ecolor=c, elinewidth=0.9, capsize=2, alpha=0.7)


def _level(axes: "Axes", estimate: Estimate, name: str, n: int) -> None:
    """A horizontal line with its interval."""
    if estimate.mean is None:
        return
    shade = INK if n % 2 == 0 else FAINT
    axes.axhline(estimate.mean, color=shade, linestyle=DASHES[n % len(DASHES)], lw=1.2, label=name)
    if estimate.low is not None and estimate.high is not None:
        axes.axhspan(estimate.low, estimate.high, color=shade, alpha=0.07, linewidth=0)


def _point(axes: "Axes", at: tuple[float, float], half: tuple[float, float], style: Style) -> None:
    """A point with its intervals along x and y."""
    axes.errorbar(
        [at[0]],
        [at[1]],
        xerr=[half[0]],
        yerr=[half[1]],
        fmt=style.marker,
        color=style.colour,
        ms=6,
        elinewidth=0.9,
        capsize=2,
        label="_point",
    )


def _counting_axis(axes: "Axes") -> None:
    """Powers of two along x, written as the numbers they are."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12, y=0.1)


def _legend(figure: "Figure", panels: "Sequence[Axes]") -> None:
    """One legend for all panels, above them; none where a single nameless line needs none."""
    named = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if named:
        figure.legend(
            list(named.values()),
            list(named),
            loc="outside upper center",
            ncols=min(len(named), 4 if len(panels) > 1 else 3),
            frameon=False,
            fontsize=8,
        )
