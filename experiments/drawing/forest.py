"""Named rows below each other, each with its mean and interval: nothing stands in a name's way.

Where many rows cost the same, points against cost would lie upon each other, and so would names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from experiments.drawing.intervals import means, name_interval, whiskers
from experiments.drawing.panels import panels_of
from experiments.drawing.style import COLOURS, FAINT, INK, MARKERS, PAGE, chart, tidy
from experiments.tables.columns import Column
from experiments.tables.results import Chart, Results
from experiments.tables.rows import joined
from experiments.tables.statistics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE, ROUND = 0.19, 1.05
"""Inches of a row, and of what stands above and below the rows."""


@dataclass(frozen=True)
class Mark:
    """A row of a panel.  beside: what stands at its right end.  plain: of no group, drawn black."""

    name: str
    estimate: Estimate
    beside: str = ""
    plain: bool = False


def forest(
    panels: Mapping[str, Sequence[Mark]], xlabel: str, seeds: int, beside: str = "", less: str = ""
) -> Chart:
    """The marks of each panel from its top down, under the panel's name; along one scale in all.

    beside: what the words at the right are.  less: what the numbers are differences to.
    """
    rows = max(map(len, panels.values()))
    figure, axes_of = panels_of(len(panels), PAGE[0] / len(panels), LINE * rows + ROUND)
    for n, (axes, (title, marks)) in enumerate(zip(axes_of, panels.items(), strict=True)):
        _rows(axes, marks, n)
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_xlabel(xlabel, fontsize=9)
        if any(mark.beside for mark in marks):
            _beside(axes, marks, beside)
    ends = [end for axes in axes_of for end in axes.get_xlim()]
    for axes in axes_of:
        axes.set_xlim(min(ends), max(ends))
    name_interval(figure, seeds, less)
    return chart(figure)


def _rows(axes: "Axes", marks: Sequence[Mark], n: int) -> None:
    for y, mark in enumerate(marks):
        axes.errorbar(
            means([mark.estimate]),
            [y],
            xerr=whiskers([mark.estimate]),
            fmt="o" if mark.plain else MARKERS[n],
            color=INK if mark.plain else COLOURS[n],
            ms=4,
            elinewidth=1.0,
            capsize=2,
        )
    axes.axvline(0, color=FAINT, lw=0.8)
    axes.set_yticks(range(len(marks)), [mark.name for mark in marks])
    axes.set_ylim(len(marks) - 0.5, -0.5)
    tidy(axes)


def _beside(axes: "Axes", marks: Sequence[Mark], words: str) -> None:
    """A column of words at the right end of the rows."""
    right = axes.twinx()
    right.set_ylim(axes.get_ylim())
    right.set_yticks(range(len(marks)), [mark.beside for mark in marks])
    right.set_ylabel(words, fontsize=8, color=INK)
    tidy(right)
    right.tick_params(length=0)
    right.grid(visible=False)


def by_cost(
    results: Results, cost: Column, quality: Column, by: str, less: Mapping[str, int]
) -> Chart:
    """Every row's quality, the cheapest on top, with what it costs at the right end.

    by: the name whose values have a panel each; rows without such a value are in every panel.
    less: the row of each panel whose quality is taken from all others', seed by seed.
    """
    cost, quality = results.shown(cost), results.shown(quality)
    panels = dict[str, list[Mark]]()
    for group, base in less.items():
        marks = list[tuple[float, Mark]]()
        for i, row in enumerate(results.rows[0]):
            price, gap = results.mean(i, cost).mean, results.difference(i, base, quality)
            if row.names[by] in (group, "") and price is not None and gap.mean is not None:
                name = joined(each for key, each in row.names.items() if key != by)
                shown = f"{price:.{cost.digits}f}"
                marks.append((price, Mark(name, gap, shown, plain=not row.names[by])))
        panels[group] = [mark for _, mark in sorted(marks, key=lambda pair: pair[0])]
    bases = sorted({results.rows[0][row].name for row in less.values()})
    title = f"{quality.title}, difference"
    return forest(panels, title, results.seeds, cost.title, " or to ".join(bases))
