"""Tables, their rows, and what the store holds of them, by training seed."""

import copy
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, Self, TypeVar

from experiments.pipeline.stage import Measurement, Stage
from experiments.pipeline.store import Store
from experiments.tables.columns import Column
from experiments.tables.dials import changed
from experiments.tables.rows import Row, measurements
from experiments.tables.statistics import Estimate, estimate
from experiments.tables.sweeps import Sweep, turned


class Seeded(Protocol):
    """A scale, as far as tables know it: it says on what data a seed is."""

    def of_seed(self, seed: int) -> Self: ...

    @property
    def drawn(self) -> str:
        """What each seed has of its own, and what all share, in words."""
        ...


ScaleT = TypeVar("ScaleT", bound=Seeded)
"""What a paper's scales are; tables only hand them on to whoever makes rows and judge."""


NUMBER = re.compile(r"\d+(?:\.\d+)?")


SEED = re.compile(r",? (?:of )?seed \d+")


def merged(lines: Sequence[str]) -> str:
    """One line for several that differ in numbers alone: each number's least and greatest, and no
    seed, of which there is one for each line."""
    if len({*lines}) == 1:
        return lines[0]
    lines = [SEED.sub("", line) for line in lines]
    numbers = zip(*(NUMBER.findall(line) for line in lines), strict=True)
    ends = [(min(each, key=float), max(each, key=float)) for each in numbers]
    spans = iter(low if float(low) == float(high) else f"{low} to {high}" for low, high in ends)
    return NUMBER.sub(lambda _: next(spans), lines[0])


class NamesColumns(Protocol):
    """A judge, as far as tables know it: it says under which name it measures a column."""

    def columns_for(self, column: Column) -> tuple[Column, ...]: ...


@dataclass(frozen=True)
class Chart:
    """A figure of lines and words: pixels, and the SVG that prints at any size."""

    png: bytes
    svg: bytes


@dataclass(frozen=True)
class Table(Generic[ScaleT]):
    """A table of a paper. rows(scale, seed) gives the same rows in the same order for every seed.

    scales, judge: the scales that it can be made at, by name, and the judge at one of them.
    baseline: index of the row that the others are compared with, paired by seed; None for none.
    paper: the columns of the paper's numbers.  notes: what the reader must know, below the table.
    figures: PNGs or charts by name.  tests: further lines that are computed from the results; None
    for one whose rows are not there.  sweep: what gives the rows, where its numbers are options.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Callable[[ScaleT, int], list[Row]]
    scales: Mapping[str, ScaleT]
    judge: Callable[[ScaleT], NamesColumns]
    baseline: int | None = 0
    paper: Sequence[str] = ()
    notes: Sequence[str] = ()
    figures: "Mapping[str, Callable[[Results], bytes | Chart]]" = field(default_factory=dict)
    tests: "Callable[[Results], Sequence[str | None]] | None" = None
    sweep: Sweep[ScaleT] | None = None

    def changed(self, scale_name: str, scale: ScaleT) -> dict[str, object]:
        """The dials that are not those of the named scale, and the numbers not the table's own."""
        swept = {} if self.sweep is None else turned(self.sweep)
        return {**changed(self.scales[scale_name], scale), **swept}

    def swept(self, sweep: Sweep[ScaleT]) -> "Table[ScaleT]":
        """The same table over other numbers."""
        return replace(self, rows=sweep.rows, sweep=sweep)

    def stages(self, scale: ScaleT, seeds: int) -> list[Measurement]:
        """What has to be measured before the table can be written."""
        return measurements(self.by_seed(scale, seeds))

    def by_seed(self, scale: ScaleT, seeds: int) -> list[list[Row]]:
        """The rows of each seed, on its own data."""
        return [self.rows(scale.of_seed(seed), seed) for seed in range(seeds)]


class Results(Generic[ScaleT]):
    """A table's measurements, read from the store.

    rows: the table's, by seed, of a caller who has them: a stage that is made again has to find its
    key again.
    """

    def __init__(
        self,
        table: Table[ScaleT],
        scale_name: str,
        scale: ScaleT,
        seeds: int,
        store: Store,
        rows: list[list[Row]] | None = None,
    ) -> None:
        self.table, self.scale, self.seeds, self.store = table, scale, seeds, store
        self.scale_name, self.changed = scale_name, table.changed(scale_name, scale)
        self.judge = table.judge(scale)
        self.rows = table.by_seed(scale, seeds) if rows is None else rows  # [seeds][rows]
        self.numbers = [[row.read(store) for row in rows] for rows in self.rows]
        judged = [shown for column in table.columns for shown in self.judge.columns_for(column)]
        there = {key for rows in self.numbers for row in rows for key in row}
        # As of diversity within a prompt, where each is asked once. What failed may have had any.
        kept = judged if self.lacking else [column for column in judged if column.key in there]
        self.columns = kept or judged

    @property
    def partial(self) -> bool:
        """Whether rows that the table is written for may be absent: a dial was turned, or a
        measurement failed."""
        return bool(self.changed or self.lacking)

    @functools.cached_property
    def lacking(self) -> list[int]:
        """The rows whose measurement some seed lacks, since it failed."""
        every = range(len(self.rows[0]))
        return [i for i in every if any(rows[i].lacks(self.store) for rows in self.rows)]

    def complete(self) -> "Results[ScaleT]":
        """The same results, of the rows alone that no seed lacks."""
        return self._only([i for i in range(len(self.rows[0])) if i not in self.lacking])

    def where(self, name: str, *values: str) -> "Results[ScaleT]":
        """The same results, of the rows alone whose `name` is one of `values`."""
        return self._only([i for i, row in enumerate(self.rows[0]) if row.names[name] in values])

    def _only(self, kept: Sequence[int]) -> "Results[ScaleT]":
        partial, part = self.lacking, copy.copy(self)
        part.lacking = partial  # what is absent from the whole is absent from each part
        part.rows = [[rows[i] for i in kept] for rows in self.rows]
        part.numbers = [[numbers[i] for i in kept] for numbers in self.numbers]
        return part

    def shown(self, column: Column) -> Column:
        """The column under the name of what measured it here; as it is if that measures it not."""
        return next(iter(self.judge.columns_for(column)), column)

    def measures(self, column: Column) -> bool:
        """Whether some row has a column's number, as none has diversity within a prompt where each
        is asked once."""
        key = self.shown(column).key
        return any(key in row for rows in self.numbers for row in rows)

    def values(self, row: int, column: Column) -> list[float | None]:
        """The row's number in a column's unit, by seed; None where the measurement lacks it."""
        numbers = [rows[row].get(column.key) for rows in self.numbers]
        return [None if value is None else column.factor * value for value in numbers]

    def mean(self, row: int, column: Column) -> Estimate:
        known = [value for value in self.values(row, column) if value is not None]
        return estimate(known).within(*column.shown_range)

    def difference(self, row: int, base: int, column: Column) -> Estimate:
        """One row's number less another's, seed by seed, where both are there."""
        pairs = zip(self.values(row, column), self.values(base, column), strict=True)
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        return estimate([a - b for a, b in both])

    @functools.cached_property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """What made each stage behind the table, inputs first, by its name in the store."""
        provenance: dict[str, dict[str, Any]] = {}

        def visit(stage: Stage) -> None:
            name = f"{stage.kind}/{stage.key}"
            if name not in provenance and self.store.has(stage):
                for item in stage.inputs():
                    visit(item)
                provenance[name] = self.store.provenance(stage)

        for rows in self.rows:
            for row in rows:
                if row.measured is not None:
                    visit(row.measured)
        return provenance

    @functools.cached_property
    def commits(self) -> list[str]:
        return sorted({made["commit"] for made in self.provenance.values()})

    def remarks(self) -> list[str]:
        """What the measurements say of themselves, each line once: those of a row's seeds as one,
        where they differ in their numbers alone."""
        told = dict[str, None]()
        for seeds in zip(*self.rows, strict=True):
            alike: dict[str, list[str]] = {}
            for row in seeds:
                if row.measured is not None and not row.lacks(self.store):
                    for line in row.measured.remarks(self.store):
                        alike.setdefault(NUMBER.sub("#", SEED.sub("", line)), []).append(line)
            told.update(dict.fromkeys(merged(lines) for lines in alike.values()))
        return list(told)

    def lines(self) -> list[dict[str, object]]:
        """One line a row: names, the paper's numbers, means with interval ends, n."""
        lines, base = list[dict[str, object]](), self.table.baseline
        for i, row in enumerate(self.rows[0]):
            line: dict[str, object] = {**row.names}
            line.update({title: row.paper.get(title) for title in self.table.paper})
            for column in self.columns:
                mean = self.mean(i, column)
                line[column.title] = mean.mean
                line[f"{column.title} low"] = mean.low
                line[f"{column.title} high"] = mean.high
                if base is not None:
                    difference = self.difference(i, base, column)
                    line[f"{column.title} difference"] = difference.mean
                    line[f"{column.title} difference half-width"] = difference.half_width
            lines.append({**line, "n seeds": self.seeds})
        return lines
