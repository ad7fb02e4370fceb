"""Edits in a copy of the whole tree, uncommitted: what they make anew, and what they do not."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.files import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A committed copy of the tree, and a run of its small table."""
    root = tmp_path_factory.mktemp("tree")
    for room in ("experiments", "modules", "datamodules", "metrics", "tests/helpers"):
        unread = shutil.ignore_patterns("__pycache__", "statements", "mathematics")
        shutil.copytree(ROOT / room, root / room, ignore=unread)
    (root / "tests/__init__.py").touch()
    (root / "tests/experiments/pipeline").mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("edited_tree.py"), root / "tests/experiments/pipeline")
    (root / ".gitignore").write_text("__pycache__\nstore\nresults\nedits.json\n")
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        subprocess.run(git, cwd=root, check=True)

    def run(*arguments):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
        command = [sys.executable, "-m", "tests.experiments.pipeline.edited_tree", *arguments]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        return done

    run("edits")
    return root, run


@pytest.mark.parametrize("name", ["Velocity", "Top", "Digits", "ClassifierJudge"])
def test_an_edit_of_a_class_changes_the_keys_of_what_names_it_and_no_other(tree, name):
    """kills: an objective, a selection, a source or a judge outside the key, or in the key of what
    does not name it."""
    found = json.loads((tree[0] / "edits.json").read_text())
    changed, named = found[name]
    assert changed == named
    assert changed
    assert len(changed) < found["all"] or name == "Digits"  # all pictures are of digits


def test_comments_docstrings_and_annotations_change_no_key(tree):
    """kills: code read off as text."""
    changed, named = json.loads((tree[0] / "edits.json").read_text())["none"]
    assert changed == []
    assert named


def test_an_edited_row_is_trained_anew_and_the_run_says_so(tree):
    """kills: the old number printed for the new objective, without a word; anything else made anew,
    an edit without a name, or the same objective under the new code."""
    root, run = tree
    before = {path: path.read_bytes() for path in (root / "store").glob("*/*/provenance.json")}
    numbers = (root / "results/smoke/table1.csv").read_text()
    path = root / "modules/objectives.py"
    was = "return schedule.dalpha(t), schedule.dsigma(t)"
    assert path.read_text().count(was) == 1
    path.write_text(path.read_text().replace(was, was.replace("(t), ", "(t), 2 * ")))
    done = run()
    said = [line for line in done.stderr.splitlines() if "made anew" in line]
    assert said == [
        "table1: the code of FlowMatchingExpert, Velocity changed: "
        "made anew are 1 trainexpert, 1 sample, 1 score"
    ]
    assert not [line for line in done.stderr.splitlines() if "kept, though" in line]
    after = {path: path.read_bytes() for path in (root / "store").glob("*/*/provenance.json")}
    assert before.items() <= after.items()
    made = sorted(path.parent.parent.name for path in after.keys() - before.keys())
    assert made == ["sample", "score", "trainexpert"]
    assert "+dirty." in (root / "results/smoke/table1.md").read_text()
    assert (root / "results/smoke/table1.csv").read_text() != numbers
    assert run().stderr.count("made anew") == 0
