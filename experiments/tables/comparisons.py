"""Rows compared with rows, paired by training seed, in words that follow from the interval."""

import math
from collections.abc import Sequence

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


def by_doubling(
    results: Results, column: Column, rows: Sequence[int], counts: Sequence[int]
) -> Estimate:
    """What a column gains with each doubling of `counts`, one for each row: the slope of the least
    squares line of each seed that has them all, and its mean over seeds."""
    seeds = zip(*(results.values(row, column) for row in rows), strict=True)
    x = [math.log2(count) for count in counts]
    whole = [[y for y in seed if y is not None] for seed in seeds]
    return estimate([float(np.polyfit(x, y, 1)[0]) for y in whole if len(y) == len(x)])


def said_by_doubling(
    results: Results, column: Column, rows: Sequence[int], counts: Sequence[int], name: str
) -> str:
    """One line: the slope with its interval, and which way it goes."""
    shown, slope = results.shown(column), by_doubling(results, column, rows, counts)
    return (
        f"{shown.title}, {name}, by each doubling from {min(counts)} to {max(counts)}: "
        f"{shown.show(slope)} (n = {slope.n}): {verdict(slope)}."
    )
