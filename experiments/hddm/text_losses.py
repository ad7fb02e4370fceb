"""What a router without text loses, by the bits that captions tell of clusters: ablation-text."""

import itertools

import numpy as np
from numpy.typing import NDArray

from datamodules.partitions import AtRandom, ByFactors, Grouped, StatedPartition
from datamodules.sources.scenes import Factor
from experiments.hddm.variants import ROUTERS
from experiments.tables.columns import ACCURACY, MISSING, NOT_NEGATIVE, Column
from experiments.tables.comparisons import index, verdict
from experiments.tables.results import Results
from experiments.tables.statistics import Estimate, estimate

INFORMATION = Column("information", "I(caption; cluster), bits", 2, lies=NOT_NEGATIVE)
PARTITIONS: dict[str, StatedPartition | None] = {
    "at random": AtRandom(),
    "texture, unsaid": ByFactors((Grouped(Factor.TEXTURE, 8),)),
    "half of colour": ByFactors((Grouped(Factor.COLOUR, 2), Grouped(Factor.TEXTURE, 4))),
    "most of colour": ByFactors((Grouped(Factor.COLOUR, 4), Grouped(Factor.TEXTURE, 2))),
    "colour, said": ByFactors((Grouped(Factor.COLOUR, 8),)),
    "features": None,
}
"""Eight clusters each. Captions tell 0, 0, 1, 2 and 3 bits of them, and some of features' ones."""
UNTOLD = ("at random", "texture, unsaid")
TOLD = ("half of colour", "most of colour", "colour, said")
"""Partitions of which captions tell nothing, and one, two and three bits."""
FREE, AWARE = ROUTERS


def loss(results: Results, partition: str, strategy: str, column: Column) -> list[float]:
    """The text-free router's number less the text-aware one's, by seed, where both are there."""
    return [a - b for a, b in _pairs(results, partition, strategy, column)]


def _pairs(
    results: Results, partition: str, strategy: str, column: Column
) -> list[tuple[float, float]]:
    rows = [index(results, partition, form, strategy) for form in (FREE, AWARE)]
    free, aware = (results.values(row, column) for row in rows)
    both = zip(free, aware, strict=True)
    return [(a, b) for a, b in both if a is not None and b is not None]


def bits(results: Results, partition: str) -> list[float]:
    """I(caption; cluster) by seed."""
    row = index(results, partition, FREE, "Full")
    return [x for x in results.values(row, INFORMATION) if x is not None]


def trend(results: Results, strategy: str, column: Column) -> tuple[Estimate, Estimate]:
    """The slope of the loss against I(caption; cluster), and where its line meets 0 bits: least
    squares over the partitions of each seed, the mean over seeds."""
    x = np.array([bits(results, name) for name in PARTITIONS])
    y = np.array([loss(results, name, strategy, column) for name in PARTITIONS])
    lines = [np.polyfit(a, b, 1) for a, b in zip(x.T, y.T, strict=True)]
    return estimate([float(a) for a, _ in lines]), estimate([float(b) for _, b in lines])


def straight(results: Results, strategy: str, column: Column) -> str:
    """The line through all partitions. Where it meets 0 bits is its fit, and no measured loss."""
    shown, (slope, rest) = results.shown(column), trend(results, strategy, column)
    return (
        f"{shown.title}, {strategy}, {FREE} less {AWARE}: {shown.show(slope)} a bit on average "
        f"(n = {slope.n}): {verdict(slope)}; the straight line meets 0 bits at {shown.show(rest)}."
    )


def bit_by_bit(results: Results, strategy: str) -> list[str]:
    """What the first, the second and the third bit of colour cost; what is left at each of what the
    text-aware router obeys; and features against a stated partition of about as many bits."""
    shown = results.shown(ACCURACY)
    lost = {name: np.array(loss(results, name, strategy, ACCURACY)) for name in PARTITIONS}
    at = [np.mean([lost[name] for name in UNTOLD], axis=0), *(lost[name] for name in TOLD)]
    steps = [after - before for before, after in itertools.pairwise(at)]
    left = [_left(results, name, strategy) for name in TOLD]
    contrasts = steps[-1] - steps[0], lost["features"] - lost[TOLD[1]]
    bend, features = (estimate(each.tolist()) for each in contrasts)
    title = f"{shown.title}, {strategy}, {FREE} less {AWARE}"

    def said(each: NDArray[np.float64]) -> str:
        return MISSING if np.isnan(each).any() else shown.show(estimate(each.tolist()))

    return [
        f"{title}: {', '.join(map(said, steps))} for the first, the second and the third bit of "
        f"colour; the third less the first: {shown.show(bend)}: {verdict(bend)}.",
        f"{shown.title}, {strategy}: {FREE} has {', '.join(map(said, left))} % of what {AWARE} has "
        "at one, two and three bits of colour; 50, 25 and 12.5 if each bit halved it.",
        f"{title}: at features less at {TOLD[1]}: {shown.show(features)}: {verdict(features)}.",
    ]


def _left(results: Results, partition: str, strategy: str) -> NDArray[np.float64]:
    """The text-free router's prompts in percent of the text-aware one's, by seed: NaN of none."""
    pairs = _pairs(results, partition, strategy, ACCURACY)
    return np.array([100 * a / b if b else np.nan for a, b in pairs])
