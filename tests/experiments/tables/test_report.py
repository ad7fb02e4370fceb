"""Reports: intervals against tables of Student's t, and a small table written out by hand."""

import csv
import json
import math
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from datamodules.sources.scenes import Factor
from experiments.hddm.ablation_router import ERROR as CALIBRATION
from experiments.paris2.router import AT
from experiments.pipeline.files import read_sealed, sealed
from experiments.pipeline.store import Store
from experiments.recipes.images import SCALES
from experiments.scores.scenes import obeyed_column
from experiments.tables.columns import KID, NEAREST, NOT_NEGATIVE, Column, bracketed, percent
from experiments.tables.results import Results
from experiments.tables.rows import Row
from experiments.tables.statistics import Estimate, estimate
from tests.helpers.files import full_disk
from tests.helpers.tables import (
    FID,
    HITS,
    NAMES,
    TABLE,
    BrightJudge,
    Given,
    fill,
    rows,
    write,
)

T_2 = 4.302652729911275  # Student's t at 0.975 with 2 degrees of freedom, from a printed table


@pytest.fixture
def filled(store):
    return fill(store, rows, 3)


def cells(folder):
    """The two markdown tables, values and differences: {first cell: the other cells}."""
    tables = [{}, {}]
    parts = (folder / "table9.md").read_text().split("paired by seed:")
    for table, part in zip(tables, parts, strict=True):
        for line in part.split("\n"):
            if line[:1] == "|":
                name, *rest = [cell.strip(" *") for cell in line.strip("|").split("|")]
                table[name] = rest
    return tables


def test_the_csv_is_what_pandas_would_write(filled, tmp_path):
    """kills: digits lost, a missing number written as None or nan, a name with a comma unquoted."""

    def named(scale, seed):
        missing = Row({"Strategy": 'Some, "or" none', "Form": ""}, Given(1 / 3, -1.0))
        alone, *others = (
            replace(row, names={**row.names, "Form": "a"}) for row in rows(scale, seed)
        )
        return [alone, missing, *others]

    fill(filled, named, 3)
    table = replace(TABLE, rows=named)
    written = (write(filled, tmp_path, table) / "table9.csv").read_text()
    lines = Results(table, "small", SCALES["small"], 3, filled).lines()
    assert written == pd.DataFrame(lines).to_csv(index=False)
    assert "0.3333333333333333," in written


@pytest.mark.parametrize(("n", "t"), [(2, 12.706205), (3, 4.302653), (5, 2.776445), (10, 2.262157)])
def test_the_interval_is_students(n, t):
    """kills: 1.96 for t, n for n - 1 in the deviation or the degrees of freedom, one-sided 95 %."""
    values = np.random.default_rng(n).normal(3, 2, n)
    mean = sum(values) / n
    half = t * math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    found = estimate(list(values))
    assert (found.mean, found.half_width, found.n) == pytest.approx((mean, half, n), rel=1e-6)
    theirs = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(theirs), rel=1e-9)


def test_one_value_has_no_interval_and_none_has_no_mean():
    """kills: an interval of width 0 or nan for one seed; a missing score written as 0.0."""
    assert estimate([2.5]) == Estimate(2.5, None, 1)
    assert estimate([]) == Estimate(None, None, 0)
    ends = [(found.low, found.high) for found in map(estimate, ([], [2.5]))]
    assert ends == [(None, None)] * 2


SHOWN = [
    (Estimate(None, None, 0), 2, "—"),
    (Estimate(0.0, None, 1), 2, "0.00"),
    (Estimate(12.345, None, 1), 1, "12.3"),
    (Estimate(12.0, 4.968, 3), 2, "12.00 ± 4.97"),
    (Estimate(24.0, 0.0, 3), 0, "24 ± 0"),
]


@pytest.mark.parametrize(("found", "digits", "shown"), SHOWN)
def test_a_column_shows_mean_and_half_width(found, digits, shown):
    """kills: a missing value shown as 0 or nan, digits ignored, a zero taken for missing."""
    assert Column("x", "X", digits).show(found) == shown


@pytest.mark.parametrize(
    ("column", "found", "shown"),
    [
        (percent("x", "A, %"), Estimate(99.0, 2.0, 3), "99.0 [97.0, 100.0]"),
        (percent("x", "A, %"), Estimate(1.0, 2.0, 3), "1.0 [0.0, 3.0]"),
        (percent("x", "A, %"), Estimate(100.0, 0.0, 3), "100.0 ± 0.0"),
        (AT[0], Estimate(99.0, 2.0, 3), "99.0 [97.0, 100.0]"),
        (replace(CALIBRATION, digits=1), Estimate(0.1, 0.2, 3), "0.1 [0.0, 0.3]"),
        (obeyed_column(Factor.SHAPE), Estimate(96.4, 5.2, 3), "96.4 [91.2, 100.0]"),
        (replace(NEAREST, digits=1), Estimate(1.0, 2.0, 3), "1.0 [0.0, 3.0]"),
        (replace(NEAREST, digits=1), Estimate(101.0, 2.0, 3), "101.0 ± 2.0"),
        (Column("x", "M", 1, 1e-6, lies=NOT_NEGATIVE), Estimate(1.0, 2.0, 3), "1.0 [0.0, 3.0]"),
        (replace(KID, digits=1), Estimate(1.0, 2.0, 3), "1.0 ± 2.0"),
    ],
)
def test_an_interval_ends_with_its_numbers_range(column, found, shown):
    """kills: shares above 100 %, negative distances; a KID, which may be negative, cut at 0."""
    within = found.within(*column.shown_range)
    assert bracketed(column, within) == shown
    assert within.low >= column.shown_range[0]
    assert within.high <= column.shown_range[1]


def test_a_counted_number_is_shown_with_an_interval_only_where_counts_differ():
    """kills: ± 0 beside an exact count, or the spread of differing counts hidden."""
    counted = Column("x", "X", 0, counted=True)
    assert counted.show(Estimate(24.0, 0.0, 3)) == "24"
    assert counted.show(Estimate(24.0, 1.0, 3)) == "24 ± 1"


def test_the_table_is_the_one_worked_out_by_hand(filled, tmp_path):
    """kills: rows or seeds mixed up, a factor forgotten, unpaired differences, another baseline."""
    folder = write(filled, tmp_path)
    found, differences = cells(folder)
    half = T_2 * 2 / math.sqrt(3)  # of 10, 12, 14; in percent, of 25, 50, 75, 12.5 times that
    base = T_2 * math.sqrt(3) / math.sqrt(3)  # of 9, 12, 12
    paired = T_2 * 1 / math.sqrt(3)  # of 1, 0, 2
    hits = f"{12.5 * half:.1f}"
    assert found["Alone"] == ["29.64", f"11.00 ± {base:.2f}", "50.0 ± 0.0"]
    assert found["Pair"] == ["22.6", f"12.00 ± {half:.2f}", f"50.0 ± {hits}"]
    assert found["All"] == ["—", "5.00 ± 0.00", "100.0 ± 0.0"]
    assert "Alone" not in differences
    assert differences["Pair"] == [f"1.00 ± {paired:.2f}", f"0.0 ± {hits}"]
    assert differences["All"] == [f"-6.00 ± {base:.2f}", "50.0 ± 0.0"]
    with open(folder / "table9.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["Strategy"] for line in lines] == list(NAMES)
    assert [line["Paper"] for line in lines] == ["29.64", "22.6", ""]
    assert [float(line["Hits, %"]) for line in lines] == [50, 50, 100]
    ends = [float(lines[1][f"FID {end}"]) for end in ("low", "high")]
    assert ends == pytest.approx([12 - half, 12 + half], rel=1e-9)
    assert float(lines[1]["FID difference half-width"]) == pytest.approx(paired, rel=1e-9)
    assert {line["n seeds"] for line in lines} == {"3"}


def test_one_seed_gives_no_interval(filled, tmp_path):
    """kills: a ± for a single seed."""
    folder = write(filled, tmp_path, seeds=1)
    assert [table["Pair"] for table in cells(folder)] == [
        ["22.6", "10.00", "25.0"],
        ["1.00", "-25.0"],
    ]
    assert "no interval" in (folder / "table9.md").read_text()


def test_a_missing_number_renders_as_missing(store, tmp_path):
    """kills: a score that a row lacks shown as 0 or nan, or ending the whole report."""

    def some(scale, seed):
        given = {"A": Given(4.0 + seed, 0.5), "B": Given(4.0 + seed, -1)}
        return [Row({"Strategy": name}, measured) for name, measured in given.items()]

    fill(store, some, 2)
    folder = write(store, tmp_path, replace(TABLE, rows=some), seeds=2)
    values, differences = cells(folder)
    assert values["A"][2] == "50.0 ± 0.0"
    assert values["B"][2] == differences["B"][1] == "—"
    assert (folder / "table9.csv").read_text().split("\n")[2].split(",")[7:12] == [""] * 5


def test_the_footer_says_what_made_the_table(filled, tmp_path):
    """kills: keys, seeds, scale or commit left out or those of another row; smoke's numbers shown
    without a warning."""
    folders = [write(filled, tmp_path, scale=scale) for scale in ("small", "smoke")]
    text, smoke = [(folder / "table9.md").read_text() for folder in folders]
    commit = filled.provenance(BrightJudge())["commit"]
    assert all(part in text for part in ("`small`", "0, 1, 2", "A note.", "97.5%", commit))
    detail = json.loads((folders[0] / "table9.json").read_text())
    assert "table9.json" in text
    for i, row in enumerate(detail["rows"]):
        assert row["keys"] == [rows(None, seed)[i].measured.key for seed in range(3)]
        assert row["values"] == {"fid": list(FID[i]), "hits": list(HITS[i])}
    assert "mean nothing" not in text
    assert "mean nothing" in smoke


def test_wall_times_are_in_the_json_alone(filled, tmp_path):
    """kills: times, hosts or dates in the files that anyone must be able to make again."""
    one = write(filled, tmp_path / "one")
    for path in filled.root.rglob("provenance.json"):
        made = read_sealed(path)
        path.write_bytes(sealed({**made, "seconds": 1234.5, "host": "h", "made": "now"}))
    two = write(Store(filled.root), tmp_path / "two")
    for name in ("table9.md", "table9.csv"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert "seconds" not in (one / name).read_text()
    stages = {f"given/{row.measured.key}" for seed in range(3) for row in rows(None, seed)}
    seconds = json.loads((two / "table9.json").read_text())["seconds"]
    assert seconds == dict.fromkeys({f"brightjudge/{BrightJudge().key}", *stages}, 1234.5)


def test_the_json_says_which_stages_were_to_be_compiled(filled, tmp_path):
    """kills: compiled numbers, which round otherwise, that nothing tells from others; a kind of
    which some were and some were not, by the last of them alone."""
    folder = write(filled, tmp_path)
    detail = json.loads((folder / "table9.json").read_text())
    assert detail["compile"] == {"brightjudge": [False], "given": [False]}
    path = min(filled.root.glob("given/*/provenance.json"))
    made = read_sealed(path)
    path.write_bytes(sealed({**made, "hardware": {**made["hardware"], "compile": True}}))
    write(Store(filled.root), tmp_path)
    detail = json.loads((folder / "table9.json").read_text())
    assert detail["compile"] == {"brightjudge": [False], "given": [False, True]}


@pytest.mark.parametrize("how", ["refused", "full"])
def test_files_are_whole_or_absent(filled, tmp_path, monkeypatch, how):
    """kills: writing in place, so that a failure leaves half a table where a whole one was."""
    folder = write(filled, tmp_path, seeds=1)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if how == "refused":
        monkeypatch.setattr(os, "replace", lambda a, b: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError), full_disk(100 if how == "full" else 10**9):  # noqa: PT011
        write(filled, tmp_path)
    assert {path: path.read_bytes() for path in before} == before
    assert {path for path in folder.rglob("*") if path.is_file()} == set(before)
