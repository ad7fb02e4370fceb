"""Measurements of routing: how well a router tells clusters apart, and what a lost expert costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context, Store
from experiments.scores.judge import Wrong
from experiments.scores.score import Score
from experiments.stages.clusters import Encoded, noised
from experiments.stages.routers import Calibrated, Routing, answers
from experiments.stages.seeds import MEASURING, run_seed
from metrics.calibration import calibration_error, log_loss
from metrics.diversity import agreement
from modules.schedules import Linear, Schedule

TIMES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MEAN = "mean"
"""The part that averages a measurement over its times."""


def averaged(parts: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """The mean over parts of each number; none where a part lacks it."""
    names = next(iter(parts.values()))
    values = {name: [part[name] for part in parts.values()] for name in names}
    return {
        name: None if None in numbers else float(np.mean(numbers))  # type: ignore[arg-type]
        for name, numbers in values.items()
    }


@dataclass(frozen=True)
class Routed(Measurement):
    """A router on noised pictures that it was not trained on, by time, and the mean over times.

    removed: clusters whose pictures are left out, there being no expert to send them to.
    over_majority: accuracy less that of always naming the largest cluster.
    """

    version: ClassVar[int] = 2

    router: Routing
    pictures: Encoded
    seed: int
    times: tuple[float, ...] = TIMES
    draws: int = 4
    removed: tuple[int, ...] = ()
    path: Schedule = Linear()

    @property
    def label(self) -> str:
        return f"accuracy of a router, seed {self.seed}"

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        device = context.torch_device
        data = self.pictures.load(context.store, device)
        kept = ~torch.isin(data["cluster"], torch.tensor(self.removed, dtype=torch.int64))
        data = {name: rows[kept] for name, rows in data.items()}
        labels = data["cluster"].repeat(self.draws).numpy()
        router, parts = self.router.load(context.store).to(device), {}
        for i, t in enumerate(self.times):
            seeds = [run_seed(self.seed, MEASURING, i, draw) for draw in range(self.draws)]
            states = (noised(data, self.path, seed, t) for seed in seeds)
            p = torch.cat([answers(router, each, device) for each in states]).numpy()
            parts[str(t)] = {
                "router_accuracy": (accuracy := agreement(p.argmax(axis=1), labels)),
                "over_majority": accuracy - float(np.bincount(labels).max()) / len(labels),
                "calibration_error": calibration_error(p, labels),
                "log_loss": log_loss(p, labels),
            }
        return {**parts, MEAN: averaged(parts)}

    def remarks(self, store: Store) -> tuple[str, ...]:
        if not isinstance(self.router, Calibrated):
            return ()
        temperature = self.router.temperature(store)
        return (f"Temperature of the {self.router.router.label}: {temperature:.2f}.",)


@dataclass(frozen=True)
class Served(Measurement):
    """A score, its router's accuracy, and whom it serves: prompt accuracy by the prompts' cluster.

    A prompt belongs to the cluster of the held-out picture that it is the caption of.
    """

    score: Score
    routed: Routed
    cluster: int

    @property
    def label(self) -> str:
        return f"who is served by {self.score.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        store, pictures = context.store, self.score.pictures
        _, named = pictures.prompts(store)
        cluster = np.load(store.file(self.routed.pictures, "cluster.npy"))
        inside = cluster[np.arange(len(named)) % len(cluster)] == self.cluster
        judge, wrong = self.score.judge, None
        if judge.classifies:
            wrong = judge.wrong(store, pictures.images(store, device=context.torch_device), named)
        return {
            **self.score.read(store),
            **self.routed.read(store)[MEAN],
            "accuracy_inside": _obeyed(wrong, inside),
            "accuracy_outside": _obeyed(wrong, ~inside),
        }


def _obeyed(wrong: Wrong, where: NDArray[np.bool_]) -> float | None:
    """The share of those pictures that show what was named, if there are any and a judge tells."""
    return None if wrong is None or not where.any() else float((~wrong[where]).mean())
