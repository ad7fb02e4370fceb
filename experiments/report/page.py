"""The page: contents of a results folder, put into templates. One file that asks for no other."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from experiments.report import forest, made, strips
from experiments.report.compare import Comparison, Move
from experiments.report.contents import Contents, JudgedReading
from experiments.report.embedded import Embedded, embedded, plotly
from experiments.report.heat import heat_maps
from experiments.tables.verdicts import Verdict
from experiments.tables.written.table import WrittenRow, WrittenTable

TEMPLATES = Path(__file__).parent / "templates"
MOST_BYTES = 8_000_000
"""What the page may weigh: more is slow to open and to send."""


@cache
def templates() -> Environment:
    """The folder of templates; whatever they show is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        inline=inline, duration=duration, slug=slug, moment_said=moment_said, turns_said=turns_said
    )
    environment.globals.update(
        interval_drawn=forest.drawn, makings=made.makings, total=made.total, by_kind=made.by_kind,
        heat_maps=heat_maps, plotly=plotly, Verdict=Verdict, Move=Move, View=strips.View,
    )  # fmt: skip
    return environment


def inline(text: str) -> Markup:
    """A line of Markdown: `code` and **strong** words, nothing else."""
    safe = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", safe))


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if minutes < 100 else f"{hours:.1f} h"


def slug(text: str) -> str:
    """A name as part of an id."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def moment_said(moment: strips.SliderStop) -> str:
    """A moment of denoising in words."""
    times = "evaluation" if moment.asked == 1 else "evaluations"
    return f"t = {moment.t:.2g}, after {moment.asked} {times}"


def turns_said(turns: Sequence[strips.Turn]) -> str:
    """Who leads a trajectory, in the order of sampling: 4; 1 from t = 0.62."""
    first, *later = turns
    return "; ".join(
        [f"{first.expert}", *(f"{turn.expert} from t = {turn.t:.2g}" for turn in later)]
    )


def pictures(contents: Contents) -> dict[str | None, list[Embedded]]:
    """The pictures of each table; under None, those of none."""
    titles = {each.name: each.title for each in contents.tables}
    return {
        name: [
            embedded(path, titles.get(name or "", path.stem)) for path in contents.pictures(name)
        ]
        for name in (*titles, None)
    }


def rows_of(contents: Contents, reading: JudgedReading) -> list[tuple[str, str]]:
    """(id, name) of the rows that a reading compares, where the table has them."""
    table = next((each for each in contents.tables if each.name == reading.table), None)
    if table is None:
        return []
    every = [(tuple(row.names.values()), row_id(table, i)) for i, row in enumerate(table.rows)]
    return [
        (anchor, " ".join(filter(None, names)))
        for wanted in reading.rows
        for names, anchor in every
        if names[: len(wanted)] == tuple(wanted)
    ]


def row_id(table: WrittenTable, index: int) -> str:
    return f"{table.name}-row-{index}"


def against_baseline(table: WrittenTable, row: WrittenRow, column: int) -> str:
    """better, worse or other, where the interval of the difference excludes 0; else nothing."""
    cell, direction = row.cells[column], table.columns[column].better
    if cell.difference is None or cell.half_width is None or cell.half_width == 0:
        return ""
    if abs(cell.difference) <= cell.half_width:
        return ""
    if direction is None:
        return "other"
    return "better" if (cell.difference > 0) == (direction.name == "HIGHER") else "worse"


def column_ends(table: WrittenTable) -> list[tuple[float, float] | None]:
    """What the bars of each column are drawn between: its least and its greatest interval's end."""
    ends = list[tuple[float, float] | None]()
    for column in zip(*(row.cells for row in table.rows), strict=True):
        known = [e for cell in column for e in (cell.low, cell.high) if e is not None]
        ends.append((min(known), max(known)) if known else None)
    return ends


def verdict_counts(readings: Sequence[JudgedReading]) -> dict[Verdict, int]:
    """How many readings have each verdict, in the order of verdicts."""
    counts = Counter(reading.verdict for reading in readings)
    return {verdict: counts[verdict] for verdict in Verdict if counts[verdict]}


def rendered(contents: Contents, against: Comparison | None = None, live: bool = False) -> str:
    """The page as HTML.  live: whether a server stands behind it that says how the run goes."""
    folder = contents.folder
    moving = {"denoising": strips.denoising(folder), "clips": strips.clips(folder)}
    return _render("page.html", contents, against, live, moving)


def fragment(contents: Contents) -> str:
    """The part that changes as rows come: the tables and their figures."""
    return _render("tables.html", contents, None, True, {})


def _render(
    template: str,
    contents: Contents,
    against: Comparison | None,
    live: bool,
    moving: Mapping[str, strips.Denoising | strips.Clips | None],
) -> str:
    values: dict[str, Any] = {
        "contents": contents,
        "against": against,
        "live": live,
        "pictures": pictures(contents),
        "rows_of": lambda reading: rows_of(contents, reading),
        "row_id": row_id,
        "column_ends": column_ends,
        "against_baseline": against_baseline,
        "counts": verdict_counts(contents.readings),
        **moving,
    }
    return templates().get_template(template).render(values)
