"""What a sample set may be routed by: trained routers, calibrated or in ranges of t, the oracle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from experiments.pipeline.files import read_json
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.clusters import Encoded, Noised, noised
from experiments.stages.experts import TrainRouter
from experiments.stages.seeds import MEASURING, run_seed
from metrics.calibration import temperature
from modules.dit import DiTNetwork
from modules.ensemble import Posterior
from modules.parting import ByTime
from modules.routing import Oracle, RouterNetwork, Tempered
from modules.schedules import Linear

BATCH = 1024
"""Noised pictures that a router is evaluated on at once."""


class Routing(Protocol):
    """A stage whose artifact is a posterior: (x_t, t, c) -> p [B, K]."""

    def load(self, store: Store) -> nn.Module: ...


def networks(router: nn.Module) -> list[nn.Module]:
    """The networks that a posterior evaluates, whose evaluations are counted as its own."""
    return [part for part in router.modules() if isinstance(part, RouterNetwork | DiTNetwork)]


def at_rows(router: nn.Module, rows: range) -> Posterior:
    """The posterior of given rows of a sample set; the oracle alone tells them apart."""
    return router.at(rows) if isinstance(router, Oracle) else router


@torch.inference_mode()
def answers(router: nn.Module, states: Noised, device: torch.device) -> Tensor:
    """p [N, K] of N noised pictures, on the CPU, evaluated on `device` a batch at a time."""
    x, t, _, c = states
    batches = []
    for start in range(0, len(x), BATCH):
        rows = slice(start, start + BATCH)
        batches.append(router(x[rows].to(device), t[rows].to(device), c[rows].to(device)).cpu())
    return torch.cat(batches)


@dataclass(frozen=True)
class Calibrated(Stage):
    """temperature.json: a router's best temperature on `pictures` that it was not trained on."""

    router: TrainRouter
    pictures: Encoded
    draws: int = 8

    @property
    def label(self) -> str:
        return f"temperature of the {self.router.label}"

    def make(self, folder: Path, context: Context) -> None:
        device = context.torch_device
        data = self.pictures.load(context.store, device)
        router = self.router.load(context.store).to(device)
        seeds = [run_seed(self.router.seed, MEASURING, i) for i in range(self.draws)]
        p = [answers(router, noised(data, Linear(), s), device) for s in seeds]
        best = temperature(torch.cat(p).numpy(), data["cluster"].repeat(self.draws).numpy())
        (folder / "temperature.json").write_text(json.dumps({"temperature": best}) + "\n")

    def temperature(self, store: Store) -> float:
        return float(read_json(store.file(self, "temperature.json"))["temperature"])

    def load(self, store: Store) -> Tempered:
        return Tempered(self.router.load(store), self.temperature(store))


@dataclass(frozen=True)
class Known(Stage):
    """cluster.npy [n]: the oracle sends row i to the cluster of the picture its prompt is from."""

    heldout: Encoded
    n: int

    def make(self, folder: Path, context: Context) -> None:
        cluster = np.load(context.store.file(self.heldout, "cluster.npy"))
        np.save(folder / "cluster.npy", cluster[np.arange(self.n) % len(cluster)])

    def load(self, store: Store) -> Oracle:
        cluster = np.load(store.file(self, "cluster.npy"))
        return Oracle(torch.from_numpy(cluster), self.heldout.clusters.k)


@dataclass(frozen=True)
class InRanges(Stage):
    """No file of its own: a router whose clusters have an expert for each range of t.

    boundaries: times between the ranges, rising.
    """

    router: Routing
    boundaries: tuple[float, ...]

    def make(self, folder: Path, context: Context) -> None:
        """Nothing: it is all in the config."""

    def load(self, store: Store) -> ByTime:
        return ByTime(self.router.load(store), self.boundaries)
