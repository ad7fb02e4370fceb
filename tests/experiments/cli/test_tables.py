"""Many tables in one command: one pool, what they share made once, each written."""

from dataclasses import dataclass, replace

import pytest

from experiments.cli import main as cli
from experiments.pipeline.launch import local
from experiments.tables.comparisons import compared, index
from experiments.tables.rows import Row
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


@pytest.mark.parametrize(("many", "lines"), [(4, 1), (5, 0)])
def test_many_tables_say_at_once_what_goes_on(pools, capsys, tmp_path, monkeypatch, many, lines):
    """kills: silence while the stages of all tables and seeds are named; a line for one table."""
    monkeypatch.setattr(cli, "MANY", many)
    assert cli.main(TABLE, OTHER, arguments=[*SMOKE, *places(tmp_path)]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("[0/?]")]
    assert told == ["[0/?] looking up what 2 tables have made for 2 seeds"] * lines


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
    assert written == {
        f"{n}.{end}" for n in ("table9", "table10") for end in ("md", "csv", "json", "tex", "yaml")
    }
    texts = [(folder / f"{name}.md").read_text() for name in ("table9", "table10")]
    assert capsys.readouterr().out == f"{texts[0]}\n{texts[1]}\n"
    assert "| Pair |" in texts[0]
    assert "| Own | 77.50" in texts[1]


def test_a_table_without_the_scale_is_left_out_of_many_and_refused_alone(pools, capsys, tmp_path):
    """kills: all refused for one that has no such scale; a table at another scale's dials."""
    elsewhere = replace(OTHER, scales={"scenes": TABLE.scales["scenes"]})
    assert cli.main(TABLE, elsewhere, arguments=[*SMOKE, *places(tmp_path)]) == 0
    assert not list((tmp_path / "results").rglob("table10.md"))
    assert list((tmp_path / "results").rglob("table9.md"))
    assert cli.main(elsewhere, arguments=[*SMOKE, *places(tmp_path)]) == 2
    assert "there is no scale 'smoke' here: choose from scenes" in capsys.readouterr().err


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


@dataclass(frozen=True)
class Broken(Given):
    """A measurement that cannot be made."""

    def measure(self, folder, context):
        raise OSError("the disk is gone")


def test_a_row_that_fails_is_missing_and_named_and_the_others_are_written(pools, capsys, tmp_path):
    """kills: one failed row that takes the table with it, or is shown as a number; a status of 0;
    the row or the reason unsaid; comparisons and figures of rows that are not there."""

    def some(scale, seed):
        return [*rows(scale, seed), Row({"Strategy": "Worse"}, Broken(1.0, 0.5))]

    def picks(results):
        return str(index(results, "Worse")).encode()

    def lines(results):
        return [compared(results, TABLE.columns[0], (a,), ("Alone",)) for a in ("Pair", "Worse")]

    figures = {"picks": picks, "all": lambda results: str(len(results.rows[0])).encode()}
    broken = replace(TABLE, rows=some, figures=figures, tests=lines)
    assert cli.main(broken, arguments=[*SMOKE, *places(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert err.startswith("table9: without table9, Worse: ")
    assert "the disk is gone" in err
    partial = tmp_path / "results/smoke-incomplete"
    text = (partial / "table9.md").read_text()
    assert "| Worse | — | — | — |" in out
    assert "| Pair | *22.6* | 11.00" in text  # beyond the best one's interval
    assert (text.count(" less Alone"), text.count("Worse")) == (1, 2)
    drawn = {path.stem: path.read_text() for path in (partial / "figures").iterdir()}
    assert drawn == {"all": "3"}


def test_nothing_is_written_where_every_row_fails(pools, capsys, tmp_path):
    """kills: a table of dashes in the place of a whole one."""
    none = replace(TABLE, rows=lambda *_: [Row({"Strategy": "Worse"}, Broken(1.0, 0.5))])
    assert cli.main(none, arguments=[*SMOKE, *places(tmp_path)]) == 1
    assert "without table9, Worse" in capsys.readouterr().err
    assert not list((tmp_path / "results").rglob("table9.*"))


@pytest.mark.parametrize(
    ("store", "why"),
    [("file", "Not a directory"), ("/proc/store", "can keep"), ("s4://bucket/x", "known: s4")],
)
def test_a_store_that_can_keep_nothing_is_said_once_before_anything_is_made(
    pools, capsys, tmp_path, store, why
):
    """kills: the same cause told by every stage that cannot be kept, advice to delete a folder."""
    (tmp_path / "file").touch()
    place = store if "/" in store else str(tmp_path / store)
    arguments = [*SMOKE, "--store", place, "--results", str(tmp_path / "results")]
    assert cli.main(TABLE, arguments=arguments) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("table9: ")
    assert why in line
    assert "delete" not in line
    assert pools == []
    assert not (tmp_path / "results").exists()


def test_a_store_that_may_not_be_written_is_read_where_nothing_is_missing(
    pools, capsys, tmp_path, monkeypatch
):
    """kills: a finished table refused beside a shared store that others fill."""
    assert cli.main(TABLE, arguments=[*SMOKE, *places(tmp_path)]) == 0

    def refuse(**_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert cli.main(TABLE, arguments=[*SMOKE, *places(tmp_path)]) == 0
    assert cli.main(TABLE, arguments=[*SMOKE[:-1], "3", *places(tmp_path)]) != 0
    assert "can keep nothing: Operation not permitted" in capsys.readouterr().err
