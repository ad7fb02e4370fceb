"""Bars with intervals: rows beside each other in every metric, or their gains over a baseline.

A bar is a mean over seeds, its line the 95 % interval of that mean (Student's t), absent for one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.drawing.style import COLOURS, INK, png, tidy
from experiments.tables.columns import Column
from experiments.tables.results import Results
from experiments.tables.statistics import Estimate, estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = 2.3
"""Inches of a panel's width."""


def bars(results: Results, columns: Sequence[Column]) -> bytes:
    """A PNG: each column in a panel, a bar for every row."""
    import matplotlib.pyplot as plt

    shown = [results.shown(column) for column in columns]
    names = [row.name for row in results.rows[0]]
    figure, panels = plt.subplots(
        1, len(shown), figsize=(PANEL * len(shown) + 0.6, 2.8), squeeze=False
    )
    for axes, column in zip(panels[0], shown, strict=True):
        means = [results.mean(i, column) for i in range(len(names))]
        _bars(axes, list(range(len(names))), means, [COLOURS[i] for i in range(len(names))])
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", fontsize=8)
        axes.set_title(column.title, fontsize=9, color=INK)
    figure.tight_layout()
    return png(figure)


def gains(
    results: Results,
    columns: Sequence[tuple[Column, float]],
    rows: Sequence[int],
    base: int,
) -> bytes:
    """A PNG: by how many per cent rows gain over the base row, seed by seed.  (Paris 2.0, Fig 2)

    columns: with 1 where higher is better, -1 where lower is, 0 for neither, drawn grey.
    """
    import matplotlib.pyplot as plt

    width = 0.8 / len(rows)
    figure, axes = plt.subplots(figsize=(6.6, 3.0))
    for n, row in enumerate(rows):
        places = [i + (n - (len(rows) - 1) / 2) * width for i in range(len(columns))]
        percents = [gain(results, row, base, column, sign) for column, sign in columns]
        colours = [COLOURS[n] if sign else f"{0.55 + 0.12 * n:.2f}" for _, sign in columns]
        _bars(axes, places, percents, colours, width, results.rows[0][row].name)
    titles = [results.shown(column).title.replace(", ", ",\n") for column, _ in columns]
    axes.set_xticks(range(len(columns)), titles, fontsize=8)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_ylabel(f"gain over {results.rows[0][base].name}, %", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    tidy(axes)
    figure.tight_layout()
    return png(figure)


def gain(results: Results, row: int, base: int, column: Column, sign: float) -> Estimate:
    """Per cent of the base's number, seed by seed, positive where the row is better."""
    shown = results.shown(column)
    pairs = zip(results.values(row, shown), results.values(base, shown), strict=True)
    return estimate([100 * (sign or 1) * (a / b - 1) for a, b in pairs if a is not None and b])


def _bars(
    axes: "Axes",
    places: Sequence[float],
    estimates: Sequence[Estimate],
    colours: Sequence[str],
    width: float = 0.7,
    label: str | None = None,
) -> None:
    there = [
        (x, e, c) for x, e, c in zip(places, estimates, colours, strict=True) if e.mean is not None
    ]
    heights = [e.mean or 0.0 for _, e, _ in there]
    ends = [e.half_width or 0.0 for _, e, _ in there]
    axes.bar(
        [x for x, _, _ in there],
        heights,
        width,
        color=[c for *_, c in there],
        alpha=0.85,
        label=label,
        yerr=ends if any(ends) else None,
        error_kw={"ecolor": INK, "elinewidth": 1.0, "capsize": 2.5},
    )
    tidy(axes)
    axes.grid(axis="x", visible=False)
