"""Which objective for which cluster, decided by no picture that a table scores."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from experiments.measures.losses import KEYS, errors, noise_like
from experiments.measures.tuning import velocity_errors
from experiments.pipeline.files import read_json
from experiments.pipeline.stage import Measurement, Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.clusters import Encoded
from experiments.stages.experts import TrainExpert
from experiments.stages.routers import Routing
from modules.guard import LAST, Guard
from modules.parting import ByCluster

LEVELS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
"""arctan(sigma / alpha) in units of pi / 2; an expert of noise is never asked beyond the last."""


class ErrorOf(Enum):
    """What an objective is chosen by: the error in x0, averaged over noise levels, or that of the
    velocity, which a sampler integrates, over uniform times of the linear path."""

    X0 = "x0"
    VELOCITY = "velocity"


@dataclass(frozen=True)
class ByObjective(Measurement):
    """By cluster, {"0": {"x0": [first, second], "velocity": [first, second]}, …}: errors of two
    experts of each cluster on its pictures of a split that neither was trained on.

    first, second: an expert of every cluster, in order.  Both are asked about the same noise.
    """

    first: tuple[TrainExpert, ...]
    second: tuple[TrainExpert, ...]
    encoded: Encoded
    draws: int
    seed: int

    @property
    def label(self) -> str:
        return "errors of briefly trained experts, by cluster"

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        """ValueError if a cluster has no picture in the split."""
        data = self.encoded.load(context.store)
        return {
            f"{k}": {judged.value: [float(x) for x in found] for judged, found in both}
            for k, both in enumerate(self._by_cluster(data, context))
        }

    def _by_cluster(
        self, data: dict[str, Tensor], context: Context
    ) -> Iterator[list[tuple[ErrorOf, list[Tensor]]]]:
        for k, pair in enumerate(zip(self.first, self.second, strict=True)):
            own = (data["cluster"] == k).nonzero().flatten()
            if not len(own):
                raise ValueError(f"no picture of cluster {k} to choose its objective by")
            some = {key: data[key][own].to(context.torch_device) for key in KEYS}
            yield [
                (ErrorOf.X0, [self._x0(stage, some, context.store) for stage in pair]),
                (ErrorOf.VELOCITY, [self._velocity(stage, some, context.store) for stage in pair]),
            ]

    @torch.inference_mode()
    def _x0(self, stage: TrainExpert, data: dict[str, Tensor], store: Store) -> Tensor:
        """The mean squared error in x0, over pictures, levels and draws."""
        module = stage.load(store).to(data["x0"].device)
        found = []
        for i, level in enumerate(LEVELS):
            t = module.schedule.time(torch.tensor(level * torch.pi / 2))
            for j in range(self.draws):
                eps = noise_like(data["x0"], self.seed, i, j)
                found.append(errors(module, data, t, eps)[1])
        return torch.stack(found).mean()

    @torch.inference_mode()
    def _velocity(self, stage: TrainExpert, data: dict[str, Tensor], store: Store) -> Tensor:
        """The mean squared error of the velocity, at times spread evenly over the pictures."""
        x0 = data["x0"]
        expert, found = stage.load(store).to(x0.device).expert(), []
        for j in range(self.draws):
            t = (torch.arange(len(x0), device=x0.device) + (j + 0.5) / self.draws) / len(x0)
            eps = noise_like(x0, self.seed, len(LEVELS), j)
            batch = {**data, "eps": eps, "t": t.to(x0)}
            found.append(velocity_errors(expert, batch, Guard(t_max=LAST)).mean())
        return torch.stack(found).mean()


@dataclass(frozen=True)
class Assigned(Stage):
    """choice.json: for each cluster 0 or 1, that of its two kinds of expert which erred less.

    A router over clusters that have an expert of each kind: the one that was chosen has all of the
    cluster's probability.
    """

    router: Routing
    errors: ByObjective
    judged: ErrorOf

    @property
    def label(self) -> str:
        return f"objectives chosen by the error of {self.judged.value}"

    def make(self, folder: Path, context: Context) -> None:
        found = self.errors.read(context.store)
        pairs = [found[f"{k}"][self.judged.value] for k in range(len(found))]
        choice = [int(second < first) for first, second in pairs]
        (folder / "choice.json").write_text(json.dumps({"kinds": choice}) + "\n")

    def choice(self, store: Store) -> list[int]:
        """The kind that is in use, by cluster."""
        kinds: list[int] = read_json(store.file(self, "choice.json"))["kinds"]
        return kinds

    def load(self, store: Store) -> ByCluster:
        return ByCluster(self.router.load(store), self.choice(store), 2)
