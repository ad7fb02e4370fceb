"""One thread a test process: the suite is small matrices, and parallel runs share their cores."""

import multiprocessing
import os
import resource
import signal
from contextlib import contextmanager

import pytest
import torch

from datamodules.shards import ClusterWriter
from experiments.pipeline.stage import Context
from experiments.pipeline.store import Store

torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Files with a slow test go first: of two processes none waits for one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return Store(tmp_path / "store")


def make(store, stage):
    """`stage` made in this process, after what it is made from and the store lacks."""
    for item in stage.inputs():
        if not store.has(item):
            make(store, item)
    return store.make(stage, Context(store, device="cpu"))


def serial(work, tasks, workers):
    """launch.map in this process: the same order of needs, no workers to start."""
    left = list(tasks)
    while left:
        waiting = {task.key for task in left}
        task = next(task for task in left if not task.needs & waiting)
        work(task.item)
        left.remove(task)


def write_cluster(folder, cluster, samples, per_shard):
    """One cluster's samples as shards."""
    with ClusterWriter(folder, cluster, per_shard) as writer:
        for sample in samples:
            writer.write(sample)


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def killed(store, stage):
    """Make `stage` in a forked process that must end in SIGKILL, by a `die` planted beforehand."""
    child = multiprocessing.get_context("fork").Process(target=make, args=(store, stage))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert not store.has(stage)


def killed_at(store, stage, place, name, step=None):
    """Make `stage` in a process that dies at `place.name`: at once, or at optimiser step `step`."""
    real = getattr(place, name)

    def step_or_die(self, batch, index):
        return die() if int(batch["step"]) == step else real(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, die if step is None else step_or_die)
        killed(store, stage)


@contextmanager
def full_disk(limit):
    """No file may grow past `limit` bytes: writes fail as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
