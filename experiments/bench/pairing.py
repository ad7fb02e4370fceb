"""Two sides of one piece of work, checked to be the same work, then timed in turns: A B A B …"""

import gc
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.bench.ratios import Clock, Ratio, Timed


class RefusedError(RuntimeError):
    """A row that cannot be measured. Says why."""


class OtherWorkError(RefusedError):
    """The two sides do not do the same work: no ratio of them means anything. Says what differs."""


@dataclass(frozen=True)
class Alike:
    """A number that must agree between the sides, to `within` of the peer's; 0 for exactly."""

    what: str
    ours: float
    peer: float
    within: float = 0.0

    def __str__(self) -> str:
        return f"{self.what} {self.ours:.10g} and {self.peer:.10g}, to {self.within:g} of it"

    def check(self) -> None:
        """OtherWorkError unless they agree; what is not finite agrees with nothing."""
        if not abs(self.ours - self.peer) <= self.within * abs(self.peer):
            raise OtherWorkError(f"not the same work: {self}")


@dataclass(frozen=True)
class Side:
    """One side of a row.

    work: what is timed.  amount: units of work in one call.  before: what precedes each timing,
    untimed.
    """

    work: Callable[[], Any]
    amount: float = 1.0
    before: Callable[[], None] | None = None


@dataclass(frozen=True)
class TwoSides:
    """Ours and the peer's; alike: from what one call of each returned, what must agree."""

    ours: Side
    peer: Side
    alike: Callable[[Any, Any], Sequence[Alike]]


@dataclass(frozen=True)
class Room:
    """Where a row lays its files, and whether it is only to be seen to run.

    seeds: of the rows that make tables.
    """

    folder: Path
    brief: bool = False
    seeds: int = 1

    def amount(self, whole: int, brief: int) -> int:
        """`whole`, or `brief` of it where nothing will be claimed."""
        return brief if self.brief else whole


@dataclass(frozen=True)
class BenchRow:
    """A row of a bench table: what is measured against what, and the goal for their ratio.

    unit: of the work that is counted.  shapes, precision: of both sides.  peer: its name and
    version.  prepare: builds the sides, untimed.  calls: in one timing, whose mean is taken.
    most_pairs: however many are asked for.  warm_up: whether a call of each side precedes the
    first pair; of minutes of work whose sides share nothing the first pair is checked instead.
    """

    name: str
    what: str
    peer: str
    ratio: Ratio
    unit: str
    shapes: str
    precision: str
    prepare: Callable[[Room], TwoSides]
    calls: int = 1
    clock: Clock = Clock.CPU
    most_pairs: int | None = None
    warm_up: bool = True


@dataclass(frozen=True)
class Bench:
    """Rows of one table, `name`.csv and .md.  asked_only: run where it is named, not by default."""

    name: str
    title: str
    rows: tuple[BenchRow, ...]
    notes: tuple[str, ...] = ()
    asked_only: bool = False


@dataclass(frozen=True)
class Measured:
    """A row's pairs of (ours, the peer's), and what agreed before they were timed."""

    row: BenchRow
    pairs: tuple[tuple[Timed, Timed], ...]
    alike: tuple[Alike, ...]


def _cpu() -> float:
    """Seconds of this process and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))


def timed(side: Side, calls: int) -> Timed:
    """The mean of `calls` calls of one side."""
    if side.before is not None:
        side.before()
    gc.collect()  # so that neither side clears up after the other
    wall, cpu = time.perf_counter(), _cpu()
    for _ in range(calls):
        output = side.work()
    cpu, wall = _cpu() - cpu, time.perf_counter() - wall
    return Timed(cpu / calls, wall / calls, side.amount, output)


def measure(
    row: BenchRow, room: Room, pairs: int, take: Callable[[Side, int], Timed] = timed
) -> Measured:
    """Warm up and check both sides, then time them in turns, `pairs` times.

    Raises OtherWorkError before anything is timed if the sides do not agree, or after the first
    pair of a row without a warm-up; ValueError for fewer than one pair.
    """
    if pairs < 1:
        raise ValueError(f"{pairs} pairs: at least one is needed")
    two, calls = row.prepare(room), room.amount(row.calls, 1)
    first = take(two.ours, 1), take(two.peer, 1)
    alike = tuple(two.alike(first[0].output, first[1].output))
    for number in alike:
        number.check()
    timings = [] if row.warm_up else [first]
    while len(timings) < min(pairs, row.most_pairs or pairs):
        timings.append((take(two.ours, calls), take(two.peer, calls)))
    return Measured(row, tuple(timings), alike)
