"""Routing along trajectories: entropy, switches, and whom the weight falls to, by time."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context
from experiments.stages.samples import Loaded, Sample
from metrics.information import entropy, in_use
from modules.recorded import Recorded

WHOLE = "all"
"""The time of what is averaged over all steps."""
Steps = NDArray[np.float32]


def part(cluster: int | None, t: float | str) -> str:
    """The part of a measurement that is of one cluster, or of all, at one time, or at all."""
    return f"{'all' if cluster is None else cluster} at {t}"


def switched(p: Steps) -> NDArray[np.bool_]:
    """Whether the most probable expert is another than a step before [S - 1, N], of p [S, N, K]."""
    first = p.argmax(-1)
    return first[1:] != first[:-1]


@dataclass(frozen=True)
class Trajectories(Measurement):
    """By cluster and time, "3 at 0.5", and of all clusters, "all at 0.5", along a sample set.

    entropy: of p, in bits.  switched: share of trajectories whose most probable expert is another
    than a step before.  switches: of a trajectory, over all of it.  own: p of the cluster that the
    prompt's picture is in.  in_use: as how many experts of equal weight they are.  usage: share of
    the weight.  prompts: share of the prompts.  sample: drawn by a solver that asks once a step.
    """

    sample: Sample
    times: tuple[float, ...]

    @property
    def label(self) -> str:
        return f"routes of {self.sample.label}"

    @property
    def cost(self) -> float:
        return self.sample.cost

    def inputs(self) -> tuple[Any, ...]:
        """What the samples are made of, and where their prompts' pictures lie: not the samples."""
        return (*self.sample.inputs(), *self.sample.shards.placed())

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        store, steps = context.store, self.sample.setting.steps
        loaded, batch = self.sample.load(store, context.torch_device), self.sample.batch
        starts = range(0, self.sample.n, batch)
        walks = [
            self._walk(loaded, range(start, min(start + batch, self.sample.n))) for start in starts
        ]
        p, w = (np.concatenate(each, axis=1) for each in zip(*walks, strict=True))
        assert len(p) == steps, "a solver that asks once a step"
        places = self.sample.shards.heldout_clusters(store)
        own = places[np.arange(self.sample.n) % len(places)]
        at = {f"{t:g}": min(round((1 - t) * steps), steps - 1) for t in self.times}
        numbers = _over(p, w, own)
        for t, step in at.items():
            numbers |= _at(t, p, w, own, step)
        return numbers

    def _walk(self, loaded: Loaded, rows: range) -> tuple[Steps, Steps]:
        """p and w [S, len(rows), K] at every step of a batch."""
        ensemble, setting = self.sample.ensemble(loaded, rows), self.sample.setting
        kept = Recorded(ensemble.selection, len(rows))
        c = loaded.condition(rows)
        noise = self.sample.noise(rows).to(c.pooled.device)
        with torch.inference_mode():
            setting.solver.draw(
                replace(ensemble, selection=kept), c, setting.guidance, noise, setting.steps,
                fresh=lambda step: self.sample.noise(rows, 1 + step).to(noise),
            )  # fmt: skip
        _, p, w = zip(*kept.answers, strict=True)
        return torch.stack(p).numpy(), torch.stack(w).numpy()


def _at(t: str, p: Steps, w: Steps, own: NDArray[np.int64], step: int) -> dict[str, Any]:
    """The numbers of one step, of p and w [S, N, K] and each prompt's own cluster [N]."""
    numbers = {
        "entropy": float(entropy(p[step]).mean()),
        "own": float(p[step, np.arange(len(own)), own].mean()),
        "in_use": in_use(w[step]),
    }
    if step:
        numbers["switched"] = float(switched(p[step - 1 : step + 1]).mean())
    usage = w[step].mean(0)
    each = {part(k, t): {"usage": float(usage[k])} for k in range(len(usage))}
    return {part(None, t): numbers, **each}


def _over(p: Steps, w: Steps, own: NDArray[np.int64]) -> dict[str, Any]:
    """The numbers of whole trajectories."""
    rows, usage = np.arange(len(own)), w.mean((0, 1))
    prompts = np.bincount(own, minlength=len(usage)) / len(own)
    numbers = {
        "entropy": float(entropy(p).mean()),
        "switches": float(switched(p).sum(0).mean()),
        "own": float(p[:, rows, own].mean()),
        "in_use": in_use(w.reshape(-1, w.shape[-1])),
    }
    each = {
        part(k, WHOLE): {"usage": float(usage[k]), "prompts": float(prompts[k])}
        for k in range(len(usage))
    }
    return {part(None, WHOLE): numbers, **each}
