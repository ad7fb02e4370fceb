"""LaTeX of written tables: what is bold, what is escaped, and that no number is lost."""

import re

import pytest
from scipy.stats import ttest_rel

from experiments.tables.written import table
from experiments.tables.written.latex import escaped, latex
from tests.helpers.files import ROOT
from tests.helpers.tables import TABLE, fill, rows, write

SMALL = ROOT / "results" / "small"


def test_what_the_best_cannot_be_told_from_is_bold(store, tmp_path):
    """kills: the highest FID taken for the best, a best alone in bold, bold by the wrong interval.

    FID, lower is better: All is 5, in every seed, so nothing else is bold; hits have no direction.
    """
    folder = write(fill(store, rows, 3), tmp_path, TABLE)
    text = (folder / "table9.tex").read_text()
    assert text == latex(table.read(folder, "table9"))
    lines = {line.split(" & ")[0]: line for line in text.splitlines() if " & " in line}
    assert lines["Alone"] == r"Alone & 29.64 & 11.00 $\pm$ 4.30 & 50.0 $\pm$ 0.0 \\"
    assert lines["All"] == r"All & --- & \textbf{5.00 $\pm$ 0.00} & 100.0 $\pm$ 0.0 \\"
    assert lines["Strategy"] == r"Strategy & Paper & FID $\downarrow$ & Hits, \% \\"


def test_a_row_is_bold_where_its_paired_difference_to_the_best_is_not_told_from_0():
    """kills: data taken for the best model; means compared within an interval that is not paired:
    in Table 4 most rows within the best one's own interval differ from it in every seed."""
    for name, key in (("table1", "fid"), ("table4", "fid")):
        found = table.read(SMALL, name)
        models = [row for row in found.rows if row.name != "Real pictures"]
        i = [column.key for column in found.columns].index(key)
        best = min(models, key=lambda row: row.cells[i].mean)
        near = [row for row in models if row.cells[i].mean <= best.cells[i].high]
        alike = {
            row.name
            for row in near
            if row is best or ttest_rel(row.values[key], best.values[key]).pvalue > 0.05
        }
        first = len(best.names) + len(found.paper)
        body = latex(found).split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
        bold = [line.split(" & ")[first + i].startswith(r"\textbf") for line in body]
        assert [row.name for row, is_bold in zip(found.rows, bold, strict=True) if is_bold] == [
            row.name for row in found.rows if row.name in alike
        ]
        assert len(alike) < len(models)


def test_signs_are_printed_as_they_are():
    """kills: a sign of LaTeX's own that is left to it, an escape that is escaped again."""
    assert escaped(r"50 %_{a}\b") == r"50 \%\_\{a\}\textbackslash{}b"


@pytest.mark.parametrize("name", table.names(SMALL))
def test_every_committed_table_is_ascii_with_all_its_cells(name):
    """kills: a sign that LaTeX does not know, a row with too few or too many cells."""
    written = table.read(SMALL, name)
    text = latex(written)
    assert text.isascii()
    assert text.count("{") == text.count("}")
    (columns,) = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", text)
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
    assert [line.count(" & ") + 1 for line in body] == [len(columns)] * len(written.rows)
