"""The verdict of a reading: a pure function of what was found, what was claimed and a margin."""

from dataclasses import dataclass
from enum import Enum

from experiments.tables.inference import LEVEL


class Verdict(Enum):
    HOLDS = "holds"
    FAILS = "does not hold"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    CONSTRUCTION = "by construction"
    UNTESTABLE = "not testable here"
    MISSING = "not run"


class Expected(Enum):
    """Where the contrast lies if the claim holds."""

    BELOW = "below 0"
    ABOVE = "above 0"
    EITHER = "other than 0"
    NO_LESS = "above 0 less the margin"

    def wants(self, mean: float) -> bool:
        """Whether a mean lies on the claimed side."""
        return mean < 0 if self is Expected.BELOW else mean > 0 or self is Expected.EITHER


@dataclass(frozen=True)
class Margin:
    """The smallest difference that would matter.

    share: of the base row's number.  source: where it is from.  printed: whether the claim itself
    prints the effect that it is a share of.
    """

    share: float
    source: str
    printed: bool = False


def half(effect: float, base: float) -> Margin:
    """Half of the effect that a claim prints: a difference, as a share of what it is from."""
    whole = abs(effect / base)
    return Margin(whole / 2, f"half of the paper's {whole:.1%}", printed=True)


@dataclass(frozen=True)
class Tested:
    """What decides a reading.

    mean: of the contrast, its margin added under NO_LESS.  difference: p that the mean is 0.
    equivalence: p that it lies outside its margin; 1 under NO_LESS, which asks for one side of it.
    Both adjusted for their family.
    """

    mean: float
    difference: float
    equivalence: float


class Finding(Enum):
    """What the evidence says of a contrast, whatever is claimed of it."""

    WITHIN = "within the margin"
    BELOW = "below 0"
    ABOVE = "above 0"
    NEITHER = "neither a difference nor equivalence"


def finding(tested: Tested) -> Finding:
    """A two-sided t test beside two one-sided ones, at 5 % (Lakens, 2017, Fig 1); where both speak,
    the contrast differs from 0 by less than matters, and counts as within."""
    if tested.equivalence <= LEVEL:
        return Finding.WITHIN
    if tested.difference > LEVEL:
        return Finding.NEITHER
    return Finding.BELOW if tested.mean < 0 else Finding.ABOVE


def verdict(tested: Tested, expected: Expected, *, printed: bool) -> Verdict:
    """Whether a claim holds.

    A contrast too small to matter, whatever its sign, contradicts a claim that prints a larger
    effect, and leaves one that prints none *equivalent*.
    """
    match finding(tested):
        case Finding.WITHIN:
            return Verdict.FAILS if printed else Verdict.EQUIVALENT
        case Finding.NEITHER:
            return Verdict.UNDECIDED
    return Verdict.HOLDS if expected.wants(tested.mean) else Verdict.FAILS
