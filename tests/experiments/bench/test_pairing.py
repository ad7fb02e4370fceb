"""Ratios of given times, turns, and sides that do other work. Nothing here waits for a clock."""

import math
from dataclasses import replace

import pytest

from experiments.bench.pairing import Alike, BenchRow, OtherWorkError, Room, Side, TwoSides, measure
from experiments.bench.pairing import timed as take
from experiments.bench.ratios import (
    Clock,
    MemoryRatio,
    RateRatio,
    SecondsOfOurs,
    Spread,
    Timed,
    TimeRatio,
    ratios,
    verdict,
)


def row(two, calls=1, goal=None):
    """A row of the given sides."""
    return BenchRow(
        "r", "w", "p 1.0", TimeRatio(goal), "call", "none", "none", lambda _: two, calls
    )


def agreed(ours, peer):
    return (Alike("answer", ours, peer),)


def test_a_ratio_is_of_its_own_pair():
    """kills: a ratio of medians, of another pair's half, of the other clock, upside down."""
    pairs = [
        (Timed(1.0, 8.0), Timed(2.0, 2.0)),  # 0.5
        (Timed(9.0, 8.0), Timed(3.0, 2.0)),  # 3
        (Timed(4.0, 8.0), Timed(4.0, 1.0)),  # 1; the ratio of the medians is 4 / 3
    ]
    assert ratios(pairs, TimeRatio(None), Clock.CPU) == Spread(1.0, 0.5, 3.0, 3)
    assert ratios(pairs, TimeRatio(None), Clock.WALL) == Spread(4.0, 4.0, 8.0, 3)
    assert ratios(pairs, RateRatio(None), Clock.CPU) == Spread(1.0, 1 / 3, 2.0, 3)


def test_a_rate_counts_what_was_done_in_a_call():
    """kills: amounts left out of a rate, counted into a time, or divided the wrong way."""
    ours, peer = Timed(2.0, 1.0, amount=600), Timed(1.0, 1.0, amount=100)
    assert RateRatio(None).of(ours, peer, Clock.CPU) == 3
    assert TimeRatio(None).of(ours, peer, Clock.CPU) == 2


def test_memory_is_what_the_calls_returned():
    """kills: seconds taken for bytes."""
    ours, peer = Timed(1.0, 1.0, output=300), Timed(5.0, 5.0, output=200)
    assert MemoryRatio(None).of(ours, peer, Clock.CPU) == 1.5


def test_seconds_of_ours_are_not_divided():
    """kills: a goal in seconds compared with a ratio, or with the peer's seconds."""
    ours, peer = Timed(3.0, 1.5), Timed(2.0, 9.0)
    assert SecondsOfOurs(4.0).of(ours, peer, Clock.CPU) == 3.0
    assert SecondsOfOurs(4.0).of(ours, peer, Clock.WALL) == 1.5


@pytest.mark.parametrize(
    ("ratio", "met"),
    [
        (RateRatio(1.3), [False, True, True]),
        (TimeRatio(1.3), [True, True, False]),
        (MemoryRatio(1.3), [True, True, False]),
        (RateRatio(None), [None] * 3),
        (TimeRatio(None), [None] * 3),
        (SecondsOfOurs(1.3), [True, True, False]),
        (MemoryRatio(None), [None] * 3),
    ],
)
def test_goals_are_least_rates_and_most_times(ratio, met):
    """kills: a goal read the wrong way round, missed where it is just reached, invented."""
    assert [ratio.met(x) for x in (1.2, 1.3, 1.4)] == met


@pytest.mark.parametrize(
    ("least", "greatest", "said"),
    [
        (1.3, 1.5, ["met", "undecided", "none"]),
        (1.1, 1.2, ["missed", "met", "none"]),
        (1.1, 1.5, ["undecided", "undecided", "none"]),
        (1.4, 1.5, ["met", "missed", "none"]),
    ],
)
def test_a_verdict_is_of_every_pair(least, greatest, said):
    """kills: a goal met by the median while pairs miss it, or the other way; a verdict without a
    goal."""
    spread = Spread(1.3, least, greatest, 3)
    kinds = (RateRatio(1.3), TimeRatio(1.3), MemoryRatio(None))
    assert [verdict(kind, spread) for kind in kinds] == said


@pytest.mark.parametrize("numbers", [[], [1.0, math.nan], [math.inf]])
def test_no_spread_of_what_is_no_number(numbers):
    """kills: a ratio that is not finite written as one."""
    with pytest.raises(ValueError, match="no spread"):
        Spread.of(numbers)


def test_sides_take_turns_after_a_warm_up():
    """kills: one side timed whole before the other, the peer first, no warm-up, calls in the
    warm-up, preparation before every timing left out."""
    order = []
    ours = Side(lambda: order.append("a") or 1, before=lambda: order.append("-"))
    peer = Side(lambda: order.append("b") or 1)
    found = measure(row(TwoSides(ours, peer, agreed), calls=2), Room(None), pairs=3)
    assert "".join(order) == "-ab" + 3 * "-aabb"
    assert len(found.pairs) == 3
    assert [str(x) for x in found.alike] == ["answer 1 and 1, to 0 of it"]


@pytest.mark.parametrize(("asked", "called"), [(1, "ab"), (2, "abab"), (9, "ababab")])
def test_a_row_of_minutes_is_not_called_for_a_warm_up(asked, called):
    """kills: minutes of work thrown away, more pairs than its most, a first pair unchecked."""
    order = []
    two = TwoSides(
        Side(lambda: order.append("a") or 1), Side(lambda: order.append("b") or 1), agreed
    )
    long = replace(row(two), most_pairs=3, warm_up=False)
    found = measure(long, Room(None), asked)
    assert "".join(order) == called
    assert len(found.pairs) == len(called) // 2
    wrong = TwoSides(two.ours, Side(lambda: 2), agreed)
    with pytest.raises(OtherWorkError):
        measure(replace(long, prepare=lambda _: wrong), Room(None), asked)


def test_a_brief_room_makes_one_call():
    """kills: whole work where a row is only to be seen to run."""
    count = []
    side = Side(lambda: count.append(1) or 1)
    measure(row(TwoSides(side, side, agreed), calls=50), Room(None, brief=True), pairs=2)
    assert len(count) == 2 * (1 + 2)
    assert (Room(None).amount(9, 2), Room(None, brief=True).amount(9, 2)) == (9, 2)


def test_times_are_those_of_each_side():
    """kills: the peer's seconds given to us, a total for a mean."""

    def clock(side, calls):
        return Timed(side.amount * calls, 1.0, output=1)

    one, other = Side(lambda: 1, amount=6), Side(lambda: 1, amount=2)
    found = measure(row(TwoSides(one, other, agreed)), Room(None), 2, clock)
    assert ratios(found.pairs, TimeRatio(None), Clock.CPU) == Spread(3.0, 3.0, 3.0, 2)


def test_a_call_is_timed_by_a_clock_that_is_known(monkeypatch):
    """kills: seconds of all calls for those of one, the clocks exchanged, children left out."""
    ticks = iter([10.0, 16.0])
    monkeypatch.setattr("experiments.bench.pairing.time.perf_counter", lambda: next(ticks))
    used = iter([100.0, 109.0])
    monkeypatch.setattr("experiments.bench.pairing._cpu", lambda: next(used))
    assert take(Side(lambda: "done", amount=5), 3) == Timed(3.0, 2.0, 5, "done")


@pytest.mark.parametrize(
    ("answer", "within", "fits"),
    [
        (100, 0, True),
        (101, 0, False),
        (101, 0.01, True),
        (99, 0.01, True),
        (102, 0.01, False),
        (98, 0.01, False),
        (math.nan, 1, False),
    ],
)
def test_a_side_that_does_other_work_is_refused(answer, within, fits):
    """kills: a ratio of two different works; a tolerance of one side only; nan let through."""
    timings = []

    def clock(side, calls):
        timings.append(side)
        return Timed(1.0, 1.0, output=side.work())

    def alike(ours, peer):
        return (Alike("same", 1, 1), Alike("parameters", ours, peer, within))

    two = TwoSides(Side(lambda: answer), Side(lambda: 100), alike)
    if fits:
        assert len(measure(row(two), Room(None), 1, clock).pairs) == 1
        return
    with pytest.raises(OtherWorkError, match=r"not the same work: parameters .* and 100"):
        measure(row(two), Room(None), 1, clock)
    assert len(timings) == 2  # the warm-up alone


def test_no_pairs_are_no_measurement():
    """kills: a table of rows that were never timed."""
    side = Side(lambda: 1)
    with pytest.raises(ValueError, match="0 pairs"):
        measure(row(TwoSides(side, side, agreed)), Room(None), 0)
