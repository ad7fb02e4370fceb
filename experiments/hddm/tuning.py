"""The dials of small that were chosen here, and on what: pictures that no table scores.

Steps and learning rate are those of the lowest velocity error on pictures set apart, for experts
and monolith together; the latest time at which a converted DDPM expert is asked (`LAST`) is that of
the lowest FID beside the same pictures, since it is a dial of sampling.
small: 20 min for 3 seeds on 2 cores · a scale whose data have nothing set apart has no such table.
"""

import sys
from dataclasses import dataclass, replace
from math import isnan, nan

import numpy as np

from datamodules.sources.source import DividedSource, Split
from experiments.cli.main import main
from experiments.hddm import readings, settings
from experiments.hddm.variants import DDPM_CLUSTERS, HETEROGENEOUS, MIXES
from experiments.measures.tuning import VelocityError
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.recipes.scale import turned
from experiments.stages.experts import TrainExpert
from experiments.tables.columns import ACCURACY, FID, NEAREST, NOT_NEGATIVE, Column
from experiments.tables.comparisons import verdict
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row
from experiments.tables.statistics import Estimate, estimate
from experiments.tables.sweeps import check
from modules.denoising import FlowMatchingExpert
from modules.guard import LAST, Guard
from modules.selection import Top

ERROR = Column("velocity_error", "Velocity error", 4, lies=NOT_NEGATIVE)
DRAWS = 16
STEPS, LR, LATEST = "steps, share of the scale's", "lr, share of the scale's", "LAST"
BY = {STEPS: ERROR, LR: ERROR, LATEST: FID}
"""What each dial is chosen by."""
EXPERTS, MONOLITH, CONVERTED = "eight experts", "monolith", "converted DDPM experts"


@dataclass(frozen=True)
class Candidates:
    """steps, lr: shares of the scale's own; the scale's choice of shares where none are given.
    last: latest times of a converted expert."""

    steps: tuple[float, ...] | None = None
    lr: tuple[float, ...] | None = None
    last: tuple[float, ...] = (0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)

    def __post_init__(self) -> None:
        for name, shares in (("steps", self.steps), ("lr", self.lr)):
            if shares is not None:
                check(name, shares, 0.01, 100)
        check("last", self.last, 0.01, 0.9999)

    def rows(self, scale: ImageScale, seed: int) -> list[Row]:
        scale, study, made = scale.tuning(), scale.study, list[Row]()
        steps = study.tuned_steps if self.steps is None else self.steps
        lr = study.tuned_lr if self.lr is None else self.lr
        for dial, shares in ((STEPS, steps), (LR, lr)):
            for share in shares:
                made += _trained(_turned(scale, dial, share), dial, share, seed)
        return [*made, *(_asked_last(scale, last, seed) for last in self.last)]


def _asked_last(scale: ImageScale, last: float, seed: int) -> Row:
    """The DDPM experts of 2DDPM:6FM by themselves, and samples of all eight."""
    mixed = experts.mixed(scale, FlowMatchingExpert, MIXES[HETEROGENEOUS], seed)
    router = experts.router(scale, True, seed)
    setting = readings.corrected(settings.conversion(scale), last)
    drawn = scores.score(scale, mixed, router, Top(2), seed, setting)
    ddpm = [mixed[k] for k in DDPM_CLUSTERS]
    error = replace(_error(scale, ddpm), guard=Guard(t_max=last), score=drawn)
    return _row(LATEST, last, CONVERTED, error)


def _turned(scale: ImageScale, dial: str, share: float) -> ImageScale:
    train = scale.train
    if dial == LR:
        final = None if train.final_lr is None else train.final_lr * share
        return turned(scale, {"train.lr": train.lr * share, "train.final_lr": final})
    steps = max(round(train.steps * share), train.warmup)
    return turned(scale, {"train.steps": steps})


def _trained(scale: ImageScale, dial: str, share: float, seed: int) -> list[Row]:
    """Experts and monolith of one recipe, their samples scored beside the pictures set apart."""
    trained = experts.mixed(scale, FlowMatchingExpert, {}, seed)
    monolith = experts.monolith(scale, FlowMatchingExpert, seed)
    router = experts.router(scale, True, seed)
    together = scores.score(scale, trained, router, Top(2), seed)
    return [
        _row(dial, share, EXPERTS, replace(_error(scale, trained), score=together)),
        _row(
            dial,
            share,
            MONOLITH,
            replace(_error(scale, [monolith]), score=scores.alone(scale, monolith, seed)),
        ),
    ]


def _error(scale: ImageScale, trained: list[TrainExpert]) -> VelocityError:
    return VelocityError(tuple(trained), experts.encoded(scale, Split.HELDOUT), DRAWS)


def _row(dial: str, value: float, who: str, measured: VelocityError) -> Row:
    return Row({"Dial": dial, "Value": f"{value:g}", "Whose": who}, measured)


def chosen(results: Results) -> dict[str, float]:
    """Of every dial the value at which what it is chosen by is lowest, the mean over whose it is
    and over seeds."""
    judged: dict[tuple[str, str], list[float]] = {}
    for i, row in enumerate(results.rows[0]):
        dial, value = row.names["Dial"], row.names["Value"]
        numbers = [x for x in results.values(i, BY[dial]) if x is not None]
        judged.setdefault((dial, value), []).extend(numbers)
    dials = dict.fromkeys(dial for dial, _ in judged)
    means = {key: float(np.mean(values)) for key, values in judged.items()}
    return {
        dial: float(min((v for d, v in means if d == dial), key=lambda v: means[dial, v]))
        for dial in dials
    }


def tests(results: Results) -> list[str]:
    """What the scale has, beside what the digits say."""
    own, lines = {STEPS: 1.0, LR: 1.0, LATEST: LAST}, list[str]()
    for dial, value in chosen(results).items():
        column = results.shown(BY[dial])
        lines.append(f"{dial}: {column.title} lowest at {value:g}; the scale has {own[dial]:g}.")
        for other, less in above_best(results, dial, value).items():
            lines.append(
                f"{dial}: {column.title} at {other:g} less that at {value:g}: {column.show(less)} "
                f"(n = {less.n}): {verdict(less)}."
            )
    return lines


def above_best(results: Results, dial: str, best: float) -> dict[float, Estimate]:
    """By how much each other value of a dial is worse than the best, the mean over whose it is,
    paired by seed. The best was picked by looking: an interval that excludes 0 says less than one
    of two values stated beforehand."""
    each: dict[float, list[list[float | None]]] = {}
    for i, row in enumerate(results.rows[0]):
        if row.names["Dial"] == dial:
            values = results.values(i, BY[dial])
            each.setdefault(float(row.names["Value"]), []).append(values)
    means = {value: _by_seed(rows) for value, rows in each.items()}
    return {
        value: estimate([a - b for a, b in zip(x, means[best], strict=True) if not isnan(a - b)])
        for value, x in means.items()
        if value != best
    }


def _by_seed(rows: list[list[float | None]]) -> list[float]:
    """The mean of several rows for each seed; nan where one lacks its number."""
    return [
        nan if None in seed else float(np.mean([x for x in seed if x is not None]))
        for seed in zip(*rows, strict=True)
    ]


TABLE = Table(
    name="tuning",
    title="The dials that were chosen here, on pictures that no table scores",
    columns=[ERROR, FID, NEAREST, ACCURACY],
    rows=Candidates().rows,
    scales={name: x for name, x in SCALES.items() if isinstance(x.data.source, DividedSource)},
    judge=scores.judge,
    baseline=None,
    notes=[
        "Velocity error: the FM loss of the averaged weights on the pictures set apart, each asked "
        f"of the expert of its cluster at {DRAWS} times, with the same t and eps in every row. "
        "Experts and monolith have one number of steps and one learning rate, at which the mean of "
        "their errors is lowest.",
        "FID, nearest picture and prompt accuracy are of Top-2 under the text-aware router, and of "
        "the monolith, beside the same pictures. They choose neither steps nor learning rate: FID "
        "falls where pictures of the training set are copied, which the nearest picture tells.",
        "LAST: the latest time of its own schedule at which a converted DDPM expert is asked. The "
        "error is that of the two DDPM experts of 2DDPM:6FM as velocities on the linear path, "
        "samples are of all eight; LAST is a dial of sampling, and is chosen by their FID.",
    ],
    tests=tests,
    sweep=Candidates(),
)

if __name__ == "__main__":
    sys.exit(main(TABLE))
