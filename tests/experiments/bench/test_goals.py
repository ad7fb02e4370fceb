"""Goals and verdicts from tables of ratios that are written here."""

import pytest

from experiments.bench.goals import goal_rows, write

HEAD = "row,what,peer,ratio,clock,median,min,max,n,goal,verdict"


def lay(folder, *lines):
    (folder / "some.csv").write_text("\n".join([HEAD, *lines, ""]))


def test_every_goal_is_read_its_own_way(tmp_path):
    """kills: a rate judged as a time, a verdict copied where the pairs do not bear it, the least
    and the greatest exchanged, a row without a goal."""
    lay(
        tmp_path,
        "a,adds,p 1,our rate / the peer's,cpu,1.28,1.11,1.31,5,1.3,missed",
        "b,adds,p 1,our time / the peer's,wall,1.28,1.11,1.31,5,1.32,missed",
        "c,adds,p 1,model FLOP/s / the device's stated peak,wall,0.5,0.4,0.54,5,0.55,met",
        "d,adds,p 1,our memory / the peer's,cpu,1.28,1.11,1.31,5,,none",
    )
    (tmp_path / "other.csv").write_text("Kind,Number\nsample,3\n")
    assert [(row[0], row[3], *row[4:]) for row in goal_rows(tmp_path)] == [
        ("a", "our rate / the peer's, cpu", ">= 1.3", "1.28 (1.11 to 1.31)", "5", "undecided"),
        ("b", "our time / the peer's, wall", "<= 1.32", "1.28 (1.11 to 1.31)", "5", "met"),
        (
            "c",
            "model FLOP/s / the device's stated peak, wall",
            *(">= 0.55", "0.50 (0.40 to 0.54)", "5", "missed"),
        ),
    ]


def test_what_cannot_be_read_is_refused(tmp_path):
    """kills: a ratio of a new kind taken for a time, an empty page over the committed one."""
    with pytest.raises(ValueError, match="no table of ratios"):
        write(tmp_path)
    lay(tmp_path, "a,adds,p 1,our joules,cpu,1,1,1,5,1.3,met")
    with pytest.raises(ValueError, match="unknown kind: our joules"):
        write(tmp_path)
    assert not (tmp_path / "goals.md").exists()
