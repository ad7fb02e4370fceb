"""Ratios of what two sides took, and their spread over pairs. Nothing is measured here.

A ratio is formed within a pair, whose two halves ran one after the other: what slows the machine
for a while slows both.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol


class Clock(Enum):
    """Seconds of the processor, children's included, or seconds on the wall."""

    CPU = "cpu"
    WALL = "wall"


@dataclass(frozen=True)
class Timed:
    """One call of a side: CPU and wall seconds.

    amount: units of work in a call, as samples, bytes or FLOPs.  output: what a call returned.
    """

    cpu: float
    wall: float
    amount: float = 1.0
    output: Any = None

    def seconds(self, clock: Clock) -> float:
        return self.cpu if clock is Clock.CPU else self.wall


class Ratio(Protocol):
    """What is divided by what, and the goal for it; None for a row that has no goal."""

    @property
    def goal(self) -> float | None: ...

    @property
    def title(self) -> str: ...

    def of(self, ours: Timed, peer: Timed, clock: Clock) -> float: ...

    def met(self, ratio: float) -> bool | None: ...


@dataclass(frozen=True)
class RateRatio:
    """Units of work a second, ours over the peer's; the goal is the least of it."""

    goal: float | None
    title = "our rate / the peer's"

    def of(self, ours: Timed, peer: Timed, clock: Clock) -> float:
        rates = [side.amount / side.seconds(clock) for side in (ours, peer)]
        return rates[0] / rates[1]

    def met(self, ratio: float) -> bool | None:
        return None if self.goal is None else ratio >= self.goal


@dataclass(frozen=True)
class TimeRatio:
    """Seconds a call, ours over the peer's, whatever the amounts; the goal is the most of it."""

    goal: float | None
    title = "our time / the peer's"

    def of(self, ours: Timed, peer: Timed, clock: Clock) -> float:
        return ours.seconds(clock) / peer.seconds(clock)

    def met(self, ratio: float) -> bool | None:
        return None if self.goal is None else ratio <= self.goal


@dataclass(frozen=True)
class SecondsOfOurs:
    """Seconds a call of ours alone, for a goal that is no ratio; the goal is the most of them."""

    goal: float | None
    title = "our seconds"

    def of(self, ours: Timed, peer: Timed, clock: Clock) -> float:
        return ours.seconds(clock)

    def met(self, ratio: float) -> bool | None:
        return None if self.goal is None else ratio <= self.goal


@dataclass(frozen=True)
class MemoryRatio:
    """Bytes, which a call returns, ours over the peer's; the goal is the most of it."""

    goal: float | None
    title = "our memory / the peer's"

    def of(self, ours: Timed, peer: Timed, clock: Clock) -> float:
        return ours.output / peer.output

    def met(self, ratio: float) -> bool | None:
        return None if self.goal is None else ratio <= self.goal


@dataclass(frozen=True)
class Spread:
    """The median, least and greatest of n numbers."""

    median: float
    least: float
    greatest: float
    n: int

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """ValueError for no numbers, or one that is not finite."""
        if not numbers or not all(map(math.isfinite, numbers)):
            raise ValueError(f"no spread of {list(numbers)}")
        return cls(statistics.median(numbers), min(numbers), max(numbers), len(numbers))


MET = {True: "met", False: "missed", None: "none"}


def verdict(ratio: Ratio, spread: Spread) -> str:
    """Whether the goal is met or missed, where every pair says so; else it is undecided. "none"
    without a goal."""
    met = {ratio.met(spread.least), ratio.met(spread.greatest)}
    return MET[met.pop()] if len(met) == 1 else "undecided"


def ratios(pairs: Sequence[tuple[Timed, Timed]], ratio: Ratio, clock: Clock) -> Spread:
    """The spread of the ratio within each pair of (ours, the peer's)."""
    return Spread.of([ratio.of(ours, peer, clock) for ours, peer in pairs])
