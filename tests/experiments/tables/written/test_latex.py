"""LaTeX of written tables: what is bold, what is escaped, and that no number is lost."""

import re

import pytest

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


def test_rows_within_the_interval_of_the_best_are_bold_and_real_pictures_are_no_model():
    """kills: data taken for the best model; Table 1's text-aware rows told apart by more than their
    intervals allow."""
    lines = latex(table.read(SMALL, "table1")).splitlines()
    bold = [line.split(" & ")[0:2] for line in lines if r"& \textbf" in line]
    found = table.read(SMALL, "table1")
    models = [row for row in found.rows if row.name != "Real pictures"]
    best = min((row.cells[0] for row in models), key=lambda cell: cell.mean)
    alike = [row.name for row in models if best.low <= row.cells[0].mean <= best.high]
    assert "Real pictures" not in [name for name, _ in bold]
    fid = [" ".join(filter(None, each)) for each in bold]
    assert {*alike} <= {*fid}


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
