"""What a sample set may be routed by: trained routers, calibrated ones, and the oracle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from experiments.data import Encoded
from experiments.files import read_json
from experiments.identity import Context, Stage
from experiments.stages import MEASURING, noised, run_seed
from experiments.store import Store
from experiments.trained import TrainRouter
from metrics.calibration import temperature
from modules.dit import DiTNetwork
from modules.ensemble import Posterior
from modules.routing import Oracle, RouterNetwork, Tempered
from modules.schedules import Linear


class Routing(Protocol):
    """A stage whose artifact is a posterior: (x_t, t, c) -> p [B, K]."""

    def load(self, store: Store) -> nn.Module: ...


def networks(router: nn.Module) -> list[nn.Module]:
    """The networks that a posterior asks, its evaluations being theirs."""
    return [part for part in router.modules() if isinstance(part, RouterNetwork | DiTNetwork)]


def at_rows(router: nn.Module, rows: range) -> Posterior:
    """The posterior of given rows of a sample set; the oracle alone tells them apart."""
    return router.at(rows) if isinstance(router, Oracle) else router


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
        data = self.pictures.load(context.store)
        router = self.router.load(context.store)
        seeds = [run_seed(self.router.seed, MEASURING, i) for i in range(self.draws)]
        with torch.inference_mode():
            p = [router(x, t, c) for x, t, _, c in (noised(data, Linear(), s) for s in seeds)]
        found = temperature(torch.cat(p).numpy(), data["cluster"].repeat(self.draws).numpy())
        (folder / "temperature.json").write_text(json.dumps({"temperature": found}) + "\n")

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
        cluster = self.heldout.load(context.store)["cluster"].numpy()
        np.save(folder / "cluster.npy", cluster[np.arange(self.n) % len(cluster)])

    def load(self, store: Store) -> Oracle:
        cluster = np.load(store.file(self, "cluster.npy"))
        return Oracle(torch.from_numpy(cluster), self.heldout.clusters.k)
