"""Many contrasts at once: each distinct one counted once, and its p adjusted for the others.

Of one paper there are two families, whether contrasts differ from 0 and whether they lie within
their margins, both counted over the paper's m questions. No contrast is both 0 and beyond its
margin, so m0 + m0' <= m of these hypotheses are true, and the share of false verdicts of both kinds
together is at most 5 % (m0 / m + m0' / m), however the families hang together. Contrasts share
rows: Benjamini and Hochberg's bound is proven for independent or positively dependent ones, Holm's
for any.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

from experiments.tables.inference import LEVEL

DIGITS = 9
"""To which two numbers are one: table3 and ablation-schedules score the same samples."""


@dataclass(frozen=True)
class Adjusted:
    """p of one hypothesis, and adjusted for its family: the false discovery rate, any error."""

    p: float
    false_discovery: float
    family_wise: float


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """p adjusted to bound the share of false discoveries (Benjamini and Hochberg, 1995), along the
    last axis."""
    return np.asarray(false_discovery_control(p, axis=-1, method="bh"))


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """p adjusted to bound the chance of any false rejection (Holm, 1979), along the last axis."""
    given = np.asarray(p, float)
    order = given.argsort(axis=-1)
    left = np.arange(given.shape[-1], 0, -1)  # hypotheses that are not yet rejected
    stepped = np.take_along_axis(given, order, axis=-1) * left
    bounded = np.minimum(np.maximum.accumulate(stepped, axis=-1), 1.0)
    adjusted = np.empty_like(given)
    np.put_along_axis(adjusted, order, bounded, axis=-1)
    return adjusted


def deciding(false_discovery: ArrayLike, questions: int) -> NDArray[np.float64]:
    """The largest p at which a hypothesis is rejected, [...], of adjusted ones [..., m].

    Benjamini and Hochberg's critical value: 5 % times the share of the questions that is rejected,
    or times one of them where none is; 5 % where nothing is asked.
    """
    rejected = (np.asarray(false_discovery) <= LEVEL).sum(axis=-1)
    return np.asarray(LEVEL * np.maximum(rejected, 1) / max(questions, 1))


def identity(metric: str, values: Sequence[float]) -> tuple[str, ...]:
    """What a contrast is counted by: its metric, and its number at every seed, whatever its sign.

    One metric in two tables is one; two metrics that agree, as accuracies of few samples may, are
    two. A swing whose terms keep their order over all seeds is the difference that it reduces to.
    """
    sign = next((1.0 if value > 0 else -1.0 for value in values if value), 1.0)
    return (metric, *(f"{sign * value + 0.0:.{DIGITS}g}" for value in values))


def adjusted(family: Mapping[Hashable, float], questions: int) -> dict[Hashable, Adjusted]:
    """The p of each hypothesis of a family beside those adjusted for so many questions, as if the
    rest of them had p = 1; a family may be empty."""
    p = [*family.values(), *[1.0] * (questions - len(family))]
    found = zip(p, benjamini_hochberg(p), holm(p), strict=True)
    named = zip(family, found, strict=False)
    return {name: Adjusted(*(float(number) for number in three)) for name, three in named}
