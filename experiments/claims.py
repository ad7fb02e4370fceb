"""Claims as hypotheses: a contrast of rows with a direction, and the verdict of its interval.

Everything is read from the tables' .json files, so a claim is judged on what is published; a table
that was not run leaves its claims unjudged. No verdict is typed: `judge` alone gives them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from experiments.files import StoreError, read_json
from experiments.statistics import Estimate, estimate

SEEDS = 3
"""Fewer training seeds decide nothing."""


class Verdict(Enum):
    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"
    UNTESTABLE = "not testable at this scale"
    MISSING = "not run"


Names = tuple[str, ...]
"""The leading names of a row, in the order of its table's columns."""


class Published:
    """The .json files of a results folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables: dict[str, dict[str, Any] | None] = {}

    def table(self, name: str) -> dict[str, Any] | None:
        if name not in self.tables:
            path = self.folder / f"{name}.json"
            self.tables[name] = read_json(path) if path.exists() else None
        return self.tables[name]

    def values(self, table: str, row: Names, key: str) -> list[float | None] | None:
        """A row's number by seed; None where the table was not run.

        Raises StoreError if the table has no such row or number: the claim is then miswritten.
        """
        found = self.table(table)
        if found is None:
            return None
        rows = [r for r in found["rows"] if tuple(r["names"].values())[: len(row)] == row]
        if len(rows) != 1 or key not in rows[0]["values"]:
            raise StoreError(f"{table}.json has {len(rows)} rows {row} with {key}: run it again")
        return list(rows[0]["values"][key])


class Contrast(Protocol):
    """What is compared, one number a seed; None where a table was not run."""

    def values(self, published: Published, table: str, key: str) -> list[float] | None: ...


def _columns(
    published: Published, table: str, key: str, rows: Sequence[Names]
) -> list[tuple[float, ...]] | None:
    """The rows' numbers, seed by seed, where all of them are there."""
    columns = [published.values(table, row, key) for row in rows]
    if any(column is None for column in columns):
        return None
    found = [column for column in columns if column is not None]
    together = zip(*found, strict=True)
    return [tuple(x for x in seed if x is not None) for seed in together if None not in seed]


@dataclass(frozen=True)
class Value:
    """A row's own number, less a constant."""

    row: Names
    less: float = 0.0

    def values(self, published: Published, table: str, key: str) -> list[float] | None:
        found = _columns(published, table, key, [self.row])
        return None if found is None else [x - self.less for (x,) in found]


@dataclass(frozen=True)
class Less:
    """Row a less row b, paired by seed."""

    a: Names
    b: Names

    def values(self, published: Published, table: str, key: str) -> list[float] | None:
        found = _columns(published, table, key, [self.a, self.b])
        return None if found is None else [a - b for a, b in found]


@dataclass(frozen=True)
class NoWorse:
    """Row a less row b, plus a margin: above 0 where a falls short of b by less than the margin."""

    a: Names
    b: Names
    margin: float

    def values(self, published: Published, table: str, key: str) -> list[float] | None:
        found = _columns(published, table, key, [self.a, self.b])
        return None if found is None else [a - b + self.margin for a, b in found]


@dataclass(frozen=True)
class Swing:
    """|a - b| less |c - d|: whether one thing matters less than another."""

    a: Names
    b: Names
    c: Names
    d: Names

    def values(self, published: Published, table: str, key: str) -> list[float] | None:
        found = _columns(published, table, key, [self.a, self.b, self.c, self.d])
        return None if found is None else [abs(a - b) - abs(c - d) for a, b, c, d in found]


class Expected(Enum):
    """The sign of the contrast if the claim holds."""

    BELOW = "below 0"
    ABOVE = "above 0"


@dataclass(frozen=True)
class Test:
    """One reading of a claim: a contrast in a table's number, and the sign that the claim wants."""

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
    found: Estimate
    why: str


@dataclass(frozen=True)
class Line:
    """A claim under one reading, judged; test None where nothing can test it."""

    claim: Claim
    test: Test | None
    judged: Judged = field(default_factory=lambda: Judged(Verdict.MISSING, estimate([]), ""))


def judge(values: Sequence[float] | None, expected: Expected) -> Judged:
    """The verdict of a contrast's 95 % interval over training seeds."""
    if values is None:
        return Judged(Verdict.MISSING, estimate([]), "the table was not run")
    found = estimate(values)
    if found.n < SEEDS:
        return Judged(Verdict.UNDECIDED, found, f"n = {found.n} seeds decide nothing")
    assert found.low is not None
    assert found.high is not None
    sides = {Expected.BELOW: found.high < 0, Expected.ABOVE: found.low > 0}
    other = Expected.ABOVE if expected is Expected.BELOW else Expected.BELOW
    if sides[expected]:
        return Judged(Verdict.HOLDS, found, f"the interval lies {expected.value}")
    if sides[other]:
        return Judged(Verdict.FAILS, found, f"the interval lies {other.value}")
    return Judged(Verdict.UNDECIDED, found, "the interval contains 0")


def judged(claims: Sequence[Claim], published: Published) -> list[Line]:
    """Every claim under every reading. StoreError if a claim names a row that is not there."""
    lines = []
    for claim in claims:
        for test in claim.tests:
            values = test.contrast.values(published, test.table, test.key)
            lines.append(Line(claim, test, judge(values, test.expected)))
        if not claim.tests:
            lines.append(Line(claim, None, Judged(Verdict.UNTESTABLE, estimate([]), claim.why)))
    return lines


def detail(lines: Sequence[Line]) -> str:
    """The lines as JSON."""
    found: list[Mapping[str, object]] = [
        {
            "section": line.claim.section,
            "claim": line.claim.statement,
            "reading": line.test.reading if line.test else "",
            "table": line.test.table if line.test else "",
            "metric": line.test.key if line.test else "",
            "paper": line.claim.effect,
            "mean": line.judged.found.mean,
            "half_width": line.judged.found.half_width,
            "n": line.judged.found.n,
            "verdict": line.judged.verdict.value,
            "why": line.judged.why,
        }
        for line in lines
    ]
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"
