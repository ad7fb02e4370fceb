"""The clusters of encoded pictures: those that are trained on, and those that are measured."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.clusters import (
    Array,
    FineMethod,
    Lloyd,
    assignment_file,
    nearest,
    partition,
    unit_rows,
)
from datamodules.encoders.encoder import CPU
from datamodules.partitions import StatedPartition
from datamodules.sources.source import Split
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.encode import Encode, Part
from modules.schedules import Schedule
from modules.text import Text

Noised = tuple[Tensor, Tensor, Tensor, Text]
"""x_t [N, C, H, W], t [N], eps [N, C, H, W] and captions."""


@dataclass(frozen=True)
class Clusters(Stage):
    """assignment.npy [N], centroids.npy [K, F] and balance.json.  (HDDM, §6.1)

    of: whose centroids are taken, so that cluster k is of the same kind in other data.
    stated: a partition that no feature decides; its centroids are its clusters' mean directions.
    """

    encoded: Encode
    fine: int
    k: int
    method: FineMethod = Lloyd()
    seed: int = 0
    of: "Clusters | None" = None
    stated: StatedPartition | None = None

    def make(self, folder: Path, context: Context) -> None:
        if self.stated is not None:
            return self._stated(self.stated, folder, context)
        if self.of is not None:
            return self._placed(self.of, folder, context)
        parts = [part.array("features") for part in self.encoded.parts(context.store)]
        assigned = assignment_file(folder, sum(map(len, parts)))
        coarse = partition(parts, self.fine, self.k, self.seed, self.method, assigned)
        np.save(folder / "centroids.npy", coarse.centroids)
        (folder / "balance.json").write_text(json.dumps({"sizes": coarse.sizes}) + "\n")

    def _placed(self, of: "Clusters", folder: Path, context: Context) -> None:
        centroids = np.load(context.store.file(of, "centroids.npy"))
        parts = self.encoded.parts(context.store)
        assignment = np.concatenate([nearest(part.array("features"), centroids) for part in parts])
        self._write(assignment, centroids, folder)

    def _stated(self, stated: StatedPartition, folder: Path, context: Context) -> None:
        parts = self.encoded.parts(context.store)
        numbers = [self.numbers(stated, part) for part in parts]
        sums: Array = np.zeros((self.k, parts[0].array("features").shape[1]))
        for part, cluster in zip(parts, numbers, strict=True):
            np.add.at(sums, cluster, unit_rows(part.array("features")))
        self._write(np.concatenate(numbers), unit_rows(sums), folder)

    def numbers(self, stated: StatedPartition, part: Part) -> NDArray[np.int64]:
        """The cluster [N] of each picture of a part, of any split."""
        about = part.about
        labels = np.array(about["labels"], dtype=np.int64)
        return stated.numbers(about["keys"], labels, self.k, self.seed)

    def _write(self, assignment: NDArray[np.int64], centroids: Array, folder: Path) -> None:
        for name, array in {"assignment": assignment, "centroids": centroids}.items():
            np.save(folder / f"{name}.npy", array)
        sizes = np.bincount(assignment, minlength=self.k).tolist()
        (folder / "balance.json").write_text(json.dumps({"sizes": sizes}) + "\n")


@dataclass(frozen=True)
class Encoded(Stage):
    """cluster.npy [N]: the cluster that each picture of a split is nearest to, or stated in.

    What is measured rather than trained on: the clusters of pictures that made no centroid.
    """

    clusters: Clusters
    split: Split

    @property
    def encoded(self) -> Encode:
        return replace(self.clusters.encoded, split=self.split)

    def inputs(self) -> tuple[Stage, ...]:
        return (self.clusters, self.encoded)

    def make(self, folder: Path, context: Context) -> None:
        parts, stated = self.encoded.parts(context.store), self.clusters.stated
        if stated is not None:
            cluster = [self.clusters.numbers(stated, part) for part in parts]
        else:
            centroids = np.load(context.store.file(self.clusters, "centroids.npy"))
            cluster = [nearest(part.array("features"), centroids) for part in parts]
        np.save(folder / "cluster.npy", np.concatenate(cluster))

    def load(self, store: Store, device: torch.device = CPU) -> dict[str, Tensor]:
        """x0 [N, C, H, W], tokens, pooled, labels [N] and cluster [N]; device: the tower's."""
        encoded, text = self.encoded, self.encoded.text
        captions, labels = encoded.captions(store)
        if text.cached:
            tokens, pooled = (encoded.array(store, name) for name in ("tokens", "pooled"))
        else:
            tokens, pooled = text.encode(captions, device)
        x0, cluster = encoded.array(store, "latents"), np.load(store.file(self, "cluster.npy"))
        arrays = {"x0": x0, "tokens": tokens, "pooled": pooled}
        return {
            **{name: torch.from_numpy(array).float() for name, array in arrays.items()},
            **{"labels": torch.from_numpy(labels), "cluster": torch.from_numpy(cluster)},
        }


def noised(
    data: dict[str, Tensor], schedule: Schedule, seed: int, t: float | None = None
) -> Noised:
    """(x_t, t [N], eps, c) of encoded pictures, at one time or at times uniform on [0, 1]."""
    x0, g = data["x0"], torch.Generator().manual_seed(seed)
    times = torch.rand(len(x0), generator=g) if t is None else torch.full((len(x0),), t)
    eps = torch.randn(x0.shape, generator=g)
    return schedule.noise(x0, eps, times), times, eps, Text.of(data["tokens"], data["pooled"])
