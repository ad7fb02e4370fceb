"""Costs of stages of tables that are written here."""

import csv
import json

import pytest

from experiments.bench.stage_costs import KindCost, by_kind, lines, stage_seconds, write
from tests.helpers.files import ROOT


def lay(folder, **tables):
    for name, seconds in tables.items():
        (folder / f"{name.replace('_', '-')}.json").write_text(json.dumps({"seconds": seconds}))


def test_a_shared_stage_counts_once():
    """kills: an expert counted in every table that names it."""
    tables = [{"seconds": {"sample/a": 2.0, "expert/b": 9.0}}, {"seconds": {"expert/b": 9.0}}]
    assert stage_seconds(tables) == {"sample/a": 2.0, "expert/b": 9.0}


def test_kinds_are_ordered_by_their_sum_and_small_ones_joined():
    """kills: an order by the longest stage, a mean for a sum, small kinds lost."""
    seconds = {"a/1": 600.0, "b/1": 500.0, "b/2": 400.0, "c/1": 4.0, "d/1": 1.0}
    assert by_kind(seconds) == [
        KindCost("b", 2, 900.0, 500.0),
        KindCost("a", 1, 600.0, 600.0),
        KindCost("2 other kinds", 2, 5.0, 4.0),
    ]


def test_each_command_has_its_own_tables(tmp_path):
    """kills: Paris 2.0's stages counted into `make all`, claims or clustering read as tables."""
    lay(
        tmp_path,
        table1={"a/1": 3.0, "b/1": 1.0},
        paris2_table1={"c/1": 8.0},
        clustering={"x/1": 99},
    )
    (tmp_path / "claims.json").write_text("[]")
    assert lines(tmp_path) == [
        ("make all", "a", "1", "3", "75.0 %", "3.0"),
        ("make all", "b", "1", "1", "25.0 %", "1.0"),
        ("make all", "all", "2", "4", "100.0 %", "3.0"),
        ("make paris2", "c", "1", "8", "100.0 %", "8.0"),
        ("make paris2", "all", "1", "8", "100.0 %", "8.0"),
    ]


def test_a_folder_without_tables_is_refused(tmp_path):
    """kills: an empty page written over the committed one."""
    with pytest.raises(ValueError, match="no table in"):
        write(tmp_path, tmp_path / "bench")
    assert not (tmp_path / "bench").exists()


def test_the_committed_costs_are_those_of_the_committed_tables():
    """kills: tables committed without `make readme`."""
    with (ROOT / "results" / "bench" / "stage-costs.csv").open() as file:
        assert [tuple(line) for line in csv.reader(file)][1:] == lines(ROOT / "results" / "small")
