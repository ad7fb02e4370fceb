"""Beyond the paper. Which times t an expert is trained on: densities of t, and ranges of t.

HDDM parts the times among experts as it samples (§3.3.3), one above a threshold, another below.
Here the threshold is there in training: an expert of low noise and one of high, of all data and of
each cluster. Beside them uniform t, FLUX's logit-normal, and min-SNR.
scenes: 77 min for 3 seeds on 2 cores beside Table 1's, other work beside.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from experiments.cli.main import main
from experiments.drawing.forest import Mark, forest
from experiments.drawing.neighbours import sample_grid
from experiments.hddm import settings
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.recipes.scale import turned
from experiments.scores.scenes import VARIATION
from experiments.scores.score import Score
from experiments.stages.experts import TrainExpert
from experiments.stages.routers import InRanges
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, NEAREST, Column
from experiments.tables.comparisons import compared, index, interaction
from experiments.tables.results import Chart, Results, Table
from experiments.tables.rows import Row
from modules.denoising import DenoisingExpert, FlowMatchingExpert
from modules.selection import Only, Switch, Top
from modules.times import Between, MinSNR, MinSNRExpert
from modules.training import LogitNormal, Times, UniformTimes

ALL, EACH = "all data", "a cluster each"
UNIFORM, DENSITY, WEIGHT = "uniform", "min-SNR, by density", "min-SNR, by weight"


@dataclass(frozen=True)
class TrainedAt:
    """What an expert minimises, and the density of the times at which it does."""

    times: Times
    module: type[DenoisingExpert] = FlowMatchingExpert


DENSITIES = {
    UNIFORM: TrainedAt(UniformTimes()),
    "logit-normal": TrainedAt(LogitNormal()),
    DENSITY: TrainedAt(MinSNR()),
    WEIGHT: TrainedAt(UniformTimes(), MinSNRExpert),
}


def ranges(boundary: float) -> str:
    """What two experts are called, of which one knows the times above a boundary."""
    return f"t to {boundary:g}, t from {boundary:g}"


def rows(scale: ImageScale, seed: int) -> list[Row]:
    scale = settings.beyond(scale)
    made = []
    for name, how in DENSITIES.items():
        one, each = _of_density(scale, how, seed)
        made += [Row(_names(name, ALL), one), Row(_names(name, EACH), each)]
    for boundary in scale.study.beyond.boundaries:
        one, each = _of_ranges(scale, boundary, seed)
        made += [Row(_names(ranges(boundary), ALL), one), Row(_names(ranges(boundary), EACH), each)]
    return [*made, Row(_names("Real pictures", ""), scores.real(scale, seed))]


def _names(times: str, data: str) -> dict[str, str]:
    return {"Trained at": times, "Trained on": data}


def _of_density(scale: ImageScale, how: TrainedAt, seed: int) -> tuple[Score, Score]:
    """The monolith, and one expert a cluster, all trained at these times."""
    router = experts.router(scale, True, seed)
    scale = turned(scale, {"expert.times": how.times})
    monolith = experts.monolith(scale, how.module, seed)
    each = experts.mixed(scale, how.module, {}, seed)
    return scores.alone(scale, monolith, seed), scores.score(scale, each, router, Top(2), seed)


def _of_ranges(scale: ImageScale, boundary: float, seed: int) -> tuple[Score, Score]:
    """An expert of low noise and one of high, of all data, and such a pair of each cluster."""
    parts = (Between(0, boundary), Between(boundary, 1))
    low, high = (list(_sharing(scale, times, seed)) for times in parts)
    switch = Switch(boundary, early=Only(1), late=Only(0))
    alone = scores.score(scale, [low[0], high[0]], None, switch, seed)
    router = InRanges(experts.router(scale, True, seed), (boundary,))
    return alone, scores.score(scale, [*low[1:], *high[1:]], router, Top(2), seed)


def _sharing(scale: ImageScale, times: Between, seed: int) -> Iterator[TrainExpert]:
    """A monolith and an expert of each cluster, trained in a range of times on the range's share of
    each batch: together the experts of all ranges see t uniformly, as one network does."""
    scale = turned(scale, {"expert.times": times})
    whole = experts.monolith(scale, FlowMatchingExpert, seed)
    for stage in (whole, *experts.mixed(scale, FlowMatchingExpert, {}, seed)):
        batch = max(1, round((times.high - times.low) * stage.optim.batch))
        yield replace(stage, optim=experts.of_batch(scale, batch))


def tests(results: Results) -> list[str | None]:
    """Every density and every pair of ranges against uniform t, min-SNR's two forms against each
    other, clusters against all data, and whether any of them does more within clusters."""
    names = [row.names["Trained at"] for row in results.rows[0] if row.names["Trained on"] == ALL]
    others = [name for name in names if name != UNIFORM]
    lines = list[str | None]()
    for column in (FID, ACCURACY, VARIATION):
        for data in (ALL, EACH):
            lines += [compared(results, column, (name, data), (UNIFORM, data)) for name in others]
            lines.append(compared(results, column, (DENSITY, data), (WEIGHT, data)))
        lines += [compared(results, column, (name, EACH), (name, ALL)) for name in names]
        for name in others:
            pairs = [((name, data), (UNIFORM, data)) for data in (EACH, ALL)]
            lines.append(interaction(results, column, *pairs))
    return lines


def figure_of(column: Column) -> Callable[[Results], Chart]:
    """What every way of training has above uniform t, paired by seed."""

    def figure(results: Results) -> Chart:
        panels = dict[str, list[Mark]]()
        for row in results.rows[0]:
            name, data = row.names["Trained at"], row.names["Trained on"]
            if data and name != UNIFORM:
                own, base = (index(results, each, data) for each in (name, UNIFORM))
                less = results.difference(own, base, results.shown(column))
                panels.setdefault(f"Trained on {data}", []).append(Mark(name, less))
        return forest(panels, results.shown(column).title, results.seeds, less="uniform t")

    return figure


TABLE = Table(
    name="ablation-times",
    title="The times that experts are trained at (beyond HDDM §3.3.3)",
    columns=[FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    notes=[
        "Experts of a cluster each are asked by a text-aware router and Top-2, which is the same "
        "for all rows. All rows of one kind of data, all or a cluster each, see as many samples in "
        "training.",
        "Of two experts of ranges one knows the times to a boundary and the other those from it "
        "on, each with its range's share of every batch, to whole samples, at the learning rate "
        "that goes with it: together they see t uniformly. They have the weights of two, and each "
        "time asks one of them.",
        "Min-SNR weighs the error of x0 by min(SNR, 5) (Hang et al. 2023), that is the velocity's "
        "by min((1 - t)^2, 5 t^2) on the linear path, which is 0 at both ends. By weight t is "
        "uniform and the loss is weighed; by density t is drawn in proportion to the weight of the "
        "velocity's error, which has the same gradient on average, before it is clipped and Adam "
        "divides it.",
        settings.UNADJUSTED,
    ],
    baseline=None,
    figures={
        "ablation-times": sample_grid,
        "ablation-times-fid": figure_of(FID),
        "ablation-times-prompts": figure_of(ACCURACY),
        "ablation-times-unsaid": figure_of(VARIATION),
    },
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
