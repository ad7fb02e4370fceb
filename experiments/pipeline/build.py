"""What is made from what: frozen configs that make themselves, from a source to a score.

Encode -> Clusters -> Shards -> Train (experts, routers) -> Sample -> Score, and the Judge that
scores. A stage reads its inputs from the store by their keys and writes only its own folder. Here
stand how what is missing gets made, and what stages draw alike.
"""

import functools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.pipeline.launch import local
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context
from modules.schedules import Schedule
from modules.text import Text

EXPERT, ROUTER, SAMPLING, MEASURING = range(4)
"""Roles of a seed: what has another role draws other numbers."""
CONTINUED = 1 << 16
"""Roles from here on are those of experts trained further, stage by stage."""


Noised = tuple[Tensor, Tensor, Tensor, Text]


def noised(
    data: dict[str, Tensor], schedule: Schedule, seed: int, t: float | None = None
) -> Noised:
    """(x_t, t [N], eps, c) of encoded pictures, at one time or at times uniform on [0, 1]."""
    x0, g = data["x0"], torch.Generator().manual_seed(seed)
    times = torch.rand(len(x0), generator=g) if t is None else torch.full((len(x0),), t)
    eps = torch.randn(x0.shape, generator=g)
    return schedule.noise(x0, eps, times), times, eps, Text.of(data["tokens"], data["pooled"])


def run_seed(seed: int, role: int, *who: int) -> int:
    """An independent seed for each run that one seed of a table stands for."""
    return int(np.random.SeedSequence([seed, role, *who]).generate_state(1)[0])


def make(stage: Stage, context: Context) -> Path:
    """Make one stage in this process, on the GPUs that are its own; bars go to its own row."""
    if context.hardware.gpus and local.worker is not None:  # before CUDA is first asked anything
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(context.hardware.share(local.worker))
    return context.store.make(stage, replace(context, bar=local.slot))


class StagesFailed(Exception):  # noqa: N818 -- read as the sentence that it is
    """Some stages could not be made; everything that does not need them was.

    errors: the failed stages, each with its error.  waiting: how many others need one of them.
    """

    def __init__(self, errors: dict[Stage, Exception], waiting: int) -> None:
        self.errors, self.waiting = errors, waiting
        lines = [f"{stage.label}: {error}" for stage, error in errors.items()]
        super().__init__("; ".join(lines) + self.consequence)

    @property
    def consequence(self) -> str:
        """What is read after the failed stages: how many wait for them, if any do."""
        those = "it" if len(self.errors) == 1 else "them"
        if self.waiting == 1:
            return f"; 1 other stage waits for {those}"
        return f"; {self.waiting} other stages wait for {those}" if self.waiting else ""


def behind(targets: Sequence[Stage]) -> list[Stage]:
    """The targets and all that they are made from, each once, inputs first."""
    found: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in found:
            for item in stage.inputs():
                visit(item)
            found[stage.key] = stage

    for target in targets:
        visit(target)
    return list(found.values())


def ensure(targets: Sequence[Stage], context: Context, workers: int) -> None:
    """Make every target and all it is made from, unless the store has it, in worker processes.

    What a complete artifact was made from is made again too if it is gone: the table cites it.
    Raises StagesFailed once everything else is made; BrokenProcessPool at once if a worker is
    killed.
    """
    missing = [stage for stage in behind(targets) if not context.store.has(stage)]
    tasks = [
        local.Task(
            stage.key, stage, stage.label, stage.cost, frozenset(i.key for i in stage.inputs())
        )
        for stage in missing
    ]
    errors = local.map(functools.partial(make, context=context), tasks, workers)
    if errors:
        failed = {stage: errors[stage.key] for stage in missing if stage.key in errors}
        undone = [stage for stage in missing if not context.store.has(stage)]
        raise StagesFailed(failed, len(undone) - len(failed)) from next(iter(failed.values()))
