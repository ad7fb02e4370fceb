"""Rows compared with rows, paired by training seed, in words that follow from the interval."""

from experiments.tables.columns import Column
from experiments.tables.results import Results
from experiments.tables.rows import joined
from experiments.tables.statistics import Estimate


class RowAbsentError(LookupError):
    """A row that a comparison or a figure picks, and that the table has not."""


def index(results: Results, *names: str) -> int:
    """The one row whose names begin with these.

    RowAbsentError if there is none: a turned dial may leave it out. ValueError if there are
    several, or if none is there though nothing was turned: the names are then miswritten.
    """
    rows = [tuple(row.names.values()) for row in results.rows[0]]
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
