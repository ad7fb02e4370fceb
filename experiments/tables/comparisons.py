"""Rows compared with rows, paired by training seed, in words that follow from the interval."""

from experiments.tables.columns import Column
from experiments.tables.results import Results
from experiments.tables.statistics import Estimate


def index(results: Results, *names: str) -> int:
    """The one row whose names begin with these. ValueError if there is none, or several."""
    rows = [tuple(row.names.values()) for row in results.rows[0]]
    found = [i for i, row in enumerate(rows) if row[: len(names)] == names]
    if len(found) != 1:
        raise ValueError(f"{results.table.name} has {len(found)} rows {names} among {rows}")
    return found[0]


def verdict(found: Estimate) -> str:
    """below, above, or neither, as the 95 % interval of a difference says."""
    if found.low is None or found.high is None:
        return "no interval"
    if found.high < 0:
        return "below"
    return "above" if found.low > 0 else "no difference found"


def compared(results: Results, column: Column, a: tuple[str, ...], b: tuple[str, ...]) -> str:
    """One line: row a less row b in a column, with its interval and what it says."""
    column = results.shown(column)
    found = results.difference(index(results, *a), index(results, *b), column)
    named = [", ".join(filter(None, names)) for names in (a, b)]
    return (
        f"{column.title}, {named[0]} less {named[1]}: {column.show(found)} "
        f"(n = {found.n}): {verdict(found)}."
    )
