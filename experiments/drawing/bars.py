"""Rows beside each other in every metric, as bars, or their gains over a baseline, as points.

A bar is a mean over seeds, its line the 95 % interval of that mean (Student's t), absent for one.
"""

import textwrap
from collections.abc import Sequence

from experiments.drawing.intervals import means, name_interval, whiskers
from experiments.drawing.style import COLOURS, FAINT, INK, MARKERS, PAGE, chart, tidy
from experiments.tables.columns import Column
from experiments.tables.results import Chart, Results
from experiments.tables.statistics import Estimate, estimate

PANEL = 2.2
"""Inches of a panel's width."""


def bars(results: Results, columns: Sequence[Column]) -> Chart:
    """Each column in a panel, a bar for every row."""
    import matplotlib.pyplot as plt

    shown = [results.shown(column) for column in columns]
    names = [row.name for row in results.rows[0]]
    places = range(len(names))
    size = PANEL * len(shown) + 0.6, 2.8
    figure, panels = plt.subplots(1, len(shown), figsize=size, squeeze=False, layout="constrained")
    for axes, column in zip(panels[0], shown, strict=True):
        estimates = [results.mean(i, column) for i in places]
        axes.bar(
            places,
            means(estimates),
            0.7,
            color=[COLOURS[i % len(COLOURS)] for i in places],
            alpha=0.85,
            yerr=whiskers(estimates),
            error_kw={"ecolor": INK, "elinewidth": 1.0, "capsize": 2.5},
        )
        axes.set_xticks(places, names, rotation=35, ha="right", fontsize=8)
        axes.set_title(column.title, fontsize=9, color=INK)
        tidy(axes)
        axes.grid(axis="x", visible=False)
    name_interval(figure, results.seeds)
    return chart(figure)


def gains(
    results: Results,
    columns: Sequence[tuple[Column, float]],
    rows: Sequence[int],
    base: int,
) -> Chart:
    """By how many per cent rows gain over the base row, seed by seed.  (Paris 2.0, Fig 2)

    columns: with 1 where higher is better, -1 where lower is, 0 for neither, drawn grey. Each has a
    panel with a scale of its own: an interval of one may be ten times another's.
    """
    import matplotlib.pyplot as plt

    size = PAGE[0], 3.0
    figure, panels = plt.subplots(
        1, len(columns), figsize=size, squeeze=False, layout="constrained"
    )
    base_name = results.rows[0][base].name
    for axes, (column, sign) in zip(panels[0], columns, strict=True):
        for n, row in enumerate(rows):
            percent = [gain(results, row, base, column, sign)]
            axes.errorbar(
                [n],
                means(percent),
                yerr=whiskers(percent),
                fmt=MARKERS[n],
                color=COLOURS[n] if sign else FAINT,
                ms=6,
                capsize=3,
            )
        axes.set_xticks(
            range(len(rows)),
            [results.rows[0][row].name for row in rows],
            rotation=35,
            ha="right",
            fontsize=8,
        )
        axes.margins(x=0.3)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_title(textwrap.fill(results.shown(column).title, 20), fontsize=9, color=INK)
        tidy(axes)
        axes.grid(axis="x", visible=False)
    panels[0][0].set_ylabel(f"gain over {base_name}, %", fontsize=9)
    name_interval(figure, results.seeds, base_name)
    return chart(figure)


def gain(results: Results, row: int, base: int, column: Column, sign: float) -> Estimate:
    """Per cent of the base's number, seed by seed, positive where the row is better."""
    shown = results.shown(column)
    pairs = zip(results.values(row, shown), results.values(base, shown), strict=True)
    return estimate([100 * (sign or 1) * (a / b - 1) for a, b in pairs if a is not None and b])
