"""A small training that an engine runs in a process of its own, halted there, killed, compared."""

import functools
import os
import subprocess
import sys
import time
from pathlib import Path

from lightning.pytorch.callbacks import Callback

from experiments.pipeline import build
from experiments.pipeline.launch.local import Local
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.training import fit
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from tests.helpers.files import ROOT

STEPS = 500
INTERVAL = STEPS // 5
"""Steps between two checkpoints."""
HALTS = (270, 370)
"""The steps at which its first and its second process stand still."""
SCALE = turned(
    SCALES["smoke"],
    {"data.clusters": 2, "expert.size": Size(8, 2, 2), "train.batch": 8, "train.steps": STEPS},
)
EXPERTS = tuple(experts.expert(SCALE, FlowMatchingExpert, k, 0) for k in (0, 1))


class Halt(Callback):
    """Writes into `file` where each process of a training begins, and where it stands still: until
    it is killed, or there is a file `go` beside."""

    def __init__(self, file, halts):
        self.file, self.halts = file, halts

    def on_train_start(self, trainer, module):
        self._write("begun", trainer.global_step)
        self.at = dict(enumerate(self.halts)).get(len(told(self.file, "begun")) - 1)

    def on_train_batch_end(self, trainer, module, outputs, batch, number):
        if trainer.global_step == self.at:
            self._write("halted", self.at)
            while not self.file.with_name("go").exists():
                time.sleep(0.2)

    def _write(self, what, step):
        with open(self.file, "a") as file:
            file.write(f"{what} {step}\n")


def told(file, what):
    """The steps at which a training began, or halted."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith(what)]


class Halting:
    """An engine whose trainings stand still at these steps, one for each time they are begun."""

    declares = True

    def __init__(self, engine, halts):
        self.engine, self.halts = engine, halts

    @property
    def width(self):
        return self.engine.width

    def prepare(self, libraries):
        self.engine.prepare(libraries)

    def map(self, work, tasks):
        return self.engine.map(functools.partial(halting, work, self.halts), tasks)


def halting(work, halts, stages):
    """What a worker runs: the work, with Halt among the callbacks of a training."""
    plain_callbacks = fit._callbacks

    def callbacks(optim, folder, *rest):
        halt = Halt(folder.parents[1] / f"halts-{folder.name}", halts)
        return [*plain_callbacks(optim, folder, *rest), halt]

    fit._callbacks = callbacks
    try:
        work(stages)
    finally:
        fit._callbacks = plain_callbacks


def run(root, engine, stages=EXPERTS):
    """Make the stages where the engine does, each by itself."""
    context = Context(Store(root), device="cpu")
    build.ensure(stages, context, engine)


def driver(root, engine, count=1, halts=(), **environment):
    """`run` in a process: of so many of the experts, on an engine that is given as code."""
    code = (
        "from pathlib import Path\n"
        "from tests.experiments.pipeline.launch import training as e\n"
        "from experiments.pipeline.launch.ray import Ray\n"
        "from experiments.pipeline.launch.slurm import Slurm\n"
        f"e.run(Path({str(root)!r}), e.Halting({engine}, {halts}), e.EXPERTS[:{count}])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def plain(root, count=1):
    """The bytes of their weights, made by worker processes here."""
    run(root, Local(1), EXPERTS[:count])
    return weights(root, count)


def weights(root, count=1):
    store = Store(root)
    return [store.file(x, "weights.safetensors").read_bytes() for x in EXPERTS[:count]]


def until(condition, seconds, process=None):
    """Whatever true is found in time. The words of a process that ends before, as an error."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it has ended: {process.stderr.read()}")
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def halted(root, count=1):
    """How often trainings of these experts stood still so far."""
    return sum(len(told(_halts(root, k), "halted")) for k in range(count))


def lost(root, number=0):
    """For each time that an expert was begun again: the steps that were done once more."""
    file = _halts(root, number)
    begun = told(file, "begun")
    return [a - b for a, b in zip(told(file, "halted"), begun[1:], strict=False)]


def _halts(root, number):
    stage = EXPERTS[number]
    return Path(root) / f"halts-{stage.kind}-{stage.key}"
