"""The stages that train: experts, each from its own cluster's shards, and routers.

An expert's artifact is self-describing: beside its weights lies a card that says what it predicts,
on which schedule, from how many pictures of which cluster.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from datamodules.latents import Latents
from datamodules.shards import read_index
from experiments.identity import Context, Stage, canonical
from experiments.stages import EXPERT, ROUTER, Shards, run_seed
from experiments.store import Store
from experiments.training import fit
from modules.checkpoint import load_weights
from modules.denoising import DenoisingExpert
from modules.dit import DiT
from modules.routing import Router
from modules.schedules import Schedule
from modules.training import DiffusionModule, Optim


@dataclass(frozen=True)
class TrainExpert(Stage):
    """weights.safetensors and card.json of one expert: from its clusters' shards, no other file.

    A monolith is the expert of all clusters.
    """

    resumes: ClassVar[bool] = True
    shards: Shards
    clusters: tuple[int, ...]
    module: type[DenoisingExpert]
    schedule: Schedule
    network: DiT
    optim: Optim
    text_dropout: float
    seed: int

    @property
    def name(self) -> str:
        whole = len(self.clusters) == self.shards.clusters.k
        return "monolith" if whole else f"expert {','.join(str(k) for k in self.clusters)}"

    @property
    def label(self) -> str:
        return f"{self.module.__name__} {self.name}, seed {self.seed}"

    @property
    def cost(self) -> float:
        return training_cost(self.optim)

    def build(self) -> DenoisingExpert:
        """The untrained module, its weights drawn from (seed, clusters)."""
        seed = run_seed(self.seed, EXPERT, *self.clusters)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.module(self.network, self.optim, self.schedule, seed, self.text_dropout)

    def make(self, folder: Path, context: Context) -> None:
        folders = self.shards.folders(context.store, self.clusters)
        train(self.build(), folders, folder, self.label, context)
        card = {
            "objective": canonical(self.module.objective),
            "schedule": canonical(self.schedule),
            "network": canonical(self.network),
            "clusters": list(self.clusters),
            "samples": sum(shard.samples for each in folders for shard in read_index(each)),
        }
        (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")

    def load(self, store: Store) -> DenoisingExpert:
        """The trained module, ready to be asked. CheckpointError if its weights do not fit."""
        module = self.build()
        load_trained(module.network, self, store)
        return module.eval()


@dataclass(frozen=True)
class TrainRouter(Stage):
    """weights.safetensors of a router, from the shards of the clusters it shall tell apart.

    It answers for all K, and a cluster it never saw gets next to nothing. reads_text is Paris 2.0's
    form; the paper's HDDM router reads none (Eq. 2).
    """

    resumes: ClassVar[bool] = True
    shards: Shards
    clusters: tuple[int, ...]
    reads_text: bool
    schedule: Schedule
    network: DiT
    optim: Optim
    text_dropout: float
    seed: int

    @property
    def label(self) -> str:
        return f"{'text-aware' if self.reads_text else 'text-free'} router, seed {self.seed}"

    @property
    def cost(self) -> float:
        return training_cost(self.optim)

    def build(self) -> Router:
        """The untrained module, its weights drawn from the seed."""
        pooled = self.shards.text.pooled if self.reads_text else None
        seed = run_seed(self.seed, ROUTER, *self.clusters)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Router(
                self.network,
                self.optim,
                experts=self.shards.clusters.k,
                pooled=pooled,
                schedule=self.schedule,
                seed=seed,
                text_dropout=self.text_dropout,
            )

    def make(self, folder: Path, context: Context) -> None:
        folders = self.shards.folders(context.store, self.clusters)
        train(self.build(), folders, folder, self.label, context)

    def load(self, store: Store) -> Router:
        """The trained module, ready to be asked. CheckpointError if its weights do not fit."""
        module = self.build()
        load_trained(module.network, self, store)
        return module.eval()


def train(
    module: DiffusionModule, shards: Sequence[Path], folder: Path, label: str, context: Context
) -> None:
    """Fit `module` to the cluster folders `shards`, and leave its weights in `folder`."""
    optim = module.optim
    data = Latents(shards, optim.batch, optim.steps, module.seed, accumulate=optim.accumulate)
    fit(module, data, folder, label, context)


def load_trained(network: nn.Module, stage: Stage, store: Store) -> None:
    """Load a stage's weights. CheckpointError if they do not fit, StoreError if they changed."""
    load_weights(network, store.path(stage) / "weights.safetensors")
    store.file(stage, "weights.safetensors")


def training_cost(optim: Optim) -> float:
    """Seconds on one core at `small`, about: an overhead a step, and a time a sample."""
    return optim.steps * optim.accumulate * (0.006 + 0.0002 * optim.batch)
