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
from pathlib import Path
from typing import Any

from experiments.pipeline.files import StoreError, write_whole
from experiments.pipeline.key import key
from experiments.pipeline.provenance import packages
from experiments.tables import illustrations
from experiments.tables.columns import bracketed
from experiments.tables.results import Results
from experiments.tables.written.latex import latex
from experiments.tables.written.markdown import markdown, on_page
from experiments.tables.written.table import parse


def place(results: Path, scale_name: str, turned: Mapping[str, object]) -> Path:
    """results/<scale>; results/<scale>-<digest> where dials are turned."""
    digest = key(tuple(sorted(turned.items())), coded=False)[:6]
    return results / (f"{scale_name}-{digest}" if turned else scale_name)


def open_folder(results: Path, scale_name: str, turned: Mapping[str, object]) -> Path:
    """The place of a scale's tables, made now. StoreError where none can be made."""
    folder = place(results, scale_name, turned)
    try:
        (folder / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write results into {results}: {error.strerror}") from error
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
            "shown": _off_page(results, i),
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
        "compile": _compiled(results.provenance),
        "packages": packages(),
    }


def _compiled(provenance: Mapping[str, Mapping[str, Any]]) -> dict[str, list[bool]]:
    """What --compile was for the stages of each kind. Compiled networks round otherwise."""
    said: dict[str, set[bool]] = {}
    for name, entry in provenance.items():
        asked = bool(entry.get("hardware", {}).get("compile", False))
        said.setdefault(name.split("/")[0], set()).add(asked)
    return {kind: sorted(values) for kind, values in sorted(said.items())}


def _off_page(results: Results, row: int) -> dict[str, list[str]]:
    """How a row's numbers and differences are shown in the columns that the page leaves out."""
    off, base = results.columns[len(on_page(results)) :], results.table.baseline
    return {
        column.key: [
            bracketed(column, results.mean(row, column)),
            *([] if base is None else [column.show(results.difference(row, base, column))]),
        ]
        for column in off
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
        "md": markdown(results, remarks),
    }
