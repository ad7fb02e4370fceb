"""The command and its files, over rows whose times are given."""

import csv
import re
from dataclasses import replace

import pytest

from experiments.bench import __main__ as command
from experiments.bench.pairing import Alike, Bench, BenchRow, Measured, Side, TwoSides
from experiments.bench.ratio_table import Where, write
from experiments.bench.ratios import Clock, RateRatio, Timed, TimeRatio

WHERE = Where("a machine, 2 cores", "abc123", 0.5)


def row(name="quick", ours=1, peer=1, goal=None):
    """A row whose sides return the given numbers, which must agree."""
    two = TwoSides(Side(lambda: ours), Side(lambda: peer), lambda a, b: (Alike("answer", a, b),))
    ratio = TimeRatio(goal)
    return BenchRow(name, "adds", "peer 1.0", ratio, "sum", "[2]", "fp64", lambda _: two)


def bench(*rows, name="sums", asked_only=False):
    return Bench(name, "Sums", rows, ("A note.",), asked_only)


def test_what_is_written_is_what_was_measured(tmp_path):
    """kills: columns exchanged, a verdict of the median alone, a peer without its version, seconds
    of another side or clock, a machine or commit left out."""
    one = BenchRow(
        "fast",
        "adds",
        "peer 1.0",
        RateRatio(1.5),
        "sum",
        "[2]",
        "fp64",
        lambda _: None,
        1,
        Clock.WALL,
    )
    pairs = tuple((Timed(6.0, 1.0, 2), Timed(12.0, wall, 4)) for wall in (2.0, 4.0, 8.0))
    found = Measured(one, pairs, (Alike("answer", 3, 3, 0.01),))
    write(bench(one), [found], WHERE, tmp_path)
    (read,) = csv.DictReader((tmp_path / "sums.csv").open())
    expected = {
        **{"row": "fast", "peer": "peer 1.0", "median": "2.0", "min": "1.0", "max": "4.0"},
        **{"n": "3", "goal": "1.5", "verdict": "undecided", "clock": "wall", "precision": "fp64"},
        **{"ours_cpu_s": "6.0", "ours_wall_s": "1.0", "peer_cpu_s": "12.0", "peer_wall_s": "4.0"},
        **{"ours_amount": "2", "peer_amount": "4", "shapes": "[2]", "unit": "sum"},
        **{"machine": "a machine, 2 cores", "commit": "abc123", "load": "0.5"},
        **{"alike": "answer 3 and 3, to 0.01 of it", "median_by_other_clock": "1.0"},
    }
    assert {key: read[key] for key in expected} == expected
    page = (tmp_path / "sums.md").read_text()
    assert (
        "| fast | our rate / the peer's, wall | 2.000 | 1.000 to 4.000 | 3 | 1.5 | undecided |"
        in page
    )
    for said in ("peer 1.0", "A note.", "a machine, 2 cores", "abc123", "answer 3 and 3"):
        assert said in page


def test_a_missed_goal_is_printed_and_is_no_failure(tmp_path, capsys):
    """kills: a goal missed called met or hidden, a run that fails for it."""
    assert command.main(["--pairs", "2", "--results", str(tmp_path)], [bench(row(goal=0.0))]) == 0
    printed = capsys.readouterr().out
    assert "2 pairs), goal 0, missed" in printed
    assert (tmp_path / "bench" / "sums.md").exists()


def test_a_refused_row_is_named_and_left_out(tmp_path, capsys):
    """kills: a row of different works written, the others lost with it, a status that hides it."""
    both = bench(row("wrong", ours=2), row("right"))
    assert command.main(["--pairs", "1", "--results", str(tmp_path)], [both]) == 1
    assert "wrong: refused, not the same work: answer 2 and 1" in capsys.readouterr().err
    read = list(csv.DictReader((tmp_path / "bench" / "sums.csv").open()))
    assert [line["row"] for line in read] == ["right"]


def test_a_stopped_run_leaves_the_rows_that_were_measured(tmp_path):
    """kills: half an hour of one row lost with the next."""

    def stop():
        raise KeyboardInterrupt

    two = TwoSides(Side(stop), Side(stop), lambda a, b: ())
    stopped = replace(row("stopped"), prepare=lambda _: two)
    with pytest.raises(KeyboardInterrupt):
        command.main(["--pairs", "1", "--results", str(tmp_path)], [bench(row("whole"), stopped)])
    read = list(csv.DictReader((tmp_path / "bench" / "sums.csv").open()))
    assert [line["row"] for line in read] == ["whole"]


def test_only_what_is_asked_for_is_measured(tmp_path, capsys):
    """kills: --only that is not obeyed, long benches by default, files of a brief run."""
    benches = [bench(row("a"), name="one"), bench(row("b"), name="two", asked_only=True)]
    given = ["--pairs", "1", "--results", str(tmp_path)]
    for extra, rows in (([], "a"), (["--only", "two"], "b"), (["--only=one", "--only=two"], "ab")):
        assert command.main([*given, "--brief", *extra], benches) == 0
        printed = capsys.readouterr().out.splitlines()
        assert "".join(line[0] for line in printed) == rows
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pairs", "0"], "argument --pairs: invalid number value: '0'"),
        (["--pairs", "some"], "argument --pairs: invalid number value: 'some'"),
        (["--seeds", "0"], "argument --seeds: invalid number value: '0'"),
        (["--only", "sum"], "argument --only: invalid choice: 'sum' .*sums"),
    ],
)
def test_bad_input_is_refused(arguments, said, capsys):
    """kills: a run of nothing, a misspelt table skipped."""
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments, [bench(row())])
    assert stopped.value.code == 2
    assert re.search(said, capsys.readouterr().err)


def test_names_are_one_to_one():
    """kills: two tables that write one file, two rows of one name."""
    names = [bench.name for bench in command.BENCHES]
    rows = [row.name for bench in command.BENCHES for row in bench.rows]
    assert len(set(names)) == len(names)
    assert len(set(rows)) == len(rows)
