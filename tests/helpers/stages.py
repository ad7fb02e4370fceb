"""Stages made in this process, or in one that is killed."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from experiments.pipeline.store import Context
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.blocks import Size

TWO = {"expert.size": Size(8, 1, 2), "data.clusters": 2, "train.batch": 8}
SMOKE = turned(SCALES["smoke"], TWO)
"""The smallest scale of two experts."""


def make(store, stage):
    """`stage` made in this process, after what it is made from and the store lacks."""
    for item in stage.inputs():
        if not store.has(item):
            make(store, item)
    return store.make(stage, Context(store, device="cpu"))


def made_here(stages, context, _):
    """build.ensure, in this process."""
    for stage in stages:
        make(context.store, stage)


def serial(work, tasks, workers):
    """local.map in this process: the same order of needs and the same failures, no workers."""
    left, undone, errors = list(tasks), {task.key for task in tasks}, {}
    while ready := [task for task in left if not task.needs & undone]:
        left.remove(ready[0])
        try:
            work(ready[0].item)
        except Exception as error:
            errors[ready[0].key] = error
        else:
            undone.remove(ready[0].key)
    return errors


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def killed(store, stage, make=make):
    """Make `stage` in a forked process that must end in SIGKILL, by a `die` planted beforehand."""
    child = multiprocessing.get_context("fork").Process(target=make, args=(store, stage))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    assert not store.has(stage)


def killed_at(store, stage, place, name, step=None, make=make):
    """Make `stage` in a process that dies at `place.name`: at once, or at optimiser step `step`."""
    real = getattr(place, name)

    def step_or_die(self, batch):
        return die() if int(batch["step"]) == step else real(self, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, name, die if step is None else step_or_die)
        killed(store, stage, make)


def places(folder):
    return ["--store", str(folder / "store"), "--results", str(folder / "results")]


def contribute(home, folder, cluster, objective, *more):
    """A contributor's command line; its store is the contributor's own."""
    where = ["--manifest", str(home / "m.json"), "--store", str(folder / "own")]
    which = ["--cluster", str(cluster), "--objective", objective, "--licence", "CC0-1.0"]
    return ["train", *where, *which, "--out", str(folder / f"expert_{cluster}"), *more]


def alive(pid):
    """Whether process `pid` still runs: a zombie that nobody has reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def until(condition, seconds):
    """Whether the condition holds within so many seconds."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()
