"""The tables of a run as far as it has come: rows are read from the store as they are measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.pipeline import build
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Store
from experiments.report.contents import Contents, place
from experiments.tables import report
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row, measurements
from experiments.tables.written.table import WrittenTable, parse

REMARK = "Not finished: a row without a number waits for it, and a mean is over the seeds there."


class Growing:
    """The tables of a run.  A table is read again once the store has more of its rows."""

    def __init__(
        self, tables: Sequence[Table], scale_name: str, seeds: int, store: Path, folder: Path
    ) -> None:
        self.scale_name, self.seeds, self.store, self.folder = scale_name, seeds, store, folder
        there = sorted(
            (table for table in tables if scale_name in table.scales),
            key=lambda table: place(table.name),
        )
        self.rows: list[tuple[Table[Any], list[list[Row]]]] = [
            (table, table.by_seed(table.scales[scale_name], seeds)) for table in there
        ]
        self._read: dict[str, tuple[int, WrittenTable]] = {}

    @property
    def stages(self) -> list[Stage]:
        """All that the run makes."""
        return build.behind([stage for _, rows in self.rows for stage in measurements(rows)])

    def contents(self) -> Contents:
        """The tables that have a row by now; claims are judged when all is made."""
        store = Store(self.store)
        for table, rows in self.rows:
            own = measurements(rows)
            have = sum((self.store / each.kind / each.key / "config.json").exists() for each in own)
            if have and self._read.get(table.name, (0,))[0] != have:
                remarks = [] if have == len(own) else [REMARK]
                self._read[table.name] = have, self._written(table, rows, store, remarks)
        return Contents(self.folder, [written for _, written in self._read.values()], [])

    def _written(
        self, table: Table, rows: list[list[Row]], store: Store, remarks: Sequence[str]
    ) -> WrittenTable:
        scale = table.scales[self.scale_name]
        results = Results(table, self.scale_name, scale, self.seeds, store, rows)
        texts = report.texts(results, remarks, figures={})  # they are drawn when all is made
        return parse(table.name, texts["md"], texts["csv"], texts["json"])
