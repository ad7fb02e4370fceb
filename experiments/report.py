"""Rows and the paper's numbers -> results/<scale>/<table>.{csv,md,json}.

The .csv and .md hold nothing that another run on the same machine would not reproduce to the last
digit; wall times and the like go into the .json. Written aside and renamed: whole or absent.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.evaluation import Score
from experiments.provenance import packages
from experiments.scales import Scale, changed
from experiments.statistics import Estimate, estimate
from experiments.store import Stage, Store

MISSING = "—"


@dataclass(frozen=True)
class Column:
    """key: of the score.  factor: what it is shown times.  digits: after the point.

    counted: a number that is counted rather than estimated, with no interval where all agree.
    """

    key: str
    title: str
    digits: int
    factor: float = 1.0
    counted: bool = False

    def show(self, found: Estimate) -> str:
        """mean ± half-width of the 95 % interval, where there is one."""
        if found.mean is None:
            return MISSING
        mean = f"{found.mean:.{self.digits}f}"
        if found.half_width is None or (self.counted and found.half_width == 0):
            return mean
        return f"{mean} ± {found.half_width:.{self.digits}f}"


@dataclass(frozen=True)
class Row:
    """What names the row, the paper's number if the paper has this row, and the score to make."""

    names: Mapping[str, str]
    paper: float | None
    score: Score


@dataclass(frozen=True)
class Table:
    """A table of a paper. rows(scale, seed) gives the same rows in the same order for every seed.

    baseline: index of the row that the others are compared with, paired by seed.
    notes: what the reader must know, below the table. picture: a PNG of the first seed's rows.
    """

    name: str
    title: str
    paper_column: str
    columns: Sequence[Column]
    rows: Callable[[Scale, int], list[Row]]
    baseline: int = 0
    notes: Sequence[str] = ()
    picture: Callable[[Sequence[Row], Store], bytes] | None = None


class Results:
    """A table's scores, read from the store."""

    def __init__(
        self, table: Table, scale_name: str, scale: Scale, seeds: int, store: Store
    ) -> None:
        self.table, self.seeds, self.store = table, seeds, store
        self.scale_name, self.changed = scale_name, changed(scale_name, scale)
        self.rows = [table.rows(scale, seed) for seed in range(seeds)]  # [seeds][rows]
        self.scores = [[row.score.read(store) for row in rows] for rows in self.rows]

    def values(self, row: int, column: Column) -> list[float | None]:
        """The row's number in a column's unit, by seed; None where the score lacks it."""
        found = [scores[row].get(column.key) for scores in self.scores]
        return [None if value is None else column.factor * value for value in found]

    def mean(self, row: int, column: Column) -> Estimate:
        return estimate([value for value in self.values(row, column) if value is not None])

    def against_baseline(self, row: int, column: Column) -> Estimate:
        """The row's number less the baseline's, seed by seed, where both are there."""
        base = self.values(self.table.baseline, column)
        pairs = zip(self.values(row, column), base, strict=True)
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
                visit(row.score)
        return found

    def frame(self) -> pd.DataFrame:
        """One line a row: names, the paper's number, means with interval ends, n."""
        lines = []
        for i, row in enumerate(self.rows[0]):
            line: dict[str, object] = {**row.names, self.table.paper_column: row.paper}
            for column in self.table.columns:
                found = self.mean(i, column)
                line[column.title] = found.mean
                line[f"{column.title} low"] = found.low
                line[f"{column.title} high"] = found.high
                against = self.against_baseline(i, column)
                line[f"{column.title} difference"] = against.mean
                line[f"{column.title} difference half-width"] = against.half_width
            lines.append({**line, "n seeds": self.seeds})
        return pd.DataFrame(lines)

    def commits(self) -> list[str]:
        return sorted({made["commit"] for made in self.provenance.values()})


def _markdown(results: Results) -> str:
    table, first = results.table, results.rows[0]
    paper = [MISSING if row.paper is None else f"{row.paper:.2f}" for row in first]
    lines = [f"# {table.title}", "", *_header([table.paper_column, *_titles(table.columns)], first)]
    for i, row in enumerate(first):
        cells = [column.show(results.mean(i, column)) for column in table.columns]
        lines.append(_line([*row.names.values(), paper[i], *cells]))
    measured = [column for column in table.columns if not column.counted]
    baseline = " ".join(filter(None, first[table.baseline].names.values()))
    lines += ["", f"Difference to {baseline}, paired by seed:", ""]
    lines += _header(_titles(measured), first)
    for i, row in enumerate(first):
        if i != table.baseline:
            cells = [column.show(results.against_baseline(i, column)) for column in measured]
            lines.append(_line([*row.names.values(), *cells]))
    return "\n".join([*lines, "", *_footer(results)]) + "\n"


def _titles(columns: Sequence[Column]) -> list[str]:
    return [column.title for column in columns]


def _header(titles: Sequence[str], rows: Sequence[Row]) -> list[str]:
    cells = [*rows[0].names, *titles]
    return [_line(cells), _line(["---"] * len(cells))]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _footer(results: Results) -> list[str]:
    n, judge = results.seeds, results.rows[0][0].score.judge.read(results.store)
    interval = (
        f"mean ± half-width of the 95 % interval (Student's t) over n = {n} seeds, each of which "
        "trains and samples anew; data split, clusters, text encoder and judge are the same for all"
        if n > 1
        else "n = 1 seed, so no interval can be given"
    )
    keys = ", ".join(row.score.key for rows in results.rows for row in rows)
    plumbing = "**Scale smoke tests the plumbing. Its values mean nothing.**"
    dials = ", ".join(f"{dial} = {value}" for dial, value in results.changed.items())
    return [
        *([plumbing, ""] if results.scale_name == "smoke" else []),
        *(f"- {note}" for note in results.table.notes),
        f"- The judge reads {judge['accuracy']:.1%} of the held-out pictures rightly.",
        f"- Scale `{results.scale_name}`{f' with {dials}' if dials else ''}; {interval}.",
        f"- Seeds: {', '.join(map(str, range(n)))}. Code: {', '.join(results.commits())}.",
        f"- Score keys, by seed then row: {keys}.",
    ]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file aside and rename it: it is whole or as it was, and nothing else is left."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def open_folder(results: Path, scale_name: str, scale: Scale) -> Path:
    """results/<scale>, made now; results/<scale>-<digest> for a scale with dials turned."""
    dials = changed(scale_name, scale)
    digest = hashlib.sha256(repr(sorted(dials.items())).encode()).hexdigest()[:6]
    name = f"{scale_name}-{digest}" if dials else scale_name
    (results / name / "figures").mkdir(parents=True, exist_ok=True)
    return results / name


def write(results: Results, folder: Path) -> str:
    """Write the table's files into `folder` and return the markdown."""
    table, markdown = results.table, _markdown(results)
    if table.picture is not None:
        picture = table.picture(results.rows[0], results.store)
        write_whole(folder / "figures" / f"{table.name}.png", picture)
    detail = {
        "table": table.name,
        "scale": results.scale_name,
        "changed": {dial: str(value) for dial, value in results.changed.items()},
        "seeds": results.seeds,
        "rows": [
            {
                **row.names,
                table.paper_column: row.paper,
                "keys": [rows[i].score.key for rows in results.rows],
                "scores": [scores[i] for scores in results.scores],
            }
            for i, row in enumerate(results.rows[0])
        ],
        "seconds": {name: entry["seconds"] for name, entry in results.provenance.items()},
        "commits": results.commits(),
        "machines": sorted({f"{e['machine']}, {e['device']}" for e in results.provenance.values()}),
        "packages": packages(),
    }
    texts = {
        "json": json.dumps(detail, indent=1, ensure_ascii=False) + "\n",
        "csv": results.frame().to_csv(index=False),
        "md": markdown,
    }
    for ending, text in texts.items():
        write_whole(folder / f"{table.name}.{ending}", text.encode())
    return markdown
