"""Two results folders, number by number: what moved, and whether by more than the intervals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from experiments.report.contents import Contents, JudgedReading
from experiments.tables.columns import MISSING
from experiments.tables.written.table import Number, WrittenTable


class Move(Enum):
    """How far a number went, the farthest first."""

    APART = "beyond both intervals"
    WITHIN = "within the intervals"
    UNSURE = "one side has no interval"
    APPEARED = "only here"
    VANISHED = "only there"
    SAME = "unchanged"


@dataclass(frozen=True)
class Moved:
    """A number here and there.  remade: whether other artifacts stand behind it."""

    table: str
    row: str
    column: str
    here: str
    there: str
    change: float | None
    move: Move
    remade: bool


@dataclass(frozen=True)
class Turned:
    """A reading whose verdict is another."""

    number: int
    claim: str
    reading: str
    here: str
    there: str


@dataclass(frozen=True)
class Comparison:
    """other: the name of the folder that this one is held against.  only_…: names of tables, and
    readings of claims, that one of the two folders has alone."""

    other: str
    numbers: Sequence[Moved]
    verdicts: Sequence[Turned]
    only_here: Sequence[str]
    only_there: Sequence[str]
    readings_only_here: Sequence[JudgedReading]
    readings_only_there: Sequence[JudgedReading]

    def count(self, move: Move) -> int:
        return sum(each.move is move for each in self.numbers)


NOTHING = Number(MISSING, None, None, None)


def move(here: Number, there: Number) -> Move:
    """Two intervals that do not overlap are apart."""
    if here.mean is None or there.mean is None:
        return Move.APPEARED if there.mean is None else Move.VANISHED
    if here.mean == there.mean:
        return Move.SAME
    if here.low is None or here.high is None or there.low is None or there.high is None:
        return Move.UNSURE
    return Move.APART if here.high < there.low or there.high < here.low else Move.WITHIN


def compare(here: Contents, there: Contents, other: str) -> Comparison:
    """Rows are matched by their names, columns by their keys, readings of claims by paper, number,
    reading and table: a claim may be worded anew."""
    ours, theirs = ({t.name: t for t in each.tables} for each in (here, there))
    numbers = [
        moved
        for name, table in ours.items()
        if name in theirs
        for moved in _tables(table, theirs[name])
    ]
    numbers.sort(key=lambda each: [*Move].index(each.move))
    only = [[n for n in a if n not in b] for a, b in ((ours, theirs), (theirs, ours))]
    judged, before = ({_at(r): r for r in each.readings} for each in (here, there))
    alone = [
        [reading for at, reading in a.items() if at not in b]
        for a, b in ((judged, before), (before, judged))
    ]
    return Comparison(
        other, numbers, [*_verdicts(judged, before)], only[0], only[1], alone[0], alone[1]
    )


def _tables(ours: WrittenTable, theirs: WrittenTable) -> Iterator[Moved]:
    here, there = (_cells(each) for each in (ours, theirs))
    titles = {c.key: c.title for each in (theirs, ours) for c in each.columns}
    for at in dict.fromkeys([*here, *there]):
        (a, made), (b, before) = (cells.get(at, (NOTHING, ())) for cells in (here, there))
        if a.mean is None and b.mean is None:
            continue
        change = None if a.mean is None or b.mean is None else a.mean - b.mean
        names, key = at
        row, remade = " ".join(filter(None, names)), [*made] != [*before]
        shown = a.shown, b.shown
        yield Moved(ours.name, row, titles[key], *shown, change, move(a, b), remade)


Cells = dict[tuple[tuple[str, ...], str], tuple[Number, Sequence[str]]]


def _cells(table: WrittenTable) -> Cells:
    """{(the row's names, the column's key): (its cell, the keys of what was measured)}."""
    return {
        (tuple(row.names.values()), column.key): (cell, row.keys)
        for row in table.rows
        for column, cell in zip(table.columns, row.cells, strict=True)
    }


At = tuple[str, int, str, str]


def _at(reading: JudgedReading) -> At:
    """What a reading is matched by."""
    return reading.paper, reading.number, reading.reading, reading.table


def _verdicts(
    here: Mapping[At, JudgedReading], there: Mapping[At, JudgedReading]
) -> Iterator[Turned]:
    for at, r in here.items():
        was = there.get(at)
        if was is not None and was.verdict is not r.verdict:
            yield Turned(r.number, r.claim, r.reading, r.verdict.value, was.verdict.value)
