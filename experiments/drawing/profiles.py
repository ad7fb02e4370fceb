"""A line for every row over numbers that are columns: an answer's accuracy over time."""

from collections.abc import Sequence

from experiments.drawing.style import COLOURS, MARKERS, png, tidy
from experiments.tables.columns import Column
from experiments.tables.results import Results


def profiles(
    results: Results, columns: Sequence[Column], x: Sequence[float], xlabel: str, ylabel: str
) -> bytes:
    """A PNG: each row's numbers in `columns` at x, with the 95 % intervals of their means."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 3.2))
    for i, row in enumerate(results.rows[0]):
        estimates = [results.mean(i, column) for column in columns]
        means = [float("nan") if e.mean is None else e.mean for e in estimates]
        ends = [e.half_width or 0.0 for e in estimates]
        axes.errorbar(
            x,
            means,
            yerr=ends if any(ends) else None,
            label=row.name,
            color=COLOURS[i % len(COLOURS)],
            marker=MARKERS[i % len(MARKERS)],
            markersize=4,
            linewidth=1.4,
            capsize=2,
        )
    axes.set_xlabel(xlabel, fontsize=9)
    axes.set_ylabel(ylabel, fontsize=9)
    axes.legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    tidy(axes)
    return png(figure)
