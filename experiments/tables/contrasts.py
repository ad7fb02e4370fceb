"""Contrasts of rows, one number a seed, read from the tables that are published.

A table that was not run gives None; a row or number that it lacks is an error of the claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from experiments.pipeline.files import StoreError, read_json

Names = tuple[str, ...]
"""The leading names of a row, in the order of its table's columns."""


class PublishedTables:
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
        content = self.table(table)
        if content is None:
            return None
        rows = [r for r in content["rows"] if tuple(r["names"].values())[: len(row)] == row]
        if len(rows) != 1 or not {*key.split("|")} & {*rows[0]["values"]}:
            raise StoreError(f"{table}.json has {len(rows)} rows {row} with {key}: run it again")
        return list(rows[0]["values"][self.measured(table, key)])

    def measured(self, table: str, key: str) -> str:
        """Which of the keys `a|b` the table has: b stands in for a where nothing measures a."""
        content = self.table(table)
        there = content["rows"][-1]["values"] if content else {}
        return next((name for name in key.split("|") if name in there), key.split("|")[0])


class Contrast(Protocol):
    """What is compared, one number a seed; None where a table was not run."""

    def values(self, published: PublishedTables, table: str, key: str) -> list[float] | None: ...


def _columns(
    published: PublishedTables, table: str, key: str, rows: Sequence[Names]
) -> list[tuple[float, ...]] | None:
    """The rows' numbers, seed by seed, where all of them are there."""
    columns = [published.values(table, row, key) for row in rows]
    if any(column is None for column in columns):
        return None
    complete = [column for column in columns if column is not None]
    together = zip(*complete, strict=True)
    return [tuple(x for x in seed if x is not None) for seed in together if None not in seed]


@dataclass(frozen=True)
class Value:
    """A row's own number, less a constant."""

    row: Names
    less: float = 0.0

    def values(self, published: PublishedTables, table: str, key: str) -> list[float] | None:
        columns = _columns(published, table, key, [self.row])
        return None if columns is None else [x - self.less for (x,) in columns]


@dataclass(frozen=True)
class Less:
    """Row a less row b, paired by seed."""

    a: Names
    b: Names

    def values(self, published: PublishedTables, table: str, key: str) -> list[float] | None:
        columns = _columns(published, table, key, [self.a, self.b])
        return None if columns is None else [a - b for a, b in columns]


@dataclass(frozen=True)
class NoWorse:
    """Row a less row b, plus a margin: above 0 where a falls short of b by less than the margin."""

    a: Names
    b: Names
    margin: float

    def values(self, published: PublishedTables, table: str, key: str) -> list[float] | None:
        columns = _columns(published, table, key, [self.a, self.b])
        return None if columns is None else [a - b + self.margin for a, b in columns]


@dataclass(frozen=True)
class Swing:
    """|a - b| less |c - d|: whether one thing matters less than another."""

    a: Names
    b: Names
    c: Names
    d: Names

    def values(self, published: PublishedTables, table: str, key: str) -> list[float] | None:
        columns = _columns(published, table, key, [self.a, self.b, self.c, self.d])
        return None if columns is None else [abs(a - b) - abs(c - d) for a, b, c, d in columns]


@dataclass(frozen=True)
class Gap:
    """(a - b) less (c - d): by how much one difference exceeds another."""

    a: Names
    b: Names
    c: Names
    d: Names

    def values(self, published: PublishedTables, table: str, key: str) -> list[float] | None:
        columns = _columns(published, table, key, [self.a, self.b, self.c, self.d])
        return None if columns is None else [(a - b) - (c - d) for a, b, c, d in columns]
