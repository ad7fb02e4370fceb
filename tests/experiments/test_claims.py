"""Claims on made-up tables: every verdict, every contrast, and what was not run."""

import json

import pytest

from experiments import claims as script
from experiments.claims import CLAIMS
from experiments.hddm.__main__ import TABLES
from experiments.paris2.__main__ import TABLES as VIDEO
from experiments.pipeline.files import StoreError
from experiments.tables.claim import Claim, Expected, Test, Verdict, above, below, judge, judged
from experiments.tables.contrasts import Less, PublishedTables, Swing, Value

Test.__test__ = False  # not pytest's


def publish(folder, name, rows):
    """A table's .json: {row names: {key: values by seed}}."""
    found = [{"names": dict(enumerate(n)), "values": values} for n, values in rows.items()]
    text = json.dumps({"rows": found, "seeds": 3, "commits": ["abc"]})
    (folder / f"{name}.json").write_text(text)


@pytest.fixture
def published(tmp_path):
    rows = {
        ("good", "x"): {"fid": [1.0, 2.0, 3.0]},
        ("bad", "x"): {"fid": [2.0, 3.1, 3.9]},
        ("wild", "x"): {"fid": [0.0, 9.0, 2.5]},
        ("gap", "x"): {"fid": [1.0, None, 2.0]},
    }
    publish(tmp_path, "table9", rows)
    return PublishedTables(tmp_path)


@pytest.mark.parametrize(
    ("values", "expected", "verdict"),
    [
        ([-1.0, -1.1, -0.9], Expected.BELOW, Verdict.HOLDS),
        ([1.0, 1.1, 0.9], Expected.BELOW, Verdict.FAILS),
        ([1.0, 1.1, 0.9], Expected.ABOVE, Verdict.HOLDS),
        ([-1.0, -1.1, -0.9], Expected.ABOVE, Verdict.FAILS),
        ([-1.0, 0.5, -0.9], Expected.BELOW, Verdict.UNDECIDED),
        ([0.0, 0.0, 0.0], Expected.BELOW, Verdict.UNDECIDED),
        ([-1.0, -1.0], Expected.BELOW, Verdict.UNDECIDED),
        ([], Expected.BELOW, Verdict.UNDECIDED),
        (None, Expected.BELOW, Verdict.MISSING),
    ],
)
def test_the_verdict_is_the_intervals(values, expected, verdict):
    """kills: a verdict by the mean alone, the sign exchanged, too few seeds deciding, a missing run
    that says no."""
    assert judge(values, expected).verdict is verdict


def test_an_interval_that_just_excludes_zero_decides():
    """kills: a normal quantile in place of Student's t with two degrees of freedom, 4.303."""
    spread = 3**0.5 / 4.302652729911275  # half-width 1 for deviations of -s, 0, s around the mean
    for mean, verdict in ((-1.001, Verdict.HOLDS), (-0.999, Verdict.UNDECIDED)):
        values = [mean - spread, mean, mean + spread]
        assert judge(values, Expected.BELOW).verdict is verdict


def test_contrasts_are_paired_by_seed(published):
    """kills: a difference of means with the seeds' spread in its interval, rows exchanged, a seed
    that lacks one of the numbers counted."""
    good, bad, wild = ("good", "x"), ("bad",), ("wild",)
    assert Less(good, bad).values(published, "table9", "fid") == pytest.approx([-1, -1.1, -0.9])
    assert Value(bad, less=1.0).values(published, "table9", "fid") == pytest.approx([1, 2.1, 2.9])
    swing = Swing(good, bad, good, wild).values(published, "table9", "fid")
    assert swing == pytest.approx([0.0, 1.1 - 7.0, 0.9 - 0.5])
    assert Less(("gap",), good).values(published, "table9", "fid") == [0.0, -1.0]


def test_a_claim_is_judged_under_each_reading(published):
    """kills: a reading left out, a claim without tests taken for one that fails, a table that was
    not run taken for anything but that."""
    claims = [
        Claim(
            "§1",
            "good beats bad and wild",
            tests=(
                below("a", "table9", "fid", ("good",), ("bad",)),
                below("b", "table9", "fid", ("good",), ("wild",)),
                above("c", "table9", "fid", ("good",), ("bad",)),
                below("d", "table8", "fid", ("good",), ("bad",)),
            ),
        ),
        Claim("§2", "it looks nice", why="no eyes"),
    ]
    lines = judged(claims, published)
    assert [line.judged.verdict for line in lines] == [
        *(Verdict.HOLDS, Verdict.UNDECIDED, Verdict.FAILS, Verdict.MISSING),
        Verdict.UNTESTABLE,
    ]
    assert lines[-1].judged.why == "no eyes"


@pytest.mark.parametrize("row", [("nobody",), ()])
def test_a_claim_on_a_row_that_is_not_there_is_an_error(published, row):
    """kills: a misspelt row, or one that fits several, judged as missing and never noticed."""
    claim = Claim("§1", "x", tests=(below("a", "table9", "fid", row, ("bad",)),))
    with pytest.raises(StoreError, match="table9"):
        judged([claim], published)


def test_the_script_writes_what_it_judged(tmp_path, capsys):
    """kills: a verdict typed into the file, a missing table that stops the others."""
    (tmp_path / "small").mkdir()
    rows = {(n, f): {"fid": [v, v + 0.1, v - 0.1]} for n, f, v in (
        ("Monolithic", "", 5.0), ("Top-2", "text-free", 9.0), ("Top-2", "text-aware", 3.0),
        *((n, f, 5.0) for n in ("Top-1", "Full") for f in ("text-free", "text-aware")),
    )}  # fmt: skip
    publish(tmp_path / "small", "table1", rows)
    assert script.main(["--results", str(tmp_path)]) == 0
    lines = (tmp_path / "small" / "claims.md").read_text().splitlines()
    claim, *top_2 = [line for line in lines if line.startswith("| 1 |")]
    assert claim.endswith("| 1 holds, 1 does not hold |")
    assert ["| does not hold |" in top_2[0], "| holds |" in top_2[1]] == [True, True]
    assert "| 4 ± 0 |" in top_2[0]
    assert any("not run" in line and "ablation-selection" in line for line in lines)
    assert capsys.readouterr().out.strip() == "\n".join(lines).strip()


def test_no_results_is_one_line(tmp_path, capsys):
    """kills: a traceback, or an empty claims.md, where nothing was run."""
    assert script.main(["--results", str(tmp_path), "--scale", "smoke"]) == 1
    assert script.main(["--results", str(tmp_path), "--scale", "huge"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
    assert list(tmp_path.iterdir()) == []


def test_every_claim_names_one_row_and_a_column_of_its_table():
    """kills: a claim that a misspelt name, or a table changed since, would leave unjudged."""
    tables = {table.name: table for table in (*TABLES, *VIDEO)}
    rows = {
        name: [tuple(row.names.values()) for row in table.rows(table.scales["small"], 0)]
        for name, table in tables.items()
    }
    for test in (test for claim in CLAIMS for test in claim.tests):
        table = tables[test.table]
        judge, published = table.judge(table.scales["small"]), test.key.split("|")[0]
        assert published in {column.key for column in table.columns}
        shown = {c.key for column in table.columns for c in judge.columns_for(column)}
        assert test.key.split("|")[-1] in shown
        for names in vars(test.contrast).values():
            if isinstance(names, tuple):
                fitting = [row for row in rows[test.table] if row[: len(names)] == names]
                assert len(fitting) == 1, (test.table, names)


def test_every_claim_can_be_judged_or_says_why_not():
    """kills: a claim with neither a test nor a reason, or more reasons than tests."""
    assert len(CLAIMS) > 20
    assert all(bool(claim.tests) != bool(claim.why) for claim in CLAIMS)
