"""A written table as LaTeX, for \\input into a paper: booktabs, arrows, the best in bold.

Bold is the best mean, and whatever differs from it by a paired interval that holds 0: no difference
found, which is no proof of equality. Real pictures are not among the models that are compared.
"""

from experiments.tables.statistics import estimate
from experiments.tables.written.directions import Better
from experiments.tables.written.table import WrittenColumn, WrittenRow, WrittenTable

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
            "% Mean and half-width of the 95 % interval.",
            "% Bold: the best, and what a paired interval does not tell from it.",
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


def _line(row: WrittenRow, best: list[WrittenRow | None]) -> list[str]:
    shown = []
    for i, (cell, winner) in enumerate(zip(row.cells, best, strict=True)):
        text = escaped(cell.shown)
        bold = winner is not None and not row.of_data and _as_good(row, winner, i)
        shown.append(rf"\textbf{{{text}}}" if bold else text)
    return [*map(escaped, [*row.names.values(), *row.paper]), *shown]


def _best(table: WrittenTable, i: int) -> WrittenRow | None:
    """The row of the best mean in a column that has a good direction, among models."""
    better = table.columns[i].better
    if better is None:
        return None
    known = [row for row in table.rows if not row.of_data and row.cells[i].mean is not None]
    sign = 1 if better is Better.LOWER else -1
    return min(known, key=lambda row: sign * float(row.cells[i].mean or 0), default=None)


def _as_good(row: WrittenRow, best: WrittenRow, i: int) -> bool:
    """Whether the interval of the difference to the best, paired by seed, holds 0; with fewer than
    two seeds of both, whether the means are equal."""
    if row is best:
        return True
    key = [*row.values][i]
    pairs = zip(row.values[key], best.values[key], strict=True)
    apart = estimate([a - b for a, b in pairs if a is not None and b is not None])
    if apart.mean is None or apart.half_width is None:
        return row.cells[i].mean == best.cells[i].mean
    return abs(apart.mean) <= apart.half_width
