"""How a row's numbers were made: by seed, by which stages, in how many seconds.

A stage that several rows need is charged once, to the first of them. The .json of a table says in
`inputs` what each stage is made from; an older one has no more than its stages, inputs first, so
that what a measurement adds to those before it ends with its own key.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from experiments.tables.written.table import WrittenRow, WrittenTable


@dataclass(frozen=True)
class SeedRow:
    """A row's number of one seed.

    stage: its measurement's name in the store.  values: by column, in the column's unit.  added:
    seconds of the stages that neither a row above nor an earlier seed of this one needs.  whole: of
    all behind it; None if that is not written.
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
    stages = [[named.get(key, key) for key in row.keys] for row in table.rows]
    needs = _needs({name for names in stages for name in names}, seconds, inputs)
    charged, every = set[str](), []
    for row, names in zip(table.rows, stages, strict=True):
        factors = [_factor(row, i, column.key) for i, column in enumerate(table.columns)]
        of_row = []
        for seed, name in enumerate(names):
            values = [_value(row, column.key, seed) for column in table.columns]
            shown = [None if v is None else v * f for v, f in zip(values, factors, strict=True)]
            added = _spent(needs[name] - charged, seconds)
            whole = None if inputs is None else _spent(needs[name], seconds)
            of_row.append(SeedRow(seed, name, shown, added, whole))
            charged |= needs[name]
        every.append(of_row)
    return every


def _needs(
    ends: set[str], seconds: Mapping[str, float], inputs: Mapping[str, Sequence[str]] | None
) -> dict[str, set[str]]:
    """{measurement: what it needs}: all behind it or, where that is not written, the stages listed
    since the measurement before it."""
    if inputs is not None:
        return {end: _behind(end, inputs) for end in ends}
    needs, since = {end: set[str]() for end in ends}, set[str]()
    for name in seconds:
        since.add(name)
        if name in ends:
            needs[name], since = since, set()
    return needs


def _spent(stages: set[str], seconds: Mapping[str, float]) -> float:
    """Seconds of the stages that are made by now."""
    return math.fsum(seconds.get(stage, 0.0) for stage in stages)


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
