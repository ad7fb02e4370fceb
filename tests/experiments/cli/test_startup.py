"""What reads options, plans a run or writes a table that is there imports no heavy package."""

import os
import subprocess
import sys

import pytest

from tests.helpers.files import ROOT
from tests.helpers.stages import places

HEAVY = {
    *("lightning", "torchmetrics", "torchvision", "transformers", "diffusers", "open_clip"),
    *("sklearn", "scipy.stats", "pytorch_fid", "cv2", "av", "webdataset"),
}
DRAWING = {"matplotlib", "pandas"}
SCRIPT = """
import runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
print("modules:", *sys.modules)
"""


def imported(*arguments):
    """The names of all modules that a process has imported once it has run."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("modules: ")[-1].split())


@pytest.mark.parametrize(
    ("arguments", "barred"),
    [
        (("experiments.hddm.table1", "--help"), HEAVY | DRAWING),
        (("experiments.hddm", "--plan", "true", "--scale", "smoke"), HEAVY | DRAWING),
        (("experiments.hddm.table2", "--scale", "smoke"), HEAVY),
    ],
)
def test_what_trains_nothing_imports_nothing_heavy(tmp_path, arguments, barred):
    """kills: a heavy package at the top of a file that configs are made of, or that a table reads,
    which turns two seconds into eight."""
    there = imported(*arguments, *places(tmp_path))
    assert "torch" in there
    assert not there & barred
