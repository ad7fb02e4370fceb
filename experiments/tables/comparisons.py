"""Rows compared with rows, paired by training seed, in words that follow from the interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from experiments.tables.columns import Column
from experiments.tables.contrasts import Names
from experiments.tables.results import Results
from experiments.tables.rows import joined
from experiments.tables.statistics import Estimate, estimate


class RowAbsentError(LookupError):
    """A row that a comparison or a figure picks, and that the table has not."""


def row_names(results: Results) -> list[Names]:
    """The names of every row, in the order of the table's columns."""
    return [tuple(row.names.values()) for row in results.rows[0]]


def index(results: Results, *names: str) -> int:
    """The one row whose names begin with these.

    RowAbsentError if there is none: a turned dial may leave it out. ValueError if there are
    several, or if none is there though nothing was turned: the names are then miswritten.
    """
    rows = row_names(results)
    fitting = [i for i, row in enumerate(rows) if row[: len(names)] == names]
    if len(fitting) == 1:
        return fitting[0]
    message = f"{results.table.name} has {len(fitting)} rows {names} among {rows}"
    raise RowAbsentError(message) if not fitting and results.partial else ValueError(message)


def verdict(difference: Estimate) -> str:
    """below, above, or neither, as the 95 % interval of a difference says."""
    if difference.low is None or difference.high is None:
        return "no interval"
    if difference.high < 0:
        return "below"
    return "above" if difference.low > 0 else "no difference found"


def compared(
    results: Results, column: Column, a: tuple[str, ...], b: tuple[str, ...]
) -> str | None:
    """One line: row a less row b in a column, with its interval and what it says; None where a
    turned dial has left out one of the rows."""
    try:
        rows = index(results, *a), index(results, *b)
    except RowAbsentError:
        return None
    column = results.shown(column)
    difference = results.difference(*rows, column)
    named = [joined(names) for names in (a, b)]
    return (
        f"{column.title}, {named[0]} less {named[1]}: {column.show(difference)} "
        f"(n = {difference.n}): {verdict(difference)}."
    )


def interaction(
    results: Results,
    column: Column,
    first: tuple[Names, Names],
    second: tuple[Names, Names],
) -> str | None:
    """One line, a difference of differences: what the first pair's row is above its other, less
    the same of the second pair; None where a turned dial has left out one of the rows."""
    try:
        rows = [index(results, *names) for names in (*first, *second)]
    except RowAbsentError:
        return None
    column = results.shown(column)
    difference = of_differences(*(results.values(row, column) for row in rows))
    a, b = (" less ".join(joined(names) for names in pair) for pair in (first, second))
    return (
        f"{column.title}, ({a}) less ({b}): {column.show(difference)} "
        f"(n = {difference.n}): {verdict(difference)}."
    )


def of_differences(*rows: Sequence[float | None]) -> Estimate:
    """(first less second) less (third less fourth) of four rows' numbers by seed, where all are."""
    seeds = [[x for x in seed if x is not None] for seed in zip(*rows, strict=True)]
    return estimate([a - b - c + d for a, b, c, d in (seed for seed in seeds if len(seed) == 4)])


@dataclass(frozen=True)
class Rising:
    """Rows of ever more of something, under one name. rows, counts: one each for a point."""

    name: str
    rows: tuple[int, ...]
    counts: tuple[int, ...]

    def shared_with(self, other: "Rising") -> "Rising":
        """The points alone whose count the other has too."""
        both = [(i, n) for i, n in zip(self.rows, self.counts, strict=True) if n in other.counts]
        return replace(self, rows=tuple(i for i, _ in both), counts=tuple(n for _, n in both))


def by_doubling(results: Results, column: Column, rising: Rising) -> list[float | None]:
    """What a column gains with each doubling of the counts, by seed: the slope of the least squares
    line; None for a seed that lacks a point."""
    seeds = zip(*(results.values(row, column) for row in rising.rows), strict=True)
    x = [math.log2(count) for count in rising.counts]
    return [None if None in y else float(np.polyfit(x, y, 1)[0]) for y in seeds]


def said_by_doubling(
    results: Results, column: Column, rising: Rising, less: Rising | None = None
) -> str | None:
    """One line: the slope with its interval, and which way it goes. Of two, the first's slope less
    the second's, over the counts and seeds that both have. None for fewer than two counts."""
    name = rising.name if less is None else f"({rising.name}) less ({less.name})"
    if less is not None:
        rising, less = rising.shared_with(less), less.shared_with(rising)
    if len(rising.counts) < 2:
        return None
    own = by_doubling(results, column, rising)
    others = [0.0] * len(own) if less is None else by_doubling(results, column, less)
    pairs = [(a, b) for a, b in zip(own, others, strict=True) if a is not None and b is not None]
    shown, slope = results.shown(column), estimate([a - b for a, b in pairs])
    return (
        f"{shown.title}, {name}, fitted slope for each doubling from {min(rising.counts)} to "
        f"{max(rising.counts)}: {shown.show(slope)} (n = {slope.n}): {verdict(slope)}."
    )
