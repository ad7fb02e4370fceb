"""What is made from what: frozen configs that make themselves, from a source to a score.

Features -> Clusters -> Shards -> Train (experts, routers) -> Sample -> Score, and the Judge that
scores. A stage reads its inputs from the store by their keys and writes only its own folder.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from datamodules.clusters import partition
from datamodules.encoders import PixelFeatures, PixelLatents, TinyClipText
from datamodules.latents import Latents
from datamodules.shards import write_cluster
from datamodules.sources import Source, Split
from experiments import launch
from experiments.store import Context, Stage, Store
from experiments.training import fit
from modules.checkpoint import load_weights
from modules.denoising import DenoisingExpert
from modules.dit import DiT
from modules.routing import Router
from modules.schedules import Schedule
from modules.training import Optim

EXPERT, ROUTER, SAMPLING = range(3)
"""Roles of a seed: what has another role draws other numbers."""


@dataclass(frozen=True)
class Features(Stage):
    """features.npy [N, F]: the training split's semantic features."""

    source: Source
    encoder: PixelFeatures

    def make(self, folder: Path, context: Context) -> None:
        np.save(folder / "features.npy", self.encoder.encode(self.source.read(Split.TRAIN).images))


@dataclass(frozen=True)
class Clusters(Stage):
    """assignment.npy [N], centroids.npy [K, F] and balance.json.  (HDDM, §6.1)"""

    features: Features
    fine: int
    k: int
    seed: int = 0

    def make(self, folder: Path, context: Context) -> None:
        features = np.load(context.store.file(self.features, "features.npy"))
        found = partition(features, self.fine, self.k, self.seed)
        np.save(folder / "assignment.npy", found.assignment)
        np.save(folder / "centroids.npy", found.centroids)
        (folder / "balance.json").write_text(json.dumps({"sizes": found.sizes}) + "\n")


@dataclass(frozen=True)
class Shards(Stage):
    """cluster-00/, cluster-01/, …: latents and encoded captions as webdataset shards."""

    clusters: Clusters
    latents: PixelLatents
    text: TinyClipText
    per_shard: int

    @property
    def source(self) -> Source:
        return self.clusters.features.source

    def make(self, folder: Path, context: Context) -> None:
        records = self.source.read(Split.TRAIN)
        latents = self.latents.encode(records.images)
        tokens, pooled = self.text.encode(records.captions)
        assignment = np.load(context.store.file(self.clusters, "assignment.npy"))
        for k in range(self.clusters.k):
            samples = [
                {
                    "__key__": records.keys[i],
                    "latent.npy": latents[i],
                    "tokens.npy": tokens[i],
                    "pooled.npy": pooled[i],
                    "caption.txt": records.captions[i],
                }
                for i in np.flatnonzero(assignment == k)
            ]
            write_cluster(folder / f"cluster-{k:02d}", k, samples, self.per_shard)

    def folders(self, store: Store, clusters: Sequence[int]) -> list[Path]:
        return [store.path(self) / f"cluster-{k:02d}" for k in clusters]


@dataclass(frozen=True)
class TrainExpert(Stage):
    """weights.safetensors of one expert: from its own clusters' shards, and no other file.

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
        module = self.build()
        fit(module, latents(folders, self.optim, module.seed), folder, self.label, context)

    def load(self, store: Store) -> DenoisingExpert:
        """The trained module, ready to be asked. CheckpointError if its weights do not fit."""
        module = self.build()
        load_trained(module.network, self, store)
        return module.eval()


@dataclass(frozen=True)
class TrainRouter(Stage):
    """weights.safetensors of a router over all clusters; reads_text is Paris 2.0's form."""

    resumes: ClassVar[bool] = True
    shards: Shards
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
        seed = run_seed(self.seed, ROUTER)
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
        folders = self.shards.folders(context.store, range(self.shards.clusters.k))
        module = self.build()
        fit(module, latents(folders, self.optim, module.seed), folder, self.label, context)

    def load(self, store: Store) -> Router:
        """The trained module, ready to be asked. CheckpointError if its weights do not fit."""
        module = self.build()
        load_trained(module.network, self, store)
        return module.eval()


def latents(folders: Sequence[Path], optim: Optim, seed: int) -> Latents:
    return Latents(folders, optim.batch, optim.steps, seed, accumulate=optim.accumulate)


def load_trained(network: nn.Module, stage: Stage, store: Store) -> None:
    """Load a stage's weights. CheckpointError if they do not fit, StoreError if they changed."""
    load_weights(network, store.path(stage) / "weights.safetensors")
    store.file(stage, "weights.safetensors")


def training_cost(optim: Optim) -> float:
    """Seconds on one core at `small`, about: an overhead a step, and a time a sample."""
    return optim.steps * optim.accumulate * (0.006 + 0.0002 * optim.batch)


def run_seed(seed: int, role: int, *who: int) -> int:
    """An independent seed for each run that one seed of a table stands for."""
    return int(np.random.SeedSequence([seed, role, *who]).generate_state(1)[0])


def make(stage: Stage, context: Context) -> Path:
    """Make one stage in this process; its bars go to the process's own row."""
    return context.store.make(stage, replace(context, bar=launch.slot))


def ensure(targets: Sequence[Stage], context: Context, workers: int) -> None:
    """Make every target and all it is made from, unless the store has it, in worker processes.

    What a complete artifact was made from is made again too if it is gone: the table cites it.
    """
    missing: dict[str, Stage] = {}

    seen: set[str] = set()

    def visit(stage: Stage) -> None:
        if stage.key not in seen:
            seen.add(stage.key)
            for item in stage.inputs():
                visit(item)
            if not context.store.has(stage):
                missing[stage.key] = stage

    for target in targets:
        visit(target)
    tasks = [
        launch.Task(key, stage, stage.label, stage.cost, frozenset(i.key for i in stage.inputs()))
        for key, stage in missing.items()
    ]
    launch.map(functools.partial(make, context=context), tasks, workers)
