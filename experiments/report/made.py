"""How a row's numbers were made: by seed, by which stages, in how many seconds.

A table's .json lists its stages inputs first, so that what a row adds to the rows above it ends
with its own key. With `inputs`, which newer files have, it also says what all of a row costs.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.tables.written.table import WrittenRow, WrittenTable


@dataclass(frozen=True)
class SeedRow:
    """A row's number of one seed.

    stage: its measurement's name in the store.  values: by column, in the column's unit.  added:
    seconds of the stages that no row above needs.  whole: of all behind it; None if that is not
    written.
    """

    seed: int
    stage: str
    values: Sequence[float | None]
    added: float
    whole: float | None


def makings(table: WrittenTable) -> list[list[SeedRow]]:
    """[rows][seeds]; none of a row that is the paper's alone."""
    seconds, inputs = table.detail["seconds"], table.detail.get("inputs")
    named = {name.split("/")[1]: name for name in seconds}
    added = _added(seconds, {named[k] for row in table.rows for k in row.keys if k in named})
    every = []
    for row in table.rows:
        factors = [_factor(row, i, column.key) for i, column in enumerate(table.columns)]
        of_row = []
        for seed, key in enumerate(row.keys):
            name = named.get(key, key)
            whole = (
                None
                if inputs is None
                else sum(seconds[s] for s in _behind(name, inputs) if s in seconds)
            )
            values = [_value(row, column.key, seed) for column in table.columns]
            shown = [None if v is None else v * f for v, f in zip(values, factors, strict=True)]
            of_row.append(SeedRow(seed, name, shown, added.get(name, 0.0), whole))
        every.append(of_row)
    return every


def _added(seconds: Mapping[str, float], ends: set[str]) -> dict[str, float]:
    """Seconds from the end of one measurement to the end of the next, as they are listed."""
    added, since = dict[str, float](), 0.0
    for name, spent in seconds.items():
        since += spent
        if name in ends:
            added[name], since = since, 0.0
    return added


def _behind(name: str, inputs: Mapping[str, Sequence[str]]) -> set[str]:
    """A stage and all that it is made from, each once."""
    seen, ahead = set[str](), [name]
    while ahead:
        stage = ahead.pop()
        if stage not in seen:
            seen.add(stage)
            ahead += inputs.get(stage, ())
    return seen


def _value(row: WrittenRow, key: str, seed: int) -> float | None:
    values = row.values.get(key, ())
    return values[seed] if seed < len(values) else None


def _factor(row: WrittenRow, column: int, key: str) -> float:
    """What a column shows its numbers times: the power of ten between their mean and the cell's."""
    known = [value for value in row.values.get(key, ()) if value is not None]
    shown = row.cells[column].mean
    if not known or not shown or not math.fsum(known):
        return 1.0
    return float(10.0 ** round(math.log10(shown / (math.fsum(known) / len(known)))))


def total(table: WrittenTable) -> float:
    """Seconds of all that a table is made from."""
    return math.fsum(table.detail["seconds"].values())


def by_kind(table: WrittenTable) -> Iterator[tuple[str, int, float]]:
    """(kind, how many stages, seconds), the dearest first."""
    spent: dict[str, list[float]] = {}
    for name, seconds in table.detail["seconds"].items():
        spent.setdefault(name.split("/")[0], []).append(seconds)
    yield from sorted(
        ((kind, len(each), math.fsum(each)) for kind, each in spent.items()), key=lambda x: -x[2]
    )
