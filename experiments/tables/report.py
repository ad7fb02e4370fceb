"""Results -> results/<scale>/<table>.{csv,md,json,tex} and figures/.

The .csv, .md and .tex hold nothing that another run on the same machine would not reproduce to the
last digit, but for Table 2's measured seconds; what else varies goes into the .json. Written aside
and renamed: whole or absent.
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path

from experiments.pipeline.files import write_whole
from experiments.pipeline.key import key
from experiments.pipeline.provenance import packages
from experiments.tables import illustrations
from experiments.tables.columns import MISSING, Column, bracketed
from experiments.tables.comparisons import RowAbsentError
from experiments.tables.results import Results
from experiments.tables.rows import Row
from experiments.tables.written.latex import latex
from experiments.tables.written.table import parse

SMOKE = "**Scale smoke tests the plumbing. Its values mean nothing.**"


def _markdown(results: Results, remarks: Sequence[str]) -> str:
    table, first = results.table, results.rows[0]
    lines = [f"# {table.title}", "", *_header([*table.paper, *_titles(results.columns)], first)]
    for i, row in enumerate(first):
        paper = [_paper(row.paper.get(title)) for title in table.paper]
        cells = [bracketed(column, results.mean(i, column)) for column in results.columns]
        lines.append(_line([*row.names.values(), *paper, *cells]))
    if table.baseline is not None:
        lines += _differences(results, table.baseline)
    if compared := [f"- {line}" for line in _tests(results)]:
        lines += ["", *compared]
    return "\n".join([*lines, "", *_footer(results), *(f"- {line}" for line in remarks)]) + "\n"


def _tests(results: Results) -> list[str]:
    """The lines of the table's tests; none of a test whose rows are not all there."""
    if results.table.tests is None:
        return []
    try:
        return [line for line in results.table.tests(results.complete()) if line is not None]
    except RowAbsentError:
        return []


def _paper(value: float | None) -> str:
    return MISSING if value is None else f"{value:g}"


def _differences(results: Results, baseline: int) -> list[str]:
    first = results.rows[0]
    measured = [column for column in results.columns if not column.counted]
    lines = ["", f"Difference to {first[baseline].name}, paired by seed:", ""]
    lines += _header(_titles(measured), first)
    for i, row in enumerate(first):
        if i != baseline and row.measured is not None:
            cells = [column.show(results.difference(i, baseline, column)) for column in measured]
            lines.append(_line([*row.names.values(), *cells]))
    return lines


def _titles(columns: Sequence[Column]) -> list[str]:
    return [column.title for column in columns]


def _header(titles: Sequence[str], rows: Sequence[Row]) -> list[str]:
    cells = [*rows[0].names, *titles]
    return [_line(cells), _line(["---"] * len(cells))]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _footer(results: Results) -> list[str]:
    n = results.seeds
    interval = (
        f"mean ± half-width of the 95 % interval (Student's t) over n = {n} seeds, each of "
        f"which {results.scale.drawn}{_cut(results)}"
        if n > 1
        else "n = 1 seed, so no interval can be given"
    )
    dials = ", ".join(f"{dial} = {_told(value)}" for dial, value in results.changed.items())
    return [
        *([SMOKE, ""] if results.scale_name == "smoke" else []),
        *(f"- {note}" for note in (*results.table.notes, *results.remarks())),
        f"- Scale `{results.scale_name}`{f' with {dials}' if dials else ''}; {interval}.",
        f"- Seeds: {', '.join(map(str, range(n)))}. Code: {', '.join(results.commits)}.",
        f"- The key of every measurement, and its number for each seed: {results.table.name}.json.",
    ]


def _told(value: object) -> str:
    """A dial's value in words: of a frozen value what is not as it would be unasked, and nothing of
    where data lie."""
    if not is_dataclass(value) or isinstance(value, type):
        return str(value)
    said = [
        f"{field.name} = {_told(held)}"
        for field in fields(value)
        if field.metadata.get("key", True) and (held := getattr(value, field.name)) != field.default
    ]
    return f"{type(value).__name__}({', '.join(said)})"


def _cut(results: Results) -> str:
    """What brackets mean, where a cell has them."""
    rows = range(len(results.rows[0]))
    cut = any(results.mean(i, column).cut for i in rows for column in results.columns)
    return "; [low, high] where it ends with the number's range" if cut else ""


def place(results: Path, scale_name: str, turned: Mapping[str, object]) -> Path:
    """results/<scale>; results/<scale>-<digest> where dials are turned."""
    digest = key(tuple(sorted(turned.items())), coded=False)[:6]
    return results / (f"{scale_name}-{digest}" if turned else scale_name)


def open_folder(results: Path, scale_name: str, turned: Mapping[str, object]) -> Path:
    """The place of a scale's tables, made now."""
    folder = place(results, scale_name, turned)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    return folder


def close_folder(folder: Path) -> None:
    """Take the place away again where nothing was written into it."""
    for place in (folder / "figures", folder):
        with suppress(OSError):  # it holds something
            place.rmdir()


def _detail(results: Results) -> dict[str, object]:
    """The .json: every number by seed, and what made it."""
    table = results.table
    made = results.provenance.values()
    rows = [
        {
            "names": dict(row.names),
            "paper": dict(row.paper),
            "keys": [m.key for rows in results.rows if (m := rows[i].measured) is not None],
            "values": {
                column.key: [numbers[i].get(column.key) for numbers in results.numbers]
                for column in results.columns
            },
        }
        for i, row in enumerate(results.rows[0])
    ]
    return {
        "table": table.name,
        "scale": results.scale_name,
        "changed": {dial: str(value) for dial, value in results.changed.items()},
        "seeds": results.seeds,
        "rows": rows,
        "seconds": {name: entry["seconds"] for name, entry in results.provenance.items()},
        "inputs": {name: entry["inputs"] for name, entry in results.provenance.items()},
        "commits": results.commits,
        "machines": sorted({f"{entry['machine']}, {entry['device']}" for entry in made}),
        "packages": packages(),
    }


def _csv(lines: Sequence[Mapping[str, object]]) -> str:
    """The lines under their titles; an empty cell where a number is missing."""
    text = io.StringIO()
    titles = list(dict.fromkeys(title for line in lines for title in line))
    writer = csv.DictWriter(text, titles, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({title: "" if _missing(x) else x for title, x in line.items()})
    return text.getvalue()


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def write(results: Results, folder: Path, remarks: Sequence[str] = ()) -> str:
    """Write the table's files into `folder` and return the markdown.

    remarks: what a reader should know of this making, one line each.
    """
    drawn = illustrations.draw(results, folder)
    made = texts(results, remarks, drawn)
    name = results.table.name
    made["tex"] = latex(parse(name, made["md"], made["csv"], made["json"]))
    for ending, text in made.items():
        write_whole(folder / f"{name}.{ending}", text.encode())
    return made["md"]


def texts(
    results: Results, remarks: Sequence[str], figures: Mapping[str, object]
) -> dict[str, str]:
    """What is in a table's files, by their endings.  figures: what was drawn, for the .json."""
    detail = {**_detail(results), "figures": figures}
    return {
        "json": json.dumps(detail, indent=1, ensure_ascii=False) + "\n",
        "csv": _csv(results.lines()),
        "md": _markdown(results, remarks),
    }
