"""A real Slurm of one node: preempted twice, or out of time, a training ends in the bytes of local
workers.

Where Slurm cannot be had (`tests/helpers/slurm_one_node.sh` says why), this is skipped.
"""

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.experiments.pipeline.launch import training
from tests.helpers.faults.corruption import Tally
from tests.helpers.files import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.longest]
SCRIPT = ROOT / "tests" / "helpers" / "slurm_one_node.sh"
TIMEOUT = 900
QUEUED = ("squeue", "--noheader", "-p", "low", "--states=PD", "--format=%A")


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


def asked(environment, *command):
    with_slurm = {"PATH": "/usr/bin:/bin", **environment}
    done = subprocess.run(command, env=with_slurm, check=True, capture_output=True, text=True)
    return done.stdout.split()


def preempt(environment):
    """A job that takes the whole node for a moment, and is waited for."""
    whole_node = ["--exclusive", "-o", "/dev/null", "--wrap", "sleep 1"]
    asked(environment, "sbatch", "--wait", "-p", "high", *whole_node)
    hasten(environment)


def hasten(environment):
    """Let what is queued again begin at once, where Slurm would let two minutes pass."""
    for job in asked(environment, *QUEUED):
        asked(environment, "scontrol", "update", f"JobId={job}", "StartTime=now", "TimeLimit=30")


def run_out_of_time(environment):
    """Leave the job that runs a minute or two, so that Slurm tells it that its time ends."""
    job, ran = asked(environment, "squeue", "--noheader", "--states=R", "--format=%A %M")
    limit = int(ran.partition(":")[0]) + 2
    asked(environment, "scontrol", "update", f"JobId={job}", f"TimeLimit={limit}")


def test_a_training_preempted_twice_goes_on_to_the_same_bytes(slurm, tmp_path):
    """kills: a preempted job taken for failed or begun anew, more lost than one checkpoint's
    interval, or a rank of Slurm's that training takes for its own."""
    store, folder = tmp_path / "slurm", tmp_path / "logs"
    engine = f"Slurm('low', folder=Path({str(folder)!r}))"
    process = training.driver(store, engine, halts=training.HALTS, **slurm)
    try:
        for times in (1, 2):
            training.until(lambda n=times: training.halted(store) == n, TIMEOUT, process)
            preempt(slurm)
        _, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 0, err
    tally = Tally()
    local = training.plain(tmp_path / "local")
    for _ in training.HALTS:
        tally.once(training.weights(store) == local)
    assert tally.told("preemptions by Slurm") == (2, 2, 0, 0)
    assert training.lost(store) == [step % training.INTERVAL for step in training.HALTS]
    assert not list(Path(folder).iterdir())  # nothing failed, so nothing is kept


STILL = """
import os, pathlib, time
began = pathlib.Path({file!r})
if "SLURM_JOB_ID" in os.environ and not began.exists():
    began.touch()
    time.sleep(600)
"""
"""What Python runs before anything else: the first process of the first job stands still there."""


def test_a_job_whose_time_ends_while_it_imports_is_queued_again(slurm, tmp_path):
    """kills: a job lost to the signal that nobody heard yet, or queued again more often than is
    allowed."""
    began, store = tmp_path / "began", tmp_path / "slurm"
    (tmp_path / "sitecustomize.py").write_text(STILL.format(file=str(began)))
    for timeouts in (1, 0):
        engine = f"Slurm('low', timeouts={timeouts}, folder=Path({str(tmp_path / 'logs')!r}))"
        process = training.driver(store, engine, PYTHONPATH=str(tmp_path), **slurm)
        try:
            training.until(began.exists, TIMEOUT, process)
            (job,) = asked(slurm, "squeue", "--noheader", "--states=R", "--format=%A")
            asked(slurm, "scancel", "--signal=USR2", job)
            if timeouts:
                training.until(lambda: asked(slurm, *QUEUED), TIMEOUT, process)
                hasten(slurm)
            _, err = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
        assert (process.returncode == 0) is bool(timeouts), err
        if timeouts:
            assert training.weights(store) == training.plain(tmp_path / "local")
        began.unlink()
        store = tmp_path / "other"
    assert "without a result" in err


def test_a_job_out_of_time_is_queued_again_and_keeps_what_it_had_made(slurm, tmp_path):
    """kills: a job that ends with its time, one that makes again what it had made, or a training
    begun anew."""
    store = tmp_path / "slurm"
    engine = f"Slurm('low', minutes=30, batch=1e9, folder=Path({str(tmp_path / 'logs')!r}))"
    process = training.driver(store, engine, 2, training.HALTS[:1], **slurm)
    try:
        for times in (1, 2):
            training.until(lambda n=times: training.halted(store, 2) == n, TIMEOUT, process)
            run_out_of_time(slurm)
            training.until(lambda: asked(slurm, *QUEUED), TIMEOUT, process)
            hasten(slurm)
        _, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert training.weights(store, 2) == training.plain(tmp_path / "local", 2)
    for number in (0, 1):  # each halted once, and each was begun twice, in three jobs of both
        assert training.lost(store, number) == [training.HALTS[0] % training.INTERVAL]
