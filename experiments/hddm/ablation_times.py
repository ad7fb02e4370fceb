"""Beyond the paper. Which times t an expert is trained on: densities of t, and ranges of t.

HDDM parts the times among experts as it samples (§3.3.3), one above a threshold, another below.
Here the threshold is there in training: an expert of low noise and one of high, each of half the
samples, of all data and of each cluster. Beside them uniform t, FLUX's logit-normal, and min-SNR.
scenes: not timed yet; 6 times the training of a monolith and of eight experts.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from experiments.cli.main import main
from experiments.drawing.neighbours import sample_grid
from experiments.hddm import settings
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.recipes.scale import turned
from experiments.scores.score import Score
from experiments.stages.experts import TrainExpert
from experiments.stages.routers import InRanges
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, NEAREST
from experiments.tables.comparisons import compared
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from modules.denoising import DenoisingExpert, FlowMatchingExpert
from modules.selection import Only, Switch, Top
from modules.times import Between, MinSNR, MinSNRExpert
from modules.training import LogitNormal, Times, UniformTimes

ALL, EACH = "all data", "a cluster each"
UNIFORM = "uniform"


@dataclass(frozen=True)
class TrainedAt:
    """What an expert minimises, and the density of the times at which it does."""

    times: Times
    module: type[DenoisingExpert] = FlowMatchingExpert


DENSITIES = {
    UNIFORM: TrainedAt(UniformTimes()),
    "logit-normal": TrainedAt(LogitNormal()),
    "min-SNR, by density": TrainedAt(MinSNR()),
    "min-SNR, by weight": TrainedAt(UniformTimes(), MinSNRExpert),
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
    return made


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
    low, high = (list(_halved(scale, times, seed)) for times in parts)
    switch = Switch(boundary, early=Only(1), late=Only(0))
    alone = scores.score(scale, [low[0], high[0]], None, switch, seed)
    router = InRanges(experts.router(scale, True, seed), (boundary,))
    return alone, scores.score(scale, [*low[1:], *high[1:]], router, Top(2), seed)


def _halved(scale: ImageScale, times: Times, seed: int) -> Iterator[TrainExpert]:
    """A monolith and an expert of each cluster, trained at these times on half of the samples."""
    scale = turned(scale, {"expert.times": times})
    whole = experts.monolith(scale, FlowMatchingExpert, seed)
    for stage in (whole, *experts.mixed(scale, FlowMatchingExpert, {}, seed)):
        yield replace(stage, optim=replace(stage.optim, batch=stage.optim.batch // 2))


def tests(results: Results) -> list[str | None]:
    """Every density and every pair of ranges against uniform t, of all data and of clusters."""
    names = dict.fromkeys(row.names["Trained at"] for row in results.rows[0])
    return [
        compared(results, column, (name, data), (UNIFORM, data))
        for data in (ALL, EACH)
        for column in (FID, ACCURACY)
        for name in names
        if name != UNIFORM
    ]


TABLE = Table(
    name="ablation-times",
    title="The times that experts are trained at (beyond HDDM §3.3.3)",
    columns=[FID, KID, ACCURACY, DIVERSITY, NEAREST, EXPERT],
    rows=rows,
    scales=settings.WORLDS,
    judge=settings.judge_of_scenes,
    notes=[
        "Experts of a cluster each are asked by a text-aware router and Top-2, which is the same "
        "for all rows. All rows of one column of data see as many samples in training.",
        "Of two experts of ranges one knows the times to a boundary and the other those from it "
        "on, each of half the batch, whatever the width of its range; a sampler passes from one to "
        "the other.",
        "Min-SNR weighs the error of x0 by min(SNR, 5) (Hang et al. 2023). By weight t is uniform "
        "and the loss is weighed; by density t is drawn in proportion to that weight, which has "
        "the same gradient on average.",
    ],
    figures={"ablation-times": sample_grid},
    tests=tests,
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
