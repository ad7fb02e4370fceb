"""A small training that an engine runs in a process of its own, watched, disturbed, compared."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd

from experiments.pipeline import build
from experiments.pipeline.launch.local import Local
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from tests.helpers.files import ROOT

STEPS = 500
INTERVAL = STEPS // 5
"""Steps between two checkpoints."""
SCALE = turned(
    SCALES["smoke"],
    {"data.clusters": 2, "expert.size": Size(8, 2, 2), "train.batch": 8, "train.steps": STEPS},
)
EXPERTS = tuple(experts.expert(SCALE, FlowMatchingExpert, k, 0) for k in (0, 1))


def run(root, engine, stages=EXPERTS):
    """Make the stages where the engine does, each by itself."""
    context = Context(Store(root), device="cpu")
    build.ensure(stages, context, engine)


def driver(root, engine, count=1, **environment):
    """`run` in a process: of so many of the experts, on an engine that is given as code."""
    code = (
        "from pathlib import Path\n"
        "from tests.experiments.pipeline.launch import training as e\n"
        "from experiments.pipeline.launch.ray import Ray\n"
        "from experiments.pipeline.launch.slurm import Slurm\n"
        f"e.run(Path({str(root)!r}), {engine}, e.EXPERTS[:{count}])"
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


def checkpointed(root):
    """When the first expert's last checkpoint was written, 0.0 if none was."""
    times = [x.stat().st_mtime for x in (Path(root) / "making").glob("trainexpert-*/last.ckpt")]
    return max(times, default=0.0)


def repeated(root):
    """For each time that the first expert was begun again: the steps that were done once more."""
    folder = Store(root).path(EXPERTS[0])
    logs = sorted(folder.glob("log-*/metrics.csv"), key=lambda path: int(path.parent.name[4:]))
    steps = [pd.read_csv(path)["step"] for path in logs if path.stat().st_size]
    return [int(a.max() - b.min()) for a, b in itertools.pairwise(steps)]
