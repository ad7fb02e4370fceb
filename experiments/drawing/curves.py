"""Curves with intervals, and quality against cost, from a table's results.

Every point is a mean over seeds; its whisker is the 95 % interval of that mean (Student's t), which
one seed alone has not. Lines stand a little aside of one another, so that none hides another.
"""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.drawing.intervals import aside, means, name_interval, whiskers
from experiments.drawing.labels import place
from experiments.drawing.panels import legend, panels_of
from experiments.drawing.style import COLOURS, DASHES, FAINT, INK, MARKERS, PAGE, chart, tidy
from experiments.tables.columns import Column
from experiments.tables.results import Chart, Results
from experiments.tables.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVELS = ("--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)))
"""The dashes of rows that have no place along x, in the order of use."""
TITLE = 28
"""Letters of a panel's title in a line."""
By = str | tuple[str, ...] | None
Reader = Callable[[int, Column], Estimate]
Words = tuple[str, float, float, str]
"""What to write beside which (x, y), in which colour."""


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
) -> Chart:
    """Each column of y in a panel, against the number that rows carry under the name x.

    by: the name, or names, whose values part the rows into lines; None for one line. Points of a
    line that share an x are not joined. Rows whose x is no number are horizontal lines, and missing
    values leave gaps.
    less: a row whose numbers are taken from all others', seed by seed: what is drawn is then the
    mean difference, whose interval has not the spread that seeds share.
    """
    lines = _lines(results, x, by)
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
    legend(figure, panels)
    name_interval(figure, results.seeds, "" if less is None else _spoken(results, less))
    return chart(figure)


def _reader(results: Results, less: int | None) -> Reader:
    """What gives a row's mean in a column, or its mean difference to row `less`."""
    if less is None:
        return results.mean
    return lambda row, column: results.difference(row, less, column)


def _spoken(results: Results, row: int) -> str:
    return ", ".join(filter(None, results.rows[0][row].names.values()))


def scatter(
    results: Results,
    x: Column,
    y: Column,
    by: By,
    less: Mapping[str, int] | None = None,
) -> Chart:
    """Every row as a point, y against x, on a logarithmic axis of what x counts.

    by: the name, or names, whose values have a panel each, with a scale of its own; rows without
    such a value are in every panel. The other names are written beside each point. A row whose x
    is 0 has no place on such an axis and is a horizontal line.
    less: as in `curve`, of y alone, and a row for each panel.
    """
    x, y = results.shown(x), results.shown(y)
    of = [_group(row.names, by) for row in results.rows[0]]
    groups = list(dict.fromkeys(filter(None, of))) or [""]
    figure, panels = panels_of(len(groups), width=PAGE[0] / min(len(groups), 2), height=3.9)
    words = list[list[Words]]()
    for n, (axes, group) in enumerate(zip(panels, groups, strict=True)):
        styles = {group: _style(n)} | {"": Style(INK, "o")}
        rows = [i for i, name in enumerate(of) if name in styles]
        axes.set_title(group, fontsize=9, color=INK)
        looks = [styles[of[i]] for i in rows]
        read = _reader(results, None if less is None else less[group])
        words.append(_points(axes, results, rows, (x, y), looks, _names(by), read))
        _counting_axis(axes)
        axes.set_xlabel(x.title, fontsize=9)
        axes.set_ylabel(y.title if less is None else f"{y.title}, difference", fontsize=9)
        if less is not None:
            axes.axhline(0, color=FAINT, lw=0.8)
        tidy(axes)
    legend(figure, panels)
    bases = {results.rows[0][row].name for row in (less or {}).values()}
    name_interval(figure, results.seeds, " and ".join(sorted(bases)))
    for axes, texts in zip(panels, words, strict=True):  # where legend and title leave the axes
        place(axes, texts)
    return chart(figure)


def _points(
    axes: "Axes",
    results: Results,
    rows: Sequence[int],
    columns: tuple[Column, Column],
    styles: Sequence[Style],
    known: Sequence[str],
    read: Reader,
) -> list[Words]:
    """Draw the rows; what to write beside which point. known: names that need no writing."""
    (x, y), texts, levels = columns, list[Words](), 0
    for i, style in zip(rows, styles, strict=True):
        at, value, names = results.mean(i, x), read(i, y), results.rows[0][i].names
        if at.mean is None or value.mean is None:
            continue
        if at.mean <= 0:
            _level(axes, value, results.rows[0][i].name, levels)
            levels += 1
            continue
        _point(axes, at, value, style)
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


def _point(axes: "Axes", x: Estimate, y: Estimate, style: Style) -> None:
    """A point with its intervals along x and y."""
    axes.errorbar(
        means([x]),
        means([y]),
        xerr=whiskers([x]),
        yerr=whiskers([y]),
        fmt=style.marker,
        color=style.colour,
        ms=4.5,
        elinewidth=0.9,
        capsize=1.5,
        label="_point",
    )


def _counting_axis(axes: "Axes") -> None:
    """Powers of two along x, written as the numbers they are."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.12, y=0.1)
