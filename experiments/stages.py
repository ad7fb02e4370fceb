"""What is made from what: frozen configs that make themselves, from a source to a score.

Features -> Clusters -> Shards -> Train (experts, routers) -> Sample -> Score, and the Judge that
scores. A stage reads its inputs from the store by their keys and writes only its own folder. Here
stand the stages of the data, and how what is missing gets made.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.clusters import nearest, partition
from datamodules.encoders import PixelFeatures, PixelLatents, TinyClipText
from datamodules.shards import write_cluster
from datamodules.sources import Source, Split
from experiments import launch
from experiments.identity import Context, Stage
from experiments.store import Store
from modules.schedules import Schedule
from modules.text import Text

EXPERT, ROUTER, SAMPLING, MEASURING = range(4)
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
class Encoded(Stage):
    """encoded.npz: a split's latents, encoded captions, labels and nearest clusters.

    What is measured rather than trained on: the clusters of pictures that made no centroid.
    """

    shards: Shards
    split: Split

    def make(self, folder: Path, context: Context) -> None:
        shards, clusters = self.shards, self.shards.clusters
        records = shards.source.read(self.split)
        tokens, pooled = shards.text.encode(records.captions)
        centroids = np.load(context.store.file(clusters, "centroids.npy"))
        features = clusters.features.encoder.encode(records.images)
        np.savez(
            folder / "encoded.npz",
            x0=shards.latents.encode(records.images),
            tokens=tokens,
            pooled=pooled,
            labels=records.labels,
            cluster=nearest(features, centroids),
        )

    def load(self, store: Store) -> dict[str, Tensor]:
        """x0 [N, C, H, W], tokens, pooled, labels [N] and cluster [N]."""
        with np.load(store.file(self, "encoded.npz")) as arrays:
            return {name: torch.from_numpy(array) for name, array in arrays.items()}


def noised(
    data: dict[str, Tensor], schedule: Schedule, seed: int, t: float | None = None
) -> tuple[Tensor, Tensor, Tensor, Text]:
    """(x_t, t [N], eps, c) of encoded pictures, at one time or at times uniform on [0, 1]."""
    x0, g = data["x0"], torch.Generator().manual_seed(seed)
    times = torch.rand(len(x0), generator=g) if t is None else torch.full((len(x0),), t)
    eps = torch.randn(x0.shape, generator=g)
    return schedule.noise(x0, eps, times), times, eps, Text.of(data["tokens"], data["pooled"])


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
