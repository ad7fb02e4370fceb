"""Claims as hypotheses: a contrast of rows with a direction and a margin, and what was found.

Everything is read from the tables' .json files, so a claim is judged on what is published; a table
that was not run leaves its claims unjudged. No verdict is typed: `verdicts.verdict` gives them.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from experiments.tables.contrasts import (
    Contrast,
    Less,
    Names,
    OfRows,
    Paired,
    PublishedTables,
    Weakest,
)
from experiments.tables.inference import detectable, difference, equivalence
from experiments.tables.multiplicity import Adjusted, adjusted, deciding, identity
from experiments.tables.statistics import Estimate, estimate
from experiments.tables.verdicts import Expected, Finding, Margin, Tested, Verdict, finding, verdict

SEEDS = 3
"""Fewer training seeds decide nothing."""
NO_ROWS = "no table here has its rows: make it"


@dataclass(frozen=True)
class Test:
    """One reading of a claim: a contrast in a table's number, and the side that the claim wants.

    key: of the number; `a|b` where b stands in for a.  construction: why no run could have found
    otherwise.  absent: why nothing stands in for the number where the table lacks it.
    """

    reading: str
    table: str
    key: str
    contrast: Contrast
    expected: Expected
    construction: str = ""
    absent: str = ""


def below(reading: str, table: str, key: str, a: Names, b: Names) -> Test:
    """Row a is claimed to lie below row b."""
    return Test(reading, table, key, Less(a, b), Expected.BELOW)


def above(reading: str, table: str, key: str, a: Names, b: Names) -> Test:
    """Row a is claimed to lie above row b."""
    return Test(reading, table, key, Less(a, b), Expected.ABOVE)


def no_less(reading: str, table: str, key: str, a: Names, b: Names) -> Test:
    """Row a is claimed not to fall short of row b by the margin."""
    return Test(reading, table, key, Less(a, b), Expected.NO_LESS)


def every(
    reading: str, table: str, key: str, contrasts: Iterable[OfRows], expected: Expected
) -> Test:
    """All of these are claimed to lie on one side of 0."""
    return Test(reading, table, key, Weakest(tuple(contrasts), expected), expected)


@dataclass(frozen=True)
class Claim:
    """A statement.  effect: what the paper prints.  margin: what would matter; None where every
    reading is by construction.  why: if nothing here can test it."""

    section: str
    statement: str
    effect: str = ""
    tests: tuple[Test, ...] = ()
    margin: Margin | None = None
    why: str = ""


@dataclass(frozen=True)
class Line:
    """A claim under one reading, read from its table.

    test: None where nothing can test it.  metric: whose number was read.  paired: the contrast by
    seed.  settled: the verdict that needs no test of means, and why; None where one is made.
    """

    claim: Claim
    test: Test | None
    metric: str = ""
    paired: Paired = field(default_factory=lambda: Paired((), ()))
    settled: tuple[Verdict, str] | None = None

    @property
    def estimate(self) -> Estimate:
        return estimate(self.paired.differences)

    @property
    def margins(self) -> tuple[float, ...]:
        """By seed; none where the claim has none."""
        margin = self.claim.margin
        return () if margin is None else tuple(margin.share * base for base in self.paired.bases)


@dataclass(frozen=True)
class Found:
    """What the tests of means gave for a reading.

    contrast: what it is counted by.  difference, equivalence: p before and after adjusting for the
    paper's other questions; equivalence None where a claim asks for one side alone.  level: the
    largest p of a difference.  detectable: the smallest mean then found four times in five.
    """

    contrast: Hashable
    difference: Adjusted
    equivalence: Adjusted | None
    detectable: float
    level: float


@dataclass(frozen=True)
class Judged:
    line: Line
    verdict: Verdict
    why: str
    found: Found | None = None


def judged(
    claims: Sequence[Claim], published: PublishedTables, overlap: float = 0.0
) -> list[Judged]:
    """Every claim of one paper under every reading, p adjusted over its distinct questions: a
    contrast and a margin. StoreError if a claim names several rows as one.

    overlap: of the splits of seeds, as `inference.difference` has it.
    """
    lines = [_read(claim, test, published) for claim in claims for test in claim.tests or (None,)]
    asked = {
        id(line): _hypotheses(line, line.test, overlap)
        for line in lines
        if line.test and not line.settled
    }
    differences = {a.contrast: a.difference for a in asked.values()}
    equivalences = {a.within: a.equivalence for a in asked.values() if a.within}
    questions = len({(a.contrast, a.within) for a in asked.values()})
    different = adjusted(differences, questions)
    found = {**different, **adjusted(equivalences, questions)}
    level = float(deciding([each.false_discovery for each in different.values()], questions))
    return [
        Judged(x, *x.settled) if x.settled else _decided(x, asked[id(x)], found, level)
        for x in lines
    ]


def _read(claim: Claim, test: Test | None, published: PublishedTables) -> Line:
    """A reading with its numbers, settled where there is nothing to test."""
    if test is None:
        return Line(claim, None, settled=(Verdict.UNTESTABLE, claim.why))
    if test.absent and not published.measures(test.table, test.key):
        return Line(claim, test, test.key, settled=(Verdict.UNTESTABLE, test.absent))
    metric = published.measured(test.table, test.key)
    paired = test.contrast.paired(published, test.table, test.key)
    if paired is None:
        return Line(claim, test, metric, settled=(Verdict.MISSING, NO_ROWS))
    settled = None
    if test.construction:
        settled = Verdict.CONSTRUCTION, test.construction
    elif (n := len(paired.differences)) < SEEDS:
        settled = Verdict.UNDECIDED, f"n = {n} seeds decide nothing"
    return Line(claim, test, metric, paired, settled)


@dataclass(frozen=True)
class Hypotheses:
    """The two hypotheses of a reading: what each is counted by, and its p.

    tested: [n], against 0.  times: by which the p of a difference was multiplied.  within: None
    where a claim asks for one side alone.
    """

    tested: tuple[float, ...]
    times: int
    contrast: Hashable
    difference: float
    within: Hashable | None
    equivalence: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.tested))


def _hypotheses(line: Line, test: Test, overlap: float) -> Hypotheses:
    """The p of both, times the choices but where a weakest of several speaks for its claim."""
    values, margins, choices = line.paired.differences, line.margins, line.paired.choices
    one_sided = test.expected is Expected.NO_LESS
    tested = tuple(v + m for v, m in zip(values, margins, strict=True)) if one_sided else values
    metric = line.metric
    times = 1 if test.expected.wants(float(np.mean(tested))) else choices
    return Hypotheses(
        tested,
        times,
        (identity(metric, tested), times),
        min(1.0, times * float(difference(tested, overlap))),
        None if one_sided else (identity(metric, values), identity(metric, margins), choices),
        min(1.0, choices * float(equivalence(values, margins))),
    )


def _decided(line: Line, asked: Hypotheses, p: Mapping[Hashable, Adjusted], level: float) -> Judged:
    """The verdict of the adjusted p.  level: at which an unadjusted one decides."""
    test, margin = line.test, line.claim.margin
    assert test is not None
    assert margin is not None
    different, within = p[asked.contrast], p.get(asked.within)
    tested = Tested(
        asked.mean, different.false_discovery, 1.0 if within is None else within.false_discovery
    )
    given = verdict(tested, test.expected, printed=margin.printed)
    seen = float(detectable(asked.tested, level / asked.times))
    found = Found(asked.contrast, different, within, seen, level)
    shown, end = finding(tested), ""
    if test.expected is Expected.NO_LESS:
        end = ", the margin added"
    elif shown is not Finding.NEITHER and shown is not Finding.WITHIN:
        end = ", by less than the margin" if abs(asked.mean) < np.mean(line.margins) else ""
    return Judged(line, given, shown.value + end, found)
