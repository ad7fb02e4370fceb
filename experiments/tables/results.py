"""Tables, their rows, and what the store holds of them, by training seed."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from experiments.cli.dials import changed
from experiments.pipeline.stage import Measurement, Stage
from experiments.pipeline.store import Store
from experiments.recipes import scores
from experiments.recipes.images import SCALES
from experiments.tables.columns import Column
from experiments.tables.statistics import Estimate, estimate


@dataclass(frozen=True)
class Row:
    """What names the row, the measurement to make, and the paper's numbers by paper column.

    measured: None where the row is the paper's alone.  at: the part of a measurement that gives
    several rows.
    """

    names: Mapping[str, str]
    measured: Measurement | None
    paper: Mapping[str, float] = field(default_factory=dict)
    at: str | None = None

    @property
    def name(self) -> str:
        return " ".join(filter(None, self.names.values()))

    def read(self, store: Store) -> dict[str, float]:
        """The row's numbers by key; none where there is no measurement."""
        if self.measured is None:
            return {}
        found = self.measured.read(store)
        return found if self.at is None else found[self.at]


class Names(Protocol):
    """What says under which name a scale measures a column; a judge."""

    def columns_for(self, column: Column) -> tuple[Column, ...]: ...


@dataclass(frozen=True)
class Table:
    """A table of a paper. rows(scale, seed) gives the same rows in the same order for every seed.

    baseline: index of the row that the others are compared with, paired by seed; None for none.
    paper: the columns of the paper's numbers.  notes: what the reader must know, below the table.
    figures: PNGs by name.  tests: further lines that are computed from the results.
    scales, judge: those of pictures, or of video.
    """

    name: str
    title: str
    columns: Sequence[Column]
    rows: Callable[[Any, int], list[Row]]
    baseline: int | None = 0
    paper: Sequence[str] = ()
    notes: Sequence[str] = ()
    figures: "Mapping[str, Callable[[Results], bytes]]" = field(default_factory=dict)
    tests: "Callable[[Results], list[str]] | None" = None
    scales: Mapping[str, Any] = field(default_factory=lambda: SCALES)
    judge: Callable[[Any], Names] = scores.judge

    def stages(self, scale: Any, seeds: int) -> list[Measurement]:
        """What has to be measured before the table can be written."""
        rows = [row for seed in range(seeds) for row in self.rows(scale, seed)]
        return [row.measured for row in rows if row.measured is not None]


class Results:
    """A table's measurements, read from the store."""

    def __init__(self, table: Table, scale_name: str, scale: Any, seeds: int, store: Store) -> None:
        self.table, self.scale, self.seeds, self.store = table, scale, seeds, store
        self.scale_name, self.changed = scale_name, changed(table.scales[scale_name], scale)
        self.judge = table.judge(scale)
        self.columns = [
            shown for column in table.columns for shown in self.judge.columns_for(column)
        ]
        self.rows = [table.rows(scale, seed) for seed in range(seeds)]  # [seeds][rows]
        self.found = [[row.read(store) for row in rows] for rows in self.rows]

    def where(self, name: str, value: str) -> "Results":
        """The same results, of the rows alone whose `name` is `value`."""
        kept = [i for i, row in enumerate(self.rows[0]) if row.names[name] == value]
        part = copy.copy(self)
        part.rows = [[rows[i] for i in kept] for rows in self.rows]
        part.found = [[found[i] for i in kept] for found in self.found]
        return part

    def shown(self, column: Column) -> Column:
        """The column under the name of what measured it here; as it is if that measures it not."""
        return next(iter(self.judge.columns_for(column)), column)

    def values(self, row: int, column: Column) -> list[float | None]:
        """The row's number in a column's unit, by seed; None where the measurement lacks it."""
        found = [rows[row].get(column.key) for rows in self.found]
        return [None if value is None else column.factor * value for value in found]

    def mean(self, row: int, column: Column) -> Estimate:
        return estimate([value for value in self.values(row, column) if value is not None])

    def difference(self, row: int, base: int, column: Column) -> Estimate:
        """One row's number less another's, seed by seed, where both are there."""
        pairs = zip(self.values(row, column), self.values(base, column), strict=True)
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        return estimate([a - b for a, b in both])

    @functools.cached_property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """What made each stage behind the table, inputs first, by its name in the store."""
        found: dict[str, dict[str, Any]] = {}

        def visit(stage: Stage) -> None:
            name = f"{stage.kind}/{stage.key}"
            if name not in found:
                for item in stage.inputs():
                    visit(item)
                found[name] = self.store.provenance(stage)

        for rows in self.rows:
            for row in rows:
                if row.measured is not None:
                    visit(row.measured)
        return found

    @functools.cached_property
    def commits(self) -> list[str]:
        return sorted({made["commit"] for made in self.provenance.values()})

    def remarks(self) -> list[str]:
        """What the measurements say of themselves, each line once."""
        stages = [row.measured for rows in self.rows for row in rows if row.measured is not None]
        return list(dict.fromkeys(line for stage in stages for line in stage.remarks(self.store)))

    def frame(self) -> pd.DataFrame:
        """One line a row: names, the paper's numbers, means with interval ends, n."""
        lines, base = [], self.table.baseline
        for i, row in enumerate(self.rows[0]):
            line: dict[str, object] = {**row.names}
            line.update({title: row.paper.get(title) for title in self.table.paper})
            for column in self.columns:
                found = self.mean(i, column)
                line[column.title] = found.mean
                line[f"{column.title} low"] = found.low
                line[f"{column.title} high"] = found.high
                if base is not None:
                    against = self.difference(i, base, column)
                    line[f"{column.title} difference"] = against.mean
                    line[f"{column.title} difference half-width"] = against.half_width
            lines.append({**line, "n seeds": self.seeds})
        return pd.DataFrame(lines)
