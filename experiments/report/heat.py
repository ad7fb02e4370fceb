"""Numbers over t as a map: what a table says in a row for each t, or in a column for each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.tables.written.table import Number, WrittenTable

TIMES = ("t", "Noise level", "Switch at t", "Threshold")
"""Titles of the names that are times."""
AT = re.compile(r"(?:at )?t = ([\d.]+)(?:, %)?")
FEWEST = 3
"""Times below which a map says no more than the table."""


@dataclass(frozen=True)
class Square:
    """A number of the map.  share: where it lies between the map's least and greatest, 0 to 1."""

    shown: str
    share: float


@dataclass(frozen=True)
class HeatMap:
    """title: what is mapped.  times: the columns.  lines: (name, a square or None for each)."""

    title: str
    times: Sequence[str]
    lines: Sequence[tuple[str, Sequence[Square | None]]]


def heat_maps(table: WrittenTable) -> list[HeatMap]:
    """A map for each column with numbers over t; none of a table that has no t."""
    return [*_from_rows(table), *_from_columns(table)]


def _from_rows(table: WrittenTable) -> list[HeatMap]:
    """Of a table whose rows are named by a t."""
    along = next((title for title in TIMES if title in table.rows[0].names), None)
    if along is None:
        return []
    maps = []
    for i, column in enumerate(table.columns):
        cells: dict[str, dict[str, Number]] = {}
        for row in table.rows:
            t, cell = row.names[along], row.cells[i]
            if _is_number(t) and cell.mean is not None:
                others = [name for title, name in row.names.items() if title != along and name]
                cells.setdefault(", ".join(others), {})[t] = cell
        times = sorted({t for line in cells.values() for t in line}, key=float)
        if len(times) >= FEWEST and _differ(cells):
            maps.append(_map(column.title, times, cells))
    return maps


def _from_columns(table: WrittenTable) -> list[HeatMap]:
    """Of a table that has a column for each t."""
    at = {i: m[1] for i, c in enumerate(table.columns) if (m := AT.fullmatch(c.title))}
    if len(at) < FEWEST:
        return []
    cells = {
        row.name: {t: row.cells[i] for i, t in at.items() if row.cells[i].mean is not None}
        for row in table.rows
    }
    of = table.columns[min(at)].key.split(" ")[0]  # `accuracy 0.5` is accuracy at t = 0.5
    whole = next((c.title for c in table.columns if c.key == of), table.title)
    return [_map(re.sub(r", mean over t$", "", whole), [*at.values()], cells)]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None


def _differ(cells: dict[str, dict[str, Number]]) -> bool:
    return len({cell.mean for line in cells.values() for cell in line.values()}) > 1


def _map(title: str, times: Sequence[str], cells: dict[str, dict[str, Number]]) -> HeatMap:
    means = [c.mean for line in cells.values() for c in line.values() if c.mean is not None]
    low, high = min(means), max(means)

    def square(cell: Number | None) -> Square | None:
        if cell is None or cell.mean is None:
            return None
        share = (cell.mean - low) / (high - low) if high > low else 0.0
        return Square(cell.shown.split(" ")[0], round(share, 4))

    lines = [(name, [square(line.get(t)) for t in times]) for name, line in cells.items()]
    return HeatMap(title, times, lines)
