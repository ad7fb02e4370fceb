"""What a results folder has: its tables in the order of the papers, its figures, its claims."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from experiments.pipeline.files import StoreError
from experiments.report import captions
from experiments.tables.verdicts import Verdict
from experiments.tables.written import table
from experiments.tables.written.table import WrittenTable

ORDER = ("table", "ablation-", "tuning", "figures", "paris2-")
"""What the names of tables begin with, in the order in which the page has them."""
OTHERS = "Beyond the papers"
PAPERS = ("HDDM", "Paris 2.0", OTHERS)
PAPER = re.compile(r"\((HDDM|Paris 2\.0)[^()]*\)")


@dataclass(frozen=True)
class JudgedReading:
    """A claim under one reading, as claims.json has it. Numbers are None where nothing was tested.

    rows: the leading names of the rows that are compared.  margin: the smallest mean that would
    matter.
    """

    paper: str
    number: int
    section: str
    claim: str
    reading: str
    table: str
    rows: Sequence[Sequence[str]]
    metric: str
    printed: str
    mean: float | None
    half_width: float | None
    n: int
    margin: float | None
    p: float | None
    verdict: Verdict
    why: str


@dataclass(frozen=True)
class Contents:
    folder: Path
    tables: Sequence[WrittenTable]
    readings: Sequence[JudgedReading]

    @property
    def scale(self) -> str:
        return str(self.tables[0].detail["scale"]) if self.tables else self.folder.name

    @property
    def by_paper(self) -> dict[str, list[WrittenTable]]:
        """The tables of each paper, and those of none."""
        papers: dict[str, list[WrittenTable]] = {name: [] for name in PAPERS}
        for each in self.tables:
            papers[paper(each)].append(each)
        return {name: tables for name, tables in papers.items() if tables}

    def pictures(self, of: str | None) -> list[Path]:
        """The pictures that a table draws, None for those of no table: each has one place."""
        names = [each.name for each in self.tables]
        paths = sorted((self.folder / "figures").glob("*.png"))
        of_each = {path: captions.owner(path.stem, names) for path in paths}
        return [p for p, table in of_each.items() if (table if table in names else None) == of]


def paper(written: WrittenTable) -> str:
    """The paper whose section a table's title names."""
    named = PAPER.search(written.title)
    return named[1] if named else OTHERS


def place(name: str) -> tuple[int, str]:
    """What a table's name is sorted by."""
    ranks = (i for i, start in enumerate(ORDER) if name.startswith(start))
    return next(ranks, len(ORDER)), name


def read(folder: Path) -> Contents:
    """Everything in a results folder. StoreError where there is no table, or one is damaged."""
    names = sorted(table.names(folder), key=place)
    if not names:
        raise StoreError(f"{folder} holds no tables: make table1 writes the first")
    return Contents(folder, [table.read(folder, name) for name in names], _readings(folder))


def _readings(folder: Path) -> list[JudgedReading]:
    """None where no claim was judged yet."""
    path = folder / "claims.json"
    try:
        return [_reading(record) for record in json.loads(path.read_text())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"cannot read {path}: {error}") from error


def _reading(record: Mapping[str, Any]) -> JudgedReading:
    tested = record["difference"]
    names = {field.name for field in fields(JudgedReading)} - {"p", "verdict"}
    plain = {name: value for name, value in record.items() if name in names}
    return JudgedReading(
        **{"rows": (), **plain},  # which claims that were judged earlier do not name
        p=None if tested is None else tested["false_discovery"],
        verdict=Verdict(record["verdict"]),
    )
