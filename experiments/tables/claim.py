"""Claims as hypotheses: a contrast of rows with a direction, and the verdict of its interval.

Everything is read from the tables' .json files, so a claim is judged on what is published; a table
that was not run leaves its claims unjudged. No verdict is typed: `judge` alone gives them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from experiments.tables.contrasts import Contrast, Less, Names, NoWorse, PublishedTables
from experiments.tables.statistics import Estimate, estimate

SEEDS = 3
"""Fewer training seeds decide nothing."""


class Verdict(Enum):
    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    UNTESTABLE = "not testable at this scale"
    MISSING = "not run"


class Expected(Enum):
    """The sign of the contrast if the claim holds."""

    BELOW = "below 0"
    ABOVE = "above 0"


@dataclass(frozen=True)
class Test:
    """One reading of a claim: a contrast in a table's number, and the sign that the claim wants.

    key: of the number; `a|b` where b stands in for a.
    """

    reading: str
    table: str
    key: str
    contrast: Contrast
    expected: Expected


def below(reading: str, table: str, key: str, a: Names, b: Names) -> Test:
    """Row a is claimed to lie below row b."""
    return Test(reading, table, key, Less(a, b), Expected.BELOW)


def above(reading: str, table: str, key: str, a: Names, b: Names) -> Test:
    """Row a is claimed to lie above row b."""
    return Test(reading, table, key, Less(a, b), Expected.ABOVE)


def no_worse(reading: str, table: str, key: str, a: Names, b: Names, margin: float) -> Test:
    """Row a is claimed not to fall short of row b by the margin."""
    return Test(reading, table, key, NoWorse(a, b, margin), Expected.ABOVE)


@dataclass(frozen=True)
class Claim:
    """A statement.  effect: what the paper prints.  why: if nothing here can test it."""

    section: str
    statement: str
    effect: str = ""
    tests: tuple[Test, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Judged:
    verdict: Verdict
    estimate: Estimate
    why: str


@dataclass(frozen=True)
class Line:
    """A claim under one reading, judged; test None where nothing can test it.  metric: whose number
    was read."""

    claim: Claim
    test: Test | None
    metric: str = ""
    judged: Judged = field(default_factory=lambda: Judged(Verdict.MISSING, estimate([]), ""))


def judge(values: Sequence[float] | None, expected: Expected) -> Judged:
    """The verdict of a contrast's 95 % interval over training seeds."""
    if values is None:
        return Judged(Verdict.MISSING, estimate([]), "the table was not run")
    contrast = estimate(values)
    if contrast.n < SEEDS:
        return Judged(Verdict.UNDECIDED, contrast, f"n = {contrast.n} seeds decide nothing")
    assert contrast.low is not None
    assert contrast.high is not None
    sides = {Expected.BELOW: contrast.high < 0, Expected.ABOVE: contrast.low > 0}
    other = Expected.ABOVE if expected is Expected.BELOW else Expected.BELOW
    if sides[expected]:
        return Judged(Verdict.HOLDS, contrast, f"the interval lies {expected.value}")
    if sides[other]:
        return Judged(Verdict.FAILS, contrast, f"the interval lies {other.value}")
    return Judged(Verdict.UNDECIDED, contrast, "the interval contains 0")


def judged(claims: Sequence[Claim], published: PublishedTables) -> list[Line]:
    """Every claim under every reading. StoreError if a claim names a row that is not there."""
    lines = []
    for claim in claims:
        for test in claim.tests:
            values = test.contrast.values(published, test.table, test.key)
            metric = published.measured(test.table, test.key)
            lines.append(Line(claim, test, metric, judge(values, test.expected)))
        if not claim.tests:
            why = Judged(Verdict.UNTESTABLE, estimate([]), claim.why)
            lines.append(Line(claim, None, judged=why))
    return lines


def detail(lines: Sequence[Line]) -> str:
    """The lines as JSON."""
    records: list[Mapping[str, object]] = [
        {
            "section": line.claim.section,
            "claim": line.claim.statement,
            "reading": line.test.reading if line.test else "",
            "table": line.test.table if line.test else "",
            "metric": line.metric,
            "paper": line.claim.effect,
            "mean": line.judged.estimate.mean,
            "half_width": line.judged.estimate.half_width,
            "n": line.judged.estimate.n,
            "verdict": line.judged.verdict.value,
            "why": line.judged.why,
        }
        for line in lines
    ]
    return json.dumps(records, indent=1, ensure_ascii=False) + "\n"
