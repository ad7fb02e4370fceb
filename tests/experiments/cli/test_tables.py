"""Many tables in one command: one pool, what they share made once, each written."""

from dataclasses import replace

import pytest

from experiments.cli import main as cli
from experiments.pipeline.launch import local
from experiments.tables.results import Row
from tests.helpers.stages import places, serial
from tests.helpers.tables import TABLE, Given, rows

SMOKE = ["--scale", "smoke", "--seeds", "2"]


def other_rows(scale, seed):
    """One measurement that table 9 has too, and one of its own."""
    shared = rows(scale, seed)[0].measured
    return [Row({"Strategy": "Shared"}, shared), Row({"Strategy": "Own"}, Given(77.0 + seed, 0.5))]


OTHER = replace(TABLE, name="table10", title="Table 10. Too", rows=other_rows, paper=[])


@pytest.fixture
def pools(monkeypatch):
    """The stages of every pool that was started, made in this process."""
    found = []

    def mapped(work, tasks, workers):
        found.append([task.key for task in tasks])
        return serial(work, tasks, workers)

    monkeypatch.setattr(local, "map", mapped)
    return found


def test_tables_share_one_pool_and_each_is_written(pools, capsys, tmp_path):
    """kills: a pool for each table, a shared stage made twice, a table made and not written."""
    assert cli.main(TABLE, OTHER, arguments=[*SMOKE, *places(tmp_path)]) == 0
    stages = [
        row.measured for seed in range(2) for row in (*rows(None, seed), *other_rows(0, seed))
    ]
    wanted = {stage.key for stage in stages} | {stages[0].judge.key}
    assert len(pools) == 1
    assert sorted(pools[0]) == sorted(wanted)
    folder = tmp_path / "results" / "smoke"
    written = {path.name for path in folder.iterdir() if path.is_file()}
    assert written == {f"{n}.{end}" for n in ("table9", "table10") for end in ("md", "csv", "json")}
    texts = [(folder / f"{name}.md").read_text() for name in ("table9", "table10")]
    assert capsys.readouterr().out == f"{texts[0]}\n{texts[1]}\n"
    assert "| Pair |" in texts[0]
    assert "| Own | 77.50" in texts[1]


def test_a_table_is_the_same_alone_or_among_others(pools, tmp_path):
    """kills: a table that hangs on those beside it, or on their order."""
    for name, tables in {
        "alone": [TABLE],
        "after": [OTHER, TABLE],
        "before": [TABLE, OTHER],
    }.items():
        assert cli.main(*tables, arguments=[*SMOKE, *places(tmp_path / name)]) == 0
    found = [
        [
            (tmp_path / name / "results/smoke" / f"table9.{end}").read_bytes()
            for end in ("md", "csv")
        ]
        for name in ("alone", "after", "before")
    ]
    assert found[0] == found[1] == found[2]


def test_a_finished_set_of_tables_makes_nothing(pools, tmp_path):
    """kills: a second run that makes again what is there."""
    for _ in range(2):
        assert cli.main(TABLE, OTHER, arguments=[*SMOKE, *places(tmp_path)]) == 0
    assert len(pools[0]) == 7  # the judge, four of table 9's (two rows and two seeds agree), two
    assert pools[1:] == [[]]


def test_many_tables_speak_with_one_name(capsys, tmp_path):
    """kills: an error or a help under the first table's name, as if the others were not asked."""
    arguments = ["--scale", "huge", *places(tmp_path)]
    assert cli.main(TABLE, OTHER, arguments=arguments) == 2
    assert capsys.readouterr().err.startswith("all: ")
    assert cli.main(OTHER, arguments=arguments) == 2
    assert capsys.readouterr().err.startswith("table10: ")
    with pytest.raises(SystemExit):
        cli.main(TABLE, OTHER, arguments=["--help"])
    assert "All 2 tables" in capsys.readouterr().out


def test_a_table_is_written_before_the_next_is_rendered(pools, capsys, tmp_path):
    """kills: all tables held back until the last is rendered, and lost if that fails."""

    def fail(found):
        raise OSError("the second cannot be drawn")

    broken = replace(OTHER, figures={"figure": fail})
    assert cli.main(TABLE, broken, arguments=[*SMOKE, *places(tmp_path)]) == 1
    folder = tmp_path / "results" / "smoke"
    assert (folder / "table9.md").exists()
    assert not (folder / "table10.md").exists()
    out, err = capsys.readouterr()
    assert "Table 9" in out
    assert err == "all: the second cannot be drawn\n"
