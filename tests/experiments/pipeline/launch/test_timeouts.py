"""A Slurm job whose time runs out, without Slurm; test_slurm.py has a real one."""

import os

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
