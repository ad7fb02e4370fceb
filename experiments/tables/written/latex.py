"""A written table as LaTeX, for \\input into a paper: booktabs, arrows, the best in bold.

Bold is whatever lies within the interval of the best, which no seed could tell from it by more.
Real pictures are not among the models that are compared.
"""

from experiments.tables.written.directions import Better
from experiments.tables.written.table import Number, WrittenColumn, WrittenRow, WrittenTable

ESCAPED = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "±": r"$\pm$",
    "→": r"$\to$",
    "−": "$-$",
    "§": r"\S{}",
    "…": r"\ldots{}",
    "—": "---",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "×": r"$\times$",
}
ARROWS = {Better.LOWER: r"$\downarrow$", Better.HIGHER: r"$\uparrow$"}


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(ESCAPED.get(sign, sign) for sign in text)


def latex(table: WrittenTable) -> str:
    """A tabular of names, the paper's numbers and ours; the rule in the head is over ours."""
    names = [*table.rows[0].names]
    before, ours = len(names) + len(table.paper), len(table.columns)
    titles = [*names, *table.paper]
    head = [*map(escaped, titles), *map(_title, table.columns)]
    commits = ", ".join(table.detail["commits"])
    best = [_best(table, i) for i in range(ours)]
    body = [_line(row, best) for row in table.rows]
    return "\n".join(
        [
            f"% {escaped(table.title)}. n = {table.seeds} seeds, code {commits}.",
            "% Mean and half-width of the 95 % interval; bold: within the interval of the best.",
            rf"\begin{{tabular}}{{{'l' * len(names)}{'r' * (before - len(names) + ours)}}}",
            r"\toprule",
            *([_groups(table, len(names))] if table.paper else []),
            " & ".join(head) + r" \\",
            r"\midrule",
            *(" & ".join(cells) + r" \\" for cells in body),
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _groups(table: WrittenTable, names: int) -> str:
    """A line above the titles that parts the paper's metric from ours, and rules under both."""
    theirs, ours = len(table.paper), len(table.columns)
    start, end = names + 1, names + theirs
    spans = rf"\multicolumn{{{theirs}}}{{c}}{{paper}} & \multicolumn{{{ours}}}{{c}}{{ours}} \\"
    rules = rf"\cmidrule(lr){{{start}-{end}}} \cmidrule(lr){{{end + 1}-{end + ours}}}"
    return "& " * names + spans + "\n" + rules


def _title(column: WrittenColumn) -> str:
    arrow = ARROWS.get(column.better) if column.better else None
    return escaped(column.title) + (f" {arrow}" if arrow else "")


def _line(row: WrittenRow, best: list[Number | None]) -> list[str]:
    shown = []
    for cell, winner in zip(row.cells, best, strict=True):
        text = escaped(cell.shown)
        shown.append(rf"\textbf{{{text}}}" if not row.of_data and _as_good(cell, winner) else text)
    return [*map(escaped, [*row.names.values(), *row.paper]), *shown]


def _best(table: WrittenTable, i: int) -> Number | None:
    """The best number of a column that has a good direction, among models."""
    better = table.columns[i].better
    cells = [row.cells[i] for row in table.rows if not row.of_data]
    known = {cell.mean: cell for cell in cells if cell.mean is not None}
    if better is None or not known:
        return None
    return known[min(known) if better is Better.LOWER else max(known)]


def _as_good(cell: Number, best: Number | None) -> bool:
    """Whether a number lies within the interval of the best; without one, whether it equals it."""
    if best is None or cell.mean is None:
        return False
    if best.low is None or best.high is None:
        return cell.mean == best.mean
    return best.low <= cell.mean <= best.high
