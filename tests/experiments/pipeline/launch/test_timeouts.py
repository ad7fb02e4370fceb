"""A Slurm job whose time runs out, without Slurm; test_slurm.py has a real one."""

import os
import subprocess

import pytest

from experiments.pipeline.launch.jobs import queued_again_unheard
from experiments.pipeline.launch.slurm import _Batch
from experiments.training.isolation import alone


def test_a_job_knows_its_number_while_it_trains(monkeypatch):
    """kills: a job that is not queued again, since a training has taken out the variables by which
    Slurm is asked for that."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CONF", "/etc/one.conf")
    seen = []

    def train(item):
        with alone():
            assert "SLURM_JOB_ID" not in os.environ
            again = batch.checkpoint().function
            seen.append((item, os.environ["SLURM_JOB_ID"], os.environ["SLURM_CONF"]))
            assert again == _Batch(train, (1, 2))

    batch = _Batch(train, (1, 2))
    assert batch() == [None, None]
    assert seen == [(1, "7", "/etc/one.conf"), (2, "7", "/etc/one.conf")]


@pytest.mark.parametrize(
    ("status", "restarts", "told"),
    [(140, "", "requeue 7; sleep 60; 140"), (140, "1", "140"), (1, "", "1"), (0, "", "0")],
)
def test_a_script_that_had_itself_queued_again_ends_by_slurm_alone(status, restarts, told):
    """kills: an end that is taken for that of the next try; a job that failed queued again, or one
    that was often enough."""
    plays = "scontrol() { echo $1 $2; }; sleep() { echo sleep $1; }; finish() { return $1; }"
    end = "; ".join(queued_again_unheard(timeouts=1)).replace("exit", "echo")
    ran = subprocess.run(
        ["bash", "-c", f"{plays}; finish {status}; {end}"],
        env={"SLURM_JOB_ID": "7"} | ({"SLURM_RESTART_COUNT": restarts} if restarts else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "; ".join(ran.stdout.splitlines()) == told
