"""A table's results as Markdown, on a page: at most MOST columns, the others in the .csv.

An arrow is a column's good direction, bold its best. What a paper prints is in italics: of its own
metric, on other data, by another judge, it is on no scale with ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

from experiments.tables.columns import EXPERT, MISSING, Column, bracketed
from experiments.tables.comparisons import RowAbsentError, verdict
from experiments.tables.results import Results
from experiments.tables.rows import Row
from experiments.tables.statistics import Estimate
from experiments.tables.written.best import best, beyond_models
from experiments.tables.written.directions import better
from experiments.tables.written.table import printed

SMOKE = "**Scale smoke tests the plumbing. Its values mean nothing.**"
NO_INTERVAL = f": {verdict(Estimate(0.0, None, 1))}."
"""How the line of a test ends that has none."""
MOST = 10
"""Columns of a table on a page."""


def markdown(results: Results, remarks: Sequence[str]) -> str:
    """The page.  remarks: what a reader should know of this making, one line each."""
    table, first, columns = results.table, results.rows[0], on_page(results)
    paper = list(table.paper) if _room(results) >= len(columns) + len(table.paper) else []
    apart = _beyond(results, columns)
    here = [i for i in range(len(first)) if i not in apart]
    bold = _best(results)
    lines = [f"# {table.title}", "", *_body(results, here, columns, paper, bold)]
    if apart:
        others = [x for x in results.columns if any(_has(results, i, x) for i in apart)]
        lines += ["", *_body(results, apart, others[: _room(results)], [], bold)]
    if table.paper and not paper:
        lines += ["", "What the paper prints:", "", *_header([*map(_italic, table.paper)], first)]
        lines += [
            _line([*row.names.values(), *_printed(row, table.paper)]) for row in first if row.paper
        ]
    if table.baseline is not None:
        lines += _differences(results, table.baseline)
    if compared := [f"- {line}" for line in _tests(results)]:
        lines += ["", *compared]
    smoke = [SMOKE, ""] if results.scale_name == "smoke" else []
    told = [
        *smoke,
        *_key(results, any(bold[column] for column in columns)),
        *_footer(results),
        *(f"- {line}" for line in remarks),
    ]
    return "\n".join([*lines, "", *told]) + "\n"


def _body(
    results: Results,
    rows: Sequence[int],
    columns: Sequence[Column],
    paper: Sequence[str],
    bold: Mapping[Column, set[int]],
) -> list[str]:
    """Rows of the table in some of its columns.  bold: the rows that are best in each."""
    first = results.rows[0]
    lines = _header([*map(_italic, paper), *_titles(columns)], first)
    for i in rows:
        cells = {column: bracketed(column, results.mean(i, column)) for column in columns}
        shown = [_bold(cell) if i in bold[column] else cell for column, cell in cells.items()]
        lines.append(_line([*first[i].names.values(), *_printed(first[i], paper), *shown]))
    return lines


def _beyond(results: Results, columns: Sequence[Column]) -> list[int]:
    """The rows that have numbers, but none in these columns."""
    others = [x for x in results.columns if x not in columns]
    return [
        i
        for i in range(len(results.rows[0]))
        if any(_has(results, i, x) for x in others)
        and not any(_has(results, i, x) for x in columns)
    ]


def _has(results: Results, row: int, column: Column) -> bool:
    return results.mean(row, column).mean is not None


def on_page(results: Results) -> list[Column]:
    """The first of the columns, as many as a page has room for beside the names."""
    return list(results.columns[: _room(results)])


def _room(results: Results) -> int:
    return max(1, MOST - len(results.rows[0][0].names))


def _best(results: Results) -> dict[Column, set[int]]:
    """The rows that are best in each column."""
    rows = results.rows[0]
    asked = [results.values(i, EXPERT) for i in range(len(rows))]
    beyond = [beyond_models(x.names.values(), n) for x, n in zip(rows, asked, strict=True)]
    values = {x: [results.values(i, x) for i in range(len(rows))] for x in results.columns}
    return {column: best(column.key, each, beyond) for column, each in values.items()}


def _tests(results: Results) -> list[str]:
    """The lines of the table's tests; none of a test whose rows are not all there, and none of a
    difference without an interval where one seed gives none: the last lines say so once."""
    if results.table.tests is None:
        return []
    try:
        lines = [line for line in results.table.tests(results.complete()) if line is not None]
        return [x for x in lines if results.seeds > 1 or not x.endswith(NO_INTERVAL)]
    except RowAbsentError:
        return []


def _printed(row: Row, titles: Sequence[str]) -> list[str]:
    """The paper's numbers of a row."""
    known = [printed(row.paper.get(title)) for title in titles]
    return [text if text == MISSING else _italic(text) for text in known]


def _italic(text: str) -> str:
    return f"*{text}*"


def _bold(text: str) -> str:
    return f"**{text}**"


def _differences(results: Results, baseline: int) -> list[str]:
    first = results.rows[0]
    measured = [column for column in on_page(results) if not column.counted]
    lines = ["", f"Difference to {first[baseline].name}, paired by seed:", ""]
    lines += _header(_titles(measured), first)
    for i, row in enumerate(first):
        if i != baseline and row.measured is not None:
            cells = [column.show(results.difference(i, baseline, column)) for column in measured]
            lines.append(_line([*row.names.values(), *cells]))
    return lines


def _titles(columns: Sequence[Column]) -> list[str]:
    """Titles with the arrows of their good directions."""
    ways = [better(column.key) for column in columns]
    return [
        f"{x.title} {way.value}" if way else x.title for x, way in zip(columns, ways, strict=True)
    ]


def _header(titles: Sequence[str], rows: Sequence[Row]) -> list[str]:
    cells = [*rows[0].names, *titles]
    return [_line(cells), _line(["---"] * len(cells))]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _key(results: Results, bold: bool) -> list[str]:
    """What is bold and in italics, and where the columns are that the page has no room for."""
    said = list[str]()
    if bold:
        said.append(
            "- Bold: the best, and what lies in its interval and no paired one tells from it; "
            "nothing where that is every model."
        )
    if results.table.paper:
        said.append(
            "- In italics what the paper prints, of its own metric on other data: its values and "
            "ours are on no common scale."
        )
    if further := results.columns[len(on_page(results)) :]:
        titles = ", ".join(_titles(further))
        said.append(f"- Further columns are in {results.table.name}.csv: {titles}.")
    return said


def _footer(results: Results) -> list[str]:
    n = results.seeds
    interval = (
        f"no number depends on the seed, of which there were {n}"
        if all(column.counted for column in results.columns)
        else f"mean ± half-width of the 95 % interval (Student's t) over n = {n} seeds, each of "
        f"which {results.scale.drawn}{_cut(results)}"
        if n > 1
        else "n = 1 seed, so no interval can be given"
    )
    dials = ", ".join(f"{dial} = {_told(value)}" for dial, value in results.changed.items())
    return [
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
