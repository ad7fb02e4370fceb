"""Commands as sides: whose processes count, which tree they run in, what their tables say."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from experiments.bench.commands import baseline, python, reaping, startup
from experiments.bench.commands.baseline import Making, Written, clone
from experiments.bench.pairing import OtherWorkError, RefusedError, Room, measure
from tests.helpers.files import ROOT

LEAVES_ONE = "import subprocess, sys; subprocess.Popen(['sh', '-c', sys.argv[1]]); sys.exit(3)"


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux alone")
def test_a_command_ends_after_all_that_it_started(tmp_path):
    """kills: seconds of a server that outlives its command left out, the command's status lost."""
    late = f"sleep 0.2; touch {tmp_path}/late"
    command = [sys.executable, "-S", reaping.__file__, sys.executable, "-c", LEAVES_ONE, late]
    assert subprocess.run(command, check=False).returncode == 3
    assert (tmp_path / "late").exists()


def repository(folder, *texts):
    """A git repository with a commit for each text of its file `experiments/say.py`."""
    git = ["git", "-c", "user.name=n", "-c", "user.email=e", "-C", str(folder)]
    (folder / "experiments").mkdir(parents=True)
    (folder / "experiments" / "__init__.py").touch()
    subprocess.run([*git, "init", "--quiet"], check=True)
    names = []
    for text in texts:
        (folder / "experiments" / "say.py").write_text(text)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "-m", "m"], check=True)
        head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True)
        names.append(head.stdout.decode().strip())
    return names


def test_a_clone_runs_its_own_commit_s_code(tmp_path):
    """kills: the tree as it is now, or this suite's modules, taken for the baseline's."""
    first, _ = repository(tmp_path / "suite", "import sys; sys.exit(5)", "import sys; sys.exit(6)")
    old = clone(first, tmp_path / "old", of=tmp_path / "suite")
    assert python.status(("-m", "experiments.say"), old) == 5
    assert python.status(("-m", "experiments.say"), tmp_path / "suite") == 6
    with pytest.raises(RefusedError, match="commit 0123456 cannot be had"):
        clone("0123456", tmp_path / "none", of=tmp_path / "suite")


def test_a_command_that_fails_refuses_the_row(tmp_path):
    """kills: the seconds of a failure written as those of a table; an error without its words."""
    repository(tmp_path / "suite", "import sys; sys.exit('say: no such table')")
    with pytest.raises(RefusedError, match=r"say ended with 1: say: no such table"):
        python.require(("-m", "experiments.say"), tmp_path / "suite")


TABLE = """
import argparse, pathlib
parser = argparse.ArgumentParser()
for name in ("--scale", "--seeds", "--store", "--results", "--third"):
    parser.add_argument(name, required=True)
asked = parser.parse_args()
pathlib.Path(asked.store).mkdir(parents=True)
folder = pathlib.Path(asked.results) / (asked.scale + "-turned")
folder.mkdir(parents=True)
lines = ["Row,\\"Prompt accuracy, %\\"", f"one,{10 * int(asked.seeds)}", "two,50"]
lines.append(f"three,{asked.third}")
(folder / "table.csv").write_text("\\n".join(lines))
"""


def test_each_making_begins_with_an_empty_store(tmp_path):
    """kills: a second call that finds everything made, dials that are not handed on, an empty cell
    read as 0."""
    repository(tmp_path / "suite", TABLE)
    making = Making(
        tmp_path / "suite", ("-m", "experiments.say"), tmp_path / "home", "tiny", 3, ("--third", "")
    )
    for _ in range(2):
        making.clear()
        assert making() == Written(rows=3, scored=2, accuracy=40.0)
    with pytest.raises(RefusedError, match="ended with 1"):
        making()  # whose store is there


def test_ours_trains_as_long_as_the_commit_did(tmp_path, monkeypatch):
    """kills: a recipe of fewer steps or other batches taken for speed; the commit given an option
    it does not know; a brief run that trains at length, or that turns nothing, whose results lie
    elsewhere."""
    monkeypatch.setattr(baseline, "clone", lambda commit, folder: folder)
    monkeypatch.setattr(baseline, "compileall", SimpleNamespace(compile_dir=lambda *_, **__: True))
    (row,) = baseline.TABLE1.rows
    pairs = ("--scale.study.pair_batch", "64")
    for brief, steps, more in ((False, "1500", pairs), (True, "13", ())):
        sides = row.prepare(Room(tmp_path, brief))
        assert sides.ours.work.more == ("--scale.train.steps", steps, *more)
        assert sides.peer.work.more == ()


def test_the_shared_tables_are_made_by_one_command_on_either_side():
    """kills: a table that is misspelt or gone, found when the other side has been measured; ours
    made by the module that the commit calls `cli`, which holds no `main` here."""
    (row,) = baseline.ALL.rows
    ours, peer = row.prepare.args
    assert python.status((*ours, "--help")) == 0
    assert peer == (ours[0], ours[1].replace("experiments.cli.main", "experiments.cli"))


def test_other_tables_are_other_work(tmp_path, monkeypatch):
    """kills: a ratio of a whole table and of a part; other scores called the same."""
    answers = {"accuracy": 40.0, "rows": 3}

    def made(making):
        ours = making.tree == ROOT
        return Written(answers["rows"] if ours else 3, 2, answers["accuracy"] if ours else 40.0)

    monkeypatch.setattr(baseline, "clone", lambda commit, folder: folder)
    monkeypatch.setattr(baseline, "compileall", SimpleNamespace(compile_dir=lambda *_, **__: True))
    monkeypatch.setattr(Making, "__call__", made)
    (row,) = baseline.TABLE1.rows
    assert len(measure(row, Room(tmp_path), 1).pairs) == 1
    for other in ({"accuracy": 35.0}, {"rows": 2}):
        with monkeypatch.context() as patch:
            for name, value in other.items():
                patch.setitem(answers, name, value)
            with pytest.raises(OtherWorkError):
                measure(row, Room(tmp_path), 1)


def test_what_a_worker_s_row_runs_is_read_by_python():
    """kills: a row whose code is broken before it measures anything."""
    compile(startup.START, "worker", "exec")
