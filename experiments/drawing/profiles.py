"""A line for every row over numbers that are columns: an answer's accuracy over time."""

from collections.abc import Sequence

from experiments.drawing.intervals import aside, means, name_interval, whiskers
from experiments.drawing.style import COLOURS, DASHES, MARKERS, chart, tidy
from experiments.tables.columns import Column
from experiments.tables.results import Chart, Results


def profiles(
    results: Results, columns: Sequence[Column], x: Sequence[float], xlabel: str, ylabel: str
) -> Chart:
    """Each row's numbers in `columns` at x, with the 95 % intervals of their means."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    rows = results.rows[0]
    for i, row in enumerate(rows):
        estimates = [results.mean(i, column) for column in columns]
        axes.errorbar(
            aside(x, i, len(rows), max(x) - min(x)),
            means(estimates),
            yerr=whiskers(estimates),
            label=row.name,
            color=COLOURS[i % len(COLOURS)],
            marker=MARKERS[i % len(MARKERS)],
            linestyle=DASHES[i % len(DASHES)],
            markersize=4,
            linewidth=1.3,
            elinewidth=0.9,
            capsize=2,
        )
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    tidy(axes)
    figure.legend(fontsize=8, frameon=False, loc="outside right center")
    name_interval(figure, results.seeds)
    return chart(figure)
