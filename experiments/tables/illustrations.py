"""A table's figures, drawn where what they show is not what was drawn last.

Drawing takes longer than all else that a table with its numbers in the store has to do.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.pipeline.files import StoreError, read_json, sha256, write_whole
from experiments.pipeline.provenance import commit, covers, packages, version
from experiments.tables.comparisons import RowAbsentError
from experiments.tables.results import Chart, Results

DRAWING = ("matplotlib", "pillow")
"""What draws, beside the packages that make numbers."""
PNG, SVG = ".png", ".svg"


def draw(results: Results, folder: Path) -> dict[str, dict[str, str]]:
    """Draw what is not there as it would be drawn now, and say of each figure what it shows.

    Of each name: `shows`, a digest of all that it is drawn from, and the digest of each of its
    files: `sha256` of the PNG, `svg` beside it of a chart. Those of the last time are read in the
    table's .json.
    """
    table, drawn = results.table, dict[str, dict[str, str]]()
    shows, before = _shown(results), _last(folder / f"{table.name}.json")
    for name, figure in table.figures.items():
        path = folder / "figures" / name
        known = shows if covers(figure) and covers(table.rows) else None
        if known is None or before.get(name) != _record(known, path):
            try:
                _write(path, figure(results.complete()))
            except RowAbsentError:  # it picks rows that a dial or a failure leaves out
                _write(path, None)
                continue
        if known is not None:
            drawn[name] = _record(known, path)
    return drawn


def _write(path: Path, figure: bytes | Chart | None) -> None:
    """Write what there is of PNG and SVG, and leave nothing beside it of what was there before."""
    chart = figure if isinstance(figure, Chart) else None
    both = {PNG: chart.png if chart else figure, SVG: chart.svg if chart else None}
    for ending, content in both.items():
        beside = path.with_name(path.name + ending)
        if isinstance(content, bytes):
            write_whole(beside, content)
        else:
            beside.unlink(missing_ok=True)


def _record(shows: str, path: Path) -> dict[str, str]:
    """What the table's .json says of a figure: a name among `figures`, without its ending."""
    png, svg = (_file(path.with_name(path.name + ending)) for ending in (PNG, SVG))
    return {"shows": shows, "sha256": png} | ({"svg": svg} if svg else {})


def _last(path: Path) -> Mapping[str, Any]:
    try:
        return dict(read_json(path).get("figures", {}))
    except (StoreError, TypeError, ValueError):
        return {}


def _file(path: Path) -> str:
    return sha256(path) if path.exists() else ""


def _shown(results: Results) -> str:
    """A digest of whatever figures are drawn from: rows, artifacts, and the code that draws."""
    rows = [
        [[dict(row.names), dict(row.paper), row.at, row.measured and row.measured.key] for row in x]
        for x in results.rows
    ]
    made = {name: entry.get("files") for name, entry in results.provenance.items()}
    versions = {name: version(name) for name in DRAWING}
    dials = {name: str(value) for name, value in results.changed.items()}
    setting = [results.scale_name, dials, results.seeds, results.lacking]
    code = [commit(), packages(), versions]
    text = json.dumps([rows, results.numbers, made, setting, code], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
