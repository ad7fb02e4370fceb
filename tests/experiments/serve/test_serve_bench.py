"""The bench of experts served apart: it measures what it says, or refuses."""

import csv
from dataclasses import replace

import pytest

from experiments.bench.ratio_table import Where
from experiments.serve import __main__ as serve
from experiments.serve import bench


@pytest.mark.slow
@pytest.mark.longest
def test_three_experts_apart_draw_what_one_process_draws(tmp_path, capsys):
    """kills: rows of one way alone; experts that fit together; pictures that nobody compared."""
    asked = ["--experts", "3", "--clients", "1", "2", "--requests", "2"]
    assert bench.main([*asked, "--results", str(tmp_path)]) == 0
    with open(tmp_path / "bench/served.csv") as file:
        rows = list(csv.DictReader(file))
    assert [(row["Experts in"], row["Clients"]) for row in rows] == [
        (way, n) for way in ("one process", "a process each") for n in "12"
    ]
    one, apart = (
        [row["Experts called a step"] for row in rows if row["Experts in"] == way]
        for way in ("one process", "a process each")
    )
    assert one[0] == apart[0]  # alone, a request is drawn by itself whichever way
    assert all(1 <= float(n) <= 3 for n in (*one, *apart))
    assert "6 of 6 pictures" in (tmp_path / "bench/served.md").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            ["--weights", "x", "--port", "99999"],
            "--port must lie between 0 (a free one) and 65535, not be 99999",
        ),
        (
            ["--weights", "x", "--port", "-1"],
            "--port must lie between 0 (a free one) and 65535, not be -1",
        ),
        (["bench", "--clients", "1", "0"], "--clients, --requests and --steps must be at least 1"),
        (["bench", "--requests", "0"], "--clients, --requests and --steps must be at least 1"),
        (["bench", "--steps", "-1"], "--clients, --requests and --steps must be at least 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_in_one_line(given, said, capsys):
    """kills: experts loaded for a port that no machine has, then a traceback."""
    assert serve.main(given) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.endswith(f": {said}\n")


def test_experts_that_fit_together_are_refused(tmp_path, monkeypatch, capsys):
    """kills: a limit that limits nothing."""
    monkeypatch.setattr(bench, "publish", lambda place, k: None)
    monkeypatch.setattr(bench, "fitting", lambda folders, memory: len(folders))
    assert bench.main(["--results", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "served: 8 of 8 fit into 240 MB\n"
    assert not list(tmp_path.iterdir())


def test_what_was_measured_names_its_commit(tmp_path):
    """kills: numbers without what made them."""
    where = replace(Where.here(), commit="c0ffee")
    line = dict(zip(bench.HEAD, ("one process", 8, "2.00", "500", "900", "3.50"), strict=True))
    bench.write([line], "Checked.", where, tmp_path)
    page = (tmp_path / "served.md").read_text()
    assert "| one process | 8 | 2.00 | 500 | 900 | 3.50 |" in page
    assert "- Checked.\n" in page
    assert "commit c0ffee" in page
    with open(tmp_path / "served.csv") as file:
        (row,) = csv.DictReader(file)
    assert (row["p99, ms"], row["commit"]) == ("900", "c0ffee")
