"""Sweeps: numbers of a table that are options, in a folder of their own; rows that are gone."""

import json
import re
from dataclasses import dataclass, replace

import pytest

from experiments.cli import main as cli
from experiments.hddm.__main__ import TABLES
from experiments.pipeline.launch import local
from experiments.recipes.images import SCALES
from experiments.tables.comparisons import compared, index
from experiments.tables.rows import Row
from experiments.tables.sweeps import check
from tests.helpers.stages import places, serial
from tests.helpers.tables import COLUMNS, TABLE, Given

SWEPT = {table.name: table for table in TABLES if table.sweep is not None}


@dataclass(frozen=True)
class Levels:
    """levels: a row each, of FID ten times the level."""

    levels: tuple[float, ...] = (0.2, 0.5)

    def __post_init__(self):
        check("levels", self.levels, 0, 1)

    def rows(self, scale, seed):
        return [Row({"Level": f"{x:g}"}, Given(10 * x + seed, 0.5)) for x in self.levels]


def lines(results):
    return [compared(results, COLUMNS[0], ("0.5",), ("0.2",)), "A line of its own."]


def picked(results):
    return str(index(results, "0.5")).encode()


LEVELS = replace(
    TABLE, rows=Levels().rows, sweep=Levels(), tests=lines, paper=[], baseline=None,
    figures={"picks": picked, "takes-all": lambda results: b"all"},
)  # fmt: skip


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setattr(local, "map", serial)
    arguments = ["--scale", "smoke", "--seeds", "2", *places(tmp_path)]
    return lambda table, *more: cli.main(table, arguments=[*arguments, *more])


def test_a_turned_sweep_has_a_folder_of_its_own_and_says_so(run, tmp_path):
    """kills: a sweep turned into the folder of the table's own numbers, or unsaid in the footer; a
    comparison or a figure of rows that are gone which takes the table with it."""
    assert run(LEVELS) == run(LEVELS, "--levels", "0.3", "0.2") == 0
    plain, (turned,) = tmp_path / "results/smoke", (tmp_path / "results").glob("smoke-*")
    assert "0.5 less 0.2" in (plain / "table9.md").read_text()
    text = (turned / "table9.md").read_text()
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| 0")] == [
        "| 0.3", "| 0.2",
    ]  # fmt: skip
    assert "with levels = (0.3, 0.2)" in text
    assert "less" not in text
    assert "- A line of its own." in text
    assert json.loads((turned / "table9.json").read_text())["changed"] == {"levels": "(0.3, 0.2)"}
    drawn = [sorted(path.stem for path in (f / "figures").iterdir()) for f in (plain, turned)]
    assert drawn == [["picks", "takes-all"], ["takes-all"]]


def test_the_tables_own_numbers_are_no_turn(run, tmp_path):
    """kills: a folder of its own for the same numbers, said."""
    assert run(LEVELS, "--levels", "0.2", "0.5") == 0
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["smoke"]


def test_a_miswritten_row_of_an_unturned_table_is_no_absent_one(run):
    """kills: a misspelt comparison that is skipped for ever, and never noticed."""
    wrong = replace(LEVELS, tests=lambda results: [compared(results, COLUMNS[0], ("x",), ("0.2",))])
    assert run(wrong) == 1
    assert run(wrong, "--levels", "0.3", "0.2") == 0


@pytest.mark.parametrize(
    "values", [["0.2", "0.2"], ["1.5"], ["nan"], ["many"], [], ["0.2", "-1"]], ids=" ".join
)
def test_numbers_without_sense_are_one_line(run, capsys, tmp_path, values):
    """kills: two rows of one name, a time outside of [0, 1], a traceback, status 0."""
    assert run(LEVELS, "--levels", *values) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert re.search("levels", err)
    assert list(tmp_path.iterdir()) == []


def test_sweeps_of_tables_are_refused_where_many_are_made(run, capsys, monkeypatch, tmp_path):
    """kills: one table's numbers given to all."""
    arguments = ["--scale", "smoke", "--levels", "0.3", *places(tmp_path)]
    assert cli.main(LEVELS, TABLE, arguments=arguments) == 2
    assert "--levels" in capsys.readouterr().err


@pytest.mark.parametrize("name", list(SWEPT))
def test_the_rows_of_a_table_are_its_sweeps(name):
    """kills: a sweep that is read, and whose numbers no row has; rows of one name."""
    table = SWEPT[name]
    before = table.rows(SCALES["small"], 0)
    (first, values), *_ = vars(table.sweep).items()
    fewer = table.swept(replace(table.sweep, **{first: (1,) if values is None else values[:1]}))
    after = fewer.rows(SCALES["small"], 0)
    names, left = ({tuple(row.names.values()) for row in rows} for rows in (before, after))
    assert left <= names
    assert {row.measured for row in after} != {row.measured for row in before}
    assert len(names) == len(before)


def test_every_sweep_of_the_paper_has_its_option():
    """kills: a table whose thresholds, counts or times are fixed in its text."""
    named = {"threshold", "ordering", "selection", "sampling", "ratio", "weights", "router"}
    assert SWEPT.keys() == {f"ablation-{name}" for name in named | {"alignment"}} | {"tuning"}
