"""Stages made in this process, or in one that is killed."""

import multiprocessing
import os
import signal

import pytest

from experiments.pipeline.stage import Context


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


def places(folder):
    return ["--store", str(folder / "store"), "--results", str(folder / "results")]
