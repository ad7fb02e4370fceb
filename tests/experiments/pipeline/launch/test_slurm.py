"""A real Slurm of one node: a training that is preempted twice ends in the bytes of local workers.

Where Slurm cannot be had (`tests/helpers/slurm_one_node.sh` says why), this is skipped.
"""

import functools
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.experiments.pipeline.launch import training
from tests.helpers.files import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.longest]
SCRIPT = ROOT / "tests" / "helpers" / "slurm_one_node.sh"
TIMEOUT = 300


@pytest.fixture(scope="module")
def slurm():
    """The environment of a queue whose jobs of `low` are preempted by those of `high`."""
    with tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp") as folder:
        begun = subprocess.run([SCRIPT, "start", folder], capture_output=True, text=True)
        if begun.returncode == 3:
            pytest.skip(begun.stderr.strip().splitlines()[-1])
        assert begun.returncode == 0, begun.stderr
        try:
            yield {"SLURM_CONF": f"{folder}/slurm.conf"}
        finally:
            subprocess.run([SCRIPT, "stop", folder], check=True)


def preempt(environment):
    """A job that takes the whole node for a moment, and is waited for."""
    subprocess.run(
        ["sbatch", "--wait", "-p", "high", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 2"],
        env={"PATH": "/usr/bin:/bin", **environment},
        check=True,
        capture_output=True,
    )


def checkpoint_after(store, time):
    """When the last checkpoint was written, if that was later; else 0.0."""
    written = training.checkpointed(store)
    return written if written > time else 0.0


def test_a_training_preempted_twice_goes_on_to_the_same_bytes(slurm, tmp_path):
    """kills: a preempted job taken for failed or begun anew, more lost than one checkpoint's
    interval, or a rank of Slurm's that training takes for its own."""
    store, folder = tmp_path / "slurm", tmp_path / "logs"
    engine = f"Slurm('low', folder=Path({str(folder)!r}))"
    process = training.driver(store, engine, **slurm)
    before = 0.0
    for _ in range(2):
        newer = functools.partial(checkpoint_after, store, before)
        before = training.until(newer, TIMEOUT, process)
        preempt(slurm)
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    assert training.weights(store) == training.plain(tmp_path / "local")
    again = training.repeated(store)
    assert len(again) == 2
    assert max(again) <= training.INTERVAL
    assert not list(Path(folder).iterdir())  # nothing failed, so nothing is kept
