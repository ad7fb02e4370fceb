"""A written table as LaTeX, for \\input into a paper: booktabs, arrows, the best in bold."""

from collections.abc import Sequence

from experiments.tables.written.best import best
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
    beyond = [row.beyond_models for row in table.rows]
    bold = [best(x.key, [row.values[x.key] for row in table.rows], beyond) for x in table.columns]
    body = [_line(row, [i in which for which in bold]) for i, row in enumerate(table.rows)]
    return "\n".join(
        [
            f"% {escaped(table.title)}. n = {table.seeds} seeds, code {commits}.",
            "% Mean and half-width of the 95 % interval.",
            "% Bold: the best, and what lies in its interval and no paired one tells from it; "
            "nothing where that is every model.",
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


def _line(row: WrittenRow, bold: Sequence[bool]) -> list[str]:
    shown = [escaped(cell.shown) for cell in row.cells]
    each = zip(shown, bold, strict=True)
    cells = [rf"\textbf{{{text}}}" if thick else text for text, thick in each]
    return [*map(escaped, [*row.names.values(), *row.paper]), *cells]
