"""Ablation: do the experts that a selection asks suit the state?  HDDM §3.2's strategies.

The measures of "expert-data alignment" (arXiv 2602.02685), by this suite's own formulas
(metrics/alignment.py), at noised held-out pictures and along sampling.
small: 1 min for 3 seeds on 2 cores beyond Table 1.
"""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datamodules.sources.source import Split
from experiments.cli.main import main
from experiments.drawing.style import COLOURS, INK, png, tidy
from experiments.hddm import settings
from experiments.hddm.variants import ROUTERS, STRATEGIES
from experiments.measures.alignment import HELDOUT, SAMPLING, Aligned
from experiments.measures.routing import MEAN
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.scores.score import Score
from experiments.stages.samples import Sample
from experiments.tables.columns import Column
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from experiments.tables.statistics import estimate
from experiments.tables.sweeps import check
from modules.denoising import FlowMatchingExpert

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACES = HELDOUT, SAMPLING

COLUMNS = [
    Column("sensitivity", "Effective sensitivity", 3),
    Column("refinement", "Step-refinement disagreement, %", 2, factor=100),
    Column("cluster_distance", "Cluster distance of the selected", 3),
    Column("selected_error", "Error of the selected", 3),
    Column("unselected_error", "Error of the others", 3),
    Column("angle", "Angular disagreement, degrees", 1),
]


@dataclass(frozen=True)
class StateTimes:
    """times: t at which states are compared: times of the solver's grid at 25 and at 50 steps."""

    times: tuple[float, ...] = (0.96, 0.8, 0.6, 0.4, 0.2)

    def __post_init__(self) -> None:
        check("times", self.times, 0.01, 0.99)

    def rows(self, scale: ImageScale, seed: int) -> list[Row]:
        scale = settings.matched(scale)
        trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
        monolith = experts.monolith(scale, FlowMatchingExpert, seed)
        by_name = {("Monolithic", ""): scores.alone(scale, monolith, seed)}
        for form, reads_text in ROUTERS.items():
            router = experts.router(scale, reads_text, seed)
            for name, selection in STRATEGIES.items():
                by_name[name, form] = scores.score(scale, trained, router, selection, seed)
        heldout = experts.encoded(scale, Split.HELDOUT)
        times = tuple(sorted(self.times, reverse=True))
        return [
            Row(
                {"Strategy": strategy, "Router": form, "States": place},
                Aligned(_sample(score), heldout, times),
                at=f"{place} {MEAN}",
            )
            for place in PLACES
            for (strategy, form), score in by_name.items()
        ]


def _times(results: Results) -> tuple[float, ...]:
    """The times, falling, that the rows were measured at."""
    measured = results.rows[0][0].measured
    assert isinstance(measured, Aligned)
    return measured.times


def tests(results: Results) -> list[str]:
    """What the means are over."""
    return ["Means over t = " + ", ".join(f"{t:g}" for t in _times(results)) + "."]


def _sample(score: Score) -> Sample:
    """The sample set behind a score, shared with the tables that score it."""
    assert isinstance(score.pictures, Sample)
    return score.pictures


def curves(results: Results) -> bytes:
    """A PNG: every measure over t, held-out states above and states met in sampling below."""
    import matplotlib.pyplot as plt

    size = 3.4 * len(COLUMNS), 6
    figure, axes = plt.subplots(
        len(PLACES), len(COLUMNS), figsize=size, sharey="col", layout="constrained"
    )
    for i, row in enumerate(results.rows[0]):
        place = row.names["States"]
        for axis, column in zip(axes[PLACES.index(place)], COLUMNS, strict=True):
            _curve(axis, results, i, place, column)
            axis.set_title(column.title, fontsize=9)
            axis.set_xlabel("t (1: noise)", fontsize=9)
    for axis, place in zip(axes[:, 0], PLACES, strict=True):
        axis.set_ylabel(f"{place} states")
    for axis in axes.flat:
        tidy(axis)
        axis.set_visible(axis.has_data())
    names = axes[0, 0].get_legend_handles_labels()
    figure.legend(*names, loc="outside upper center", ncols=len(names[1]), frameon=False)
    return png(figure)


def _curve(axis: "Axes", results: Results, i: int, place: str, column: Column) -> None:
    """One row's curve with its intervals, where the measure exists."""

    rows = [rows[i] for rows in results.rows]
    names, times = rows[0].names, _times(results)
    by_seed = [row.measured.read(results.store) for row in rows if row.measured is not None]
    points = [
        estimate([x for seed in by_seed if (x := seed[f"{place} {t}"][column.key]) is not None])
        for t in times
    ]
    if any(point.mean is None for point in points):
        return
    axis.errorbar(
        times,
        [column.factor * float(point.mean or 0) for point in points],
        yerr=[column.factor * (point.half_width or 0.0) for point in points],
        color={"": INK, "text-free": COLOURS[0], "text-aware": COLOURS[1]}[names["Router"]],
        linestyle={"Top-1": ":", "Top-2": "--"}.get(names["Strategy"], "-"),
        marker=".",
        capsize=2,
        label=" ".join(filter(None, (names["Strategy"], names["Router"]))),
    )


TABLE = Table(
    name="ablation-alignment",
    title="Ablation. Expert-data alignment of every selection (HDDM §3.2, arXiv 2602.02685)",
    columns=COLUMNS,
    rows=StateTimes().rows,
    sweep=StateTimes(),
    scales=SCALES,
    judge=scores.judge,
    baseline=None,
    notes=[
        "The formulas are this suite's own, since the source's are not at hand: compare rows, not "
        "values with that paper's.",
        "Sensitivity: response of the field to a small shift of the state, as a ratio of norms. "
        "Disagreement: one solver step against two half steps, relative to the step.",
        "Cluster distance: cosine distance from the centroids of the selected experts to the "
        "picture a state belongs to: its own, or the one that its sampling ends in.",
        "Errors: mean square against the velocity of the noising itself; the others weigh by how "
        "little they are selected. Angle: an asked expert's velocity against the mixture's.",
        "Along sampling no true velocity is known, and one expert alone agrees with itself: such "
        "cells are missing.",
    ],
    figures={"ablation-alignment": curves},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
