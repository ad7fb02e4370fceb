"""A table as its files have it: words of the .md, digits of the .csv, keys of the .json.

Whatever shows published numbers reads them here, so that it needs neither a store nor the code that
made them.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from experiments.pipeline.files import StoreError
from experiments.tables.columns import EXPERT, MISSING
from experiments.tables.rows import joined
from experiments.tables.written.best import beyond_models, of_data
from experiments.tables.written.directions import Better, better

BASELINE = re.compile(r"Difference to (.*), paired by seed:")


@dataclass(frozen=True)
class WrittenColumn:
    key: str
    title: str

    @property
    def better(self) -> Better | None:
        return better(self.key)


@dataclass(frozen=True)
class Number:
    """A number: as it is shown, and to its last digit.  difference: to the table's baseline.

    low, high: the ends of its 95 % interval; half_width: that of the difference's.  None of what
    is missing.
    """

    shown: str
    mean: float | None
    low: float | None
    high: float | None
    difference_shown: str = MISSING
    difference: float | None = None
    half_width: float | None = None


@dataclass(frozen=True)
class WrittenRow:
    """names: by title.  paper: the paper's numbers as they are shown, one for each of its columns.

    keys: of the measurement, by seed.  values: the numbers by column and seed, without a factor.
    """

    names: Mapping[str, str]
    paper: Sequence[str]
    cells: Sequence[Number]
    keys: Sequence[str]
    values: Mapping[str, Sequence[float | None]]

    @property
    def name(self) -> str:
        return joined(self.names.values())

    @property
    def of_data(self) -> bool:
        """Whether it is of real pictures or clips: no expert was evaluated for a sample."""
        return of_data(self.values.get(EXPERT.key, ()))

    @property
    def beyond_models(self) -> bool:
        """Whether it is none of the models that are compared."""
        return beyond_models(self.names.values(), self.values.get(EXPERT.key, ()))


@dataclass(frozen=True)
class WrittenTable:
    """paper, columns: of the paper's numbers and of ours.  baseline: the name of the row that
    differences are to.  notes: what stands below, in Markdown.  detail: the .json."""

    name: str
    title: str
    paper: Sequence[str]
    columns: Sequence[WrittenColumn]
    rows: Sequence[WrittenRow]
    baseline: str | None
    notes: Sequence[str]
    detail: Mapping[str, Any] = field(repr=False)

    @property
    def seeds(self) -> int:
        return int(self.detail["seeds"])


def read(folder: Path, name: str) -> WrittenTable:
    """The table NAME of a results folder. StoreError, naming it, for files that do not agree."""
    try:
        texts = [(folder / f"{name}.{ending}").read_text() for ending in ("md", "csv", "json")]
        return parse(name, *texts)
    except (OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise StoreError(
            f"cannot read {folder / name}.md, .csv and .json as one: {error}"
        ) from error


def parse(name: str, md: str, digits: str, detail: str) -> WrittenTable:
    """The table of the three texts. ValueError or LookupError for texts that do not agree."""
    content, lines = json.loads(detail), md.splitlines()
    titles, *given = csv.reader(io.StringIO(digits))
    names, keys = [*content["rows"][0]["names"]], [*content["rows"][0]["values"]]
    ours = [title for title in titles if f"{title} low" in titles]
    paper = titles[len(names) : titles.index(ours[0])]
    columns = [WrittenColumn(*each) for each in zip(keys, ours, strict=True)]
    baseline = next((m[1] for line in lines if (m := BASELINE.fullmatch(line))), None)
    tables = _tables(lines)
    differences = {} if baseline is None else _by_names([tables.pop()], names)
    body, rows = _by_names(tables, names), []
    for line, row in zip(given, content["rows"], strict=True):
        numbers, named = dict(zip(titles, line, strict=True)), tuple(row["names"].values())
        words, beside = body[named], differences.get(named, {})
        cells = []
        for key, title in zip(keys, ours, strict=True):
            on_page = [words.get(title, MISSING), beside.get(title, MISSING)]
            shown = row["shown"][key] if key in row.get("shown", ()) else on_page
            cells.append(_cell(title, numbers, *shown))
        theirs = [printed(row["paper"].get(title)) for title in paper]
        rows.append(WrittenRow(row["names"], theirs, cells, row["keys"], row["values"]))
    notes = [line.removeprefix("- ") for line in lines if line.startswith(("- ", "**"))]
    title = lines[0].removeprefix("# ")
    return WrittenTable(name, title, paper, columns, rows, baseline, notes, content)


def _by_names(
    tables: Sequence[Sequence[Mapping[str, str]]], names: Sequence[str]
) -> dict[tuple[str, ...], dict[str, str]]:
    """The cells of each row by its names, over all tables in which it stands."""
    rows = dict[tuple[str, ...], dict[str, str]]()
    for words in (line for table in tables for line in table):
        rows.setdefault(tuple(words[name] for name in names), {}).update(words)
    return rows


def printed(value: float | None) -> str:
    """A number of a paper, as it is shown."""
    return MISSING if value is None else f"{value:g}"


def _tables(lines: Sequence[str]) -> list[list[dict[str, str]]]:
    """The rows of each table of a Markdown text, by the titles of their cells; without the arrows,
    the bold and the italics, which are for readers of the page."""
    tables, heads = list[list[dict[str, str]]](), list[str]()
    for line in lines:
        if not line.startswith("|"):
            heads = []
        elif not line.startswith("| ---"):
            cells = [*map(_plain, line.removeprefix("| ").removesuffix(" |").split(" | "))]
            if heads:
                tables[-1].append(dict(zip(heads, cells, strict=True)))
            else:
                heads = cells
                tables.append([])
    return tables


def _plain(cell: str) -> str:
    for way in Better:
        cell = cell.removesuffix(f" {way.value}")
    return cell.strip("*")


def _cell(
    title: str, numbers: Mapping[str, str], shown: str, difference_shown: str = MISSING
) -> Number:
    ends = ("", " low", " high", " difference", " difference half-width")
    mean, low, high, difference, half = (_number(numbers.get(f"{title}{end}", "")) for end in ends)
    return Number(shown, mean, low, high, difference_shown, difference, half)


def _number(text: str) -> float | None:
    return float(text) if text else None


def names(folder: Path) -> list[str]:
    """The tables of a results folder: those that have all three files."""
    stems = {path.stem for path in folder.glob("*.json")}
    return sorted(
        s for s in stems if all((folder / f"{s}.{end}").exists() for end in ("md", "csv"))
    )
