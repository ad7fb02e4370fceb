"""The claims of both papers, and the script that writes their verdicts."""

from experiments import claims as script
from experiments.claims import CLAIMS
from experiments.hddm.__main__ import TABLES
from experiments.paris2.__main__ import TABLES as VIDEO
from tests.helpers.tables import publish

MARKED = 11
"""Readings that could not have gone otherwise: 7 of routing, 3 of mixtures, 1 of video."""


def test_the_script_writes_what_it_judged(tmp_path, capsys):
    """kills: a verdict typed into the file, a missing table that stops the others."""
    (tmp_path / "small").mkdir()
    rows = {(n, f): {"fid": [v, v, v + v / 100]} for n, f, v in (
        ("Monolithic", "", 5.0), ("Top-2", "text-free", 9.0), ("Top-2", "text-aware", 3.0),
        *((n, f, 5.0) for n in ("Top-1", "Full") for f in ("text-free", "text-aware")),
    )}  # fmt: skip
    publish(tmp_path / "small", "table1", rows)
    assert script.main(["--results", str(tmp_path)]) == 0
    lines = (tmp_path / "small" / "claims.md").read_text().splitlines()
    claim, *top_2 = [line for line in lines if line.startswith("| 1 |")]
    assert claim.endswith("| 1 holds, 1 does not hold |")
    assert ["| does not hold |" in top_2[0], "| holds |" in top_2[1]] == [True, True]
    assert "| 4.01 ± 0.057 | 3 | 0.6 | 1.1e-05 | 2.2e-05 | 4.4e-05 | 1 |" in top_2[0]
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
    every = (*TABLES, *VIDEO)
    tables = {table.name: table for table in every}
    scales = {t.name: t.scales.get("small") or t.scales["scenes"] for t in every}
    rows = {
        name: [tuple(row.names.values()) for row in table.rows(scales[name], 0)]
        for name, table in tables.items()
    }
    for test in (test for claim in CLAIMS for test in claim.tests):
        table = tables[test.table]
        judge, published = table.judge(scales[test.table]), test.key.split("|")[0]
        assert published in {column.key for column in table.columns}
        shown = {c.key for column in table.columns for c in judge.columns_for(column)}
        assert (test.key.split("|")[-1] in shown) != bool(test.absent)
        for names in test.contrast.rows:
            fitting = [row for row in rows[test.table] if row[: len(names)] == names]
            assert len(fitting) == 1, (test.table, names)


def test_every_claim_can_be_judged_or_says_why_not():
    """kills: a claim with neither a test nor a reason, or more reasons than tests."""
    assert len(CLAIMS) > 20
    assert all(bool(claim.tests) != bool(claim.why) for claim in CLAIMS)


def test_every_claim_that_is_judged_says_what_would_matter():
    """kills: a claim without a margin, a margin of nothing or of everything, one chosen without a
    reason, a claim that couldn't fail counted because a reading lost its mark."""
    judged_claims = [c for c in CLAIMS if any(not test.construction for test in c.tests)]
    assert all(c.margin is not None and 0 < c.margin.share <= 0.5 for c in judged_claims)
    assert all(c.margin is None for c in CLAIMS if c not in judged_claims)
    assert all(len(c.margin.source) > 20 for c in judged_claims)
    marked = [test for claim in CLAIMS for test in claim.tests if test.construction]
    assert len(marked) == MARKED
