"""Ablation: do the experts that a selection asks suit the state?  HDDM §3.2's strategies.

The measures of "expert-data alignment" (arXiv 2602.02685), by this suite's own formulas
(metrics/alignment.py), at noised held-out pictures and along sampling.
small: 1 min for 3 seeds on 2 cores beyond Table 1.
"""

import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from datamodules.sources.source import Split
from experiments.cli.main import main
from experiments.drawing.intervals import aside, means, name_interval, whiskers
from experiments.drawing.panels import legend, panels_of
from experiments.drawing.style import COLOURS, DASHES, INK, MARKERS, chart, tidy
from experiments.hddm import settings
from experiments.hddm.variants import ROUTERS, STRATEGIES
from experiments.measures.alignment import HELDOUT, SAMPLING, Aligned
from experiments.measures.routing import MEAN
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.scores.score import Score
from experiments.stages.samples import Sample
from experiments.tables.columns import NOT_NEGATIVE, Column
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row, joined
from experiments.tables.statistics import Estimate, estimate
from experiments.tables.sweeps import check
from modules.denoising import FlowMatchingExpert

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACES = HELDOUT, SAMPLING
COLUMNS = [
    Column("sensitivity", "Effective sensitivity", 3, lies=NOT_NEGATIVE),
    Column("refinement", "Step-refinement disagreement, %", 2, factor=100, lies=NOT_NEGATIVE),
    Column("cluster_distance", "Cluster distance of the selected", 3, lies=NOT_NEGATIVE),
    Column("selected_error", "Error of the selected", 3, lies=NOT_NEGATIVE),
    Column("unselected_error", "Error of the others", 3, lies=NOT_NEGATIVE),
    Column("angle", "Angular disagreement, degrees", 1, lies=NOT_NEGATIVE),
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


def curves(results: Results) -> Chart:
    """Every measure over t: at held-out states, then at those met in sampling that know it."""
    points = {
        (place, column.title): lines
        for place in PLACES
        for column in COLUMNS
        if (lines := _lines(results, place, column))
    }
    figure, panels = panels_of(len(points), height=2.1)
    for axes, ((place, title), lines) in zip(panels, points.items(), strict=True):
        _panel(axes, lines, _times(results))
        axes.set_title(textwrap.fill(f"{place}: {title}", 30), fontsize=8, color=INK)
        axes.set_xlabel("t (1: noise)", fontsize=8)
    legend(figure, panels)
    name_interval(figure, results.seeds)
    return chart(figure)


def _lines(results: Results, place: str, column: Column) -> dict[str, list[Estimate]]:
    """{row: its estimates over t} where the measure exists."""
    lines = {}
    for i, row in enumerate(results.rows[0]):
        if row.names["States"] == place:
            estimates = [_at(results, i, f"{place} {t}", column) for t in _times(results)]
            if all(each.mean is not None for each in estimates):
                name = joined((row.names["Strategy"], row.names["Router"]))
                lines[name] = estimates
    return lines


def _at(results: Results, i: int, part: str, column: Column) -> Estimate:
    """A measure of row i in one part of its measurement, in the column's unit."""
    measured = [rows[i].measured for rows in results.rows]
    by_seed = [each.read(results.store)[part] for each in measured if each is not None]
    known = [value for seed in by_seed if (value := seed[column.key]) is not None]
    return estimate([column.factor * value for value in known]).within(*column.shown_range)


def _panel(axes: "Axes", lines: Mapping[str, Sequence[Estimate]], times: Sequence[float]) -> None:
    """A line for every selection: its router's colour, its strategy's dashes and marker."""
    for n, (name, estimates) in enumerate(lines.items()):
        strategy, _, router = name.partition(" ")
        axes.errorbar(
            aside(times, n, len(lines), max(times) - min(times)),
            means(estimates),
            yerr=whiskers(estimates),
            color={"": INK, "text-free": COLOURS[0], "text-aware": COLOURS[1]}[router],
            linestyle=DASHES[{"Top-1": 4, "Top-2": 1}.get(strategy, 0)],
            marker=MARKERS[{"Top-1": 1, "Top-2": 2}.get(strategy, 0)],
            ms=2.6,
            lw=1.1,
            elinewidth=0.7,
            capsize=1.2,
            label=name,
        )
    tidy(axes)


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
