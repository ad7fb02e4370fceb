"""Results: rows without measurements, parts of one, papers' columns, remarks, lines of tests."""

import csv
import json
from dataclasses import dataclass, replace

import pytest

from experiments.pipeline.stage import Measurement
from experiments.recipes.images import SCALES
from experiments.tables.columns import Column
from experiments.tables.results import Results, merged
from experiments.tables.rows import Row
from tests.helpers.tables import COLUMNS, TABLE, BrightJudge, Given, fill, rows, write

PARTS = {"0.1": {"fid": 3.0, "hits": 0.25}, "0.5": {"fid": 4.0, "hits": 0.75}}


@dataclass(frozen=True)
class Sweep(Measurement):
    """One run that gives a number for every part, moved by its seed."""

    seed: int
    judge: BrightJudge = BrightJudge()

    def measure(self, folder, context):
        return {
            name: {key: value + self.seed for key, value in part.items()}
            for name, part in PARTS.items()
        }

    def remarks(self, store):
        return ("A remark of all.", f"A remark of seed {self.seed}.")


def sweep(scale, seed):
    return [
        Row({"Strategy": "Paper alone"}, None, {"Paper": 1.5, "Other": 31.0}),
        *(Row({"Strategy": f"At {at}"}, Sweep(seed), {"Other": 7.25}, at) for at in PARTS),
    ]


def results(store, table, seeds, scale="small"):
    return Results(table, scale, SCALES[scale], seeds, store)


def lines(folder):
    """The cells of every line of the first of the markdown's tables, by its first cell."""
    text = (folder / "table9.md").read_text().splitlines()
    found = [
        [cell.strip(" *") for cell in line.strip("|").split("|")] for line in text if "|" in line
    ]
    return {name: rest for name, *rest in reversed(found)}


@pytest.fixture
def swept(store):
    return fill(store, sweep, 2)


SWEEP = replace(TABLE, rows=sweep, paper=["Other", "Paper"], baseline=None)


def test_a_row_of_the_papers_alone_is_shown_as_such(swept, tmp_path):
    """kills: a stage asked of a row that has none, or a number made up for it."""
    assert results(swept, SWEEP, 2).values(0, COLUMNS[0]) == [None, None]
    assert SWEEP.stages(SCALES["small"], 2) == [Sweep(0), Sweep(0), Sweep(1), Sweep(1)]
    folder = write(swept, tmp_path, SWEEP, seeds=2)
    assert lines(folder)["Paper alone"] == ["31", "1.5", "—", "—"]
    first = json.loads((folder / "table9.json").read_text())["rows"][0]
    assert first["keys"] == []
    assert first["values"] == {"fid": [None, None], "hits": [None, None]}


def test_a_row_shows_its_own_part_of_a_measurement(swept, tmp_path):
    """kills: the first part shown in every row, or a measurement made once a row."""
    found = results(swept, SWEEP, 2)
    assert found.values(1, COLUMNS[0]) == [3.0, 4.0]
    assert found.values(2, COLUMNS[0]) == [4.0, 5.0]
    assert found.values(2, COLUMNS[1]) == [75.0, 175.0]
    shown = lines(write(swept, tmp_path, SWEEP, seeds=1))
    assert (shown["At 0.1"][2:], shown["At 0.5"][2:]) == (["3.00", "25.0"], ["4.00", "75.0"])
    assert len(list((swept.root / "sweep").iterdir())) == 2


def test_a_part_that_is_not_there_is_no_missing_number(swept):
    """kills: a misspelt part rendered as missing."""
    wrong = replace(SWEEP, rows=lambda scale, seed: [Row({"Strategy": "A"}, Sweep(seed), at="0.2")])
    with pytest.raises(KeyError, match=r"0\.2"):
        results(swept, wrong, 1)


def test_a_column_in_which_nothing_was_measured_is_left_out(store, tmp_path):
    """kills: a column of dashes, as of diversity within a prompt where each is asked once."""

    def without_hits(scale, seed):
        return [replace(row, measured=replace(row.measured, hits=-1)) for row in rows(scale, seed)]

    store = fill(store, without_hits, 2)
    folder = write(store, tmp_path, replace(TABLE, rows=without_hits), seeds=2)
    text = (folder / "table9.md").read_text()
    assert "FID" in text
    assert "Hits" not in text + (folder / "table9.csv").read_text()


def test_the_papers_columns_stand_in_the_tables_order(swept, tmp_path):
    """kills: columns in the order of a row, a number under another title, a gap filled with 0."""
    folder = write(swept, tmp_path, SWEEP, seeds=1)
    shown = lines(folder)
    assert shown["Strategy"] == ["Other", "Paper", "FID ↓", "Hits, %"]
    assert shown["At 0.1"][:2] == ["7.25", "—"]
    with open(folder / "table9.csv", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0])[:3] == ["Strategy", "Other", "Paper"]
    assert [(line["Other"], line["Paper"]) for line in found] == [
        ("31.0", "1.5"), ("7.25", ""), ("7.25", ""),
    ]  # fmt: skip


def test_without_a_baseline_nothing_is_compared(swept, tmp_path):
    """kills: the first row compared with whether asked or not."""
    folder = write(swept, tmp_path, SWEEP, seeds=2)
    assert "Difference" not in (folder / "table9.md").read_text()
    assert "difference" not in (folder / "table9.csv").read_text()
    base = write(swept, tmp_path / "base", replace(SWEEP, baseline=1), seeds=2)
    text = (base / "table9.md").read_text()
    assert "Difference to At 0.1, paired by seed" in text
    assert text.count("| Paper alone |") == 1  # no difference where there is no number
    assert lines(base)["At 0.5"][2:] == ["4.50 [0.00, 10.85]", "125.0 ± 635.3"]
    assert "| At 0.5 | 1.00 ± 0.00 | 50.0 ± 0.0 |" in text


def test_remarks_are_told_once_each(swept, store, tmp_path):
    """kills: a remark for every row and seed, or those of other seeds left out."""
    assert results(swept, SWEEP, 2).remarks() == ["A remark of all.", "A remark."]
    assert results(swept, SWEEP, 1).remarks() == ["A remark of all.", "A remark of seed 0."]
    text = (write(swept, tmp_path, SWEEP, seeds=2) / "table9.md").read_text()
    assert text.count("- A remark of all.\n") == text.count("- A remark.\n") == 1
    fill(store, rows, 3)
    assert results(store, TABLE, 3).remarks() == ["The judge is right 97.5% of the time."]


def test_lines_that_differ_in_numbers_alone_become_one_with_their_ends():
    """kills: ends in the order of seeds or of their text, a number that all share given twice."""
    lines = ["9.5% of 400, seed 2", "10.25% of 400, seed 0", "9.75% of 400, seed 10"]
    assert merged(lines) == "9.5 to 10.25% of 400"
    assert merged(["a temperature of seed 3: 1.5"] * 2) == "a temperature of seed 3: 1.5"


def test_a_measurement_says_nothing_of_itself_by_default():
    """kills: an empty line in every footer."""
    assert Measurement().remarks(None) == ()


def test_lines_of_tests_are_computed_from_the_results(swept, tmp_path):
    """kills: tests left out, or given other results than the table's."""

    def tests(found):
        return [f"{found.mean(i, COLUMNS[0]).mean:.2f} at {PARTS[at]}" for i, at in ((1, "0.1"),)]

    with_tests = replace(SWEEP, tests=tests)
    text = (write(swept, tmp_path, with_tests, seeds=2) / "table9.md").read_text()
    assert f"\n- 3.50 at {PARTS['0.1']}\n" in text
    assert text.index("At 0.5") < text.index("3.50 at") < text.index("A note.")


def test_figures_are_drawn_from_the_results(swept, tmp_path):
    """kills: a figure under another's name, or not written at all."""
    figures = {name: lambda found, n=name: f"{n} {found.seeds}".encode() for name in ("a", "b")}
    folder = write(swept, tmp_path, replace(SWEEP, figures=figures), seeds=2)
    drawn = {path.name: path.read_text() for path in (folder / "figures").iterdir()}
    assert drawn == {"a.png": "a 2", "b.png": "b 2"}


def test_part_of_the_results_keeps_its_numbers(swept):
    """kills: rows filtered and numbers left as they were, so that each stands by another's name."""
    whole = results(swept, SWEEP, 2)
    part = whole.where("Strategy", "At 0.5")
    assert [row.name for row in part.rows[1]] == ["At 0.5"]
    assert part.values(0, COLUMNS[0]) == whole.values(2, COLUMNS[0]) == [4.0, 5.0]
    assert len(whole.rows[0]) == 3


def test_a_difference_is_of_the_seeds_that_have_both(store):
    """kills: a mean of one row's seeds less a mean of another's, where one seed is missing."""

    def some(scale, seed):
        hits = [(0.5, 0.25), (-1, 0.75), (1.0, 0.25)][seed]
        return [Row({"Strategy": n}, Given(1.0 + seed, h)) for n, h in zip("AB", hits, strict=True)]

    fill(store, some, 3)
    found = results(store, replace(TABLE, rows=some), 3).difference(0, 1, COLUMNS[1])
    assert (found.mean, found.n) == (50.0, 2)


def test_a_row_is_named_by_what_it_has():
    """kills: two commas for an empty name, or the names' titles in its place."""
    assert Row({"Strategy": "Top-2", "Router": "", "Guard": "off"}, None).name == "Top-2, off"


def test_a_table_of_the_papers_alone_needs_no_store(store, tmp_path):
    """kills: a row or a stage that is presumed to be there."""
    known = [Row({"Strategy": "Known"}, None, {"Paper": 2.0})]
    table = replace(TABLE, columns=[Column("x", "X", 1)], rows=lambda *_: known, baseline=None)
    assert lines(write(store, tmp_path, table, seeds=2))["Known"] == ["2", "—"]
