"""The stages of the data: what is encoded, in one pass; its clusters; a cluster's own shards.

Encode -> Clusters -> Shards, and Encoded for what is only measured. A part is held at a time.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from datamodules.clusters import FineMethod, Lloyd, assignment_file, nearest, partition
from datamodules.encoders.encoder import CPU, FeatureEncoder, LatentEncoder, TextEncoder
from datamodules.latents import ALL, Latents, ValidationBatches
from datamodules.shards import ClusterWriter, read_index
from datamodules.sources.source import BAD_SHARE, RecordCounts, Source, Split
from experiments.pipeline.files import read_json
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.corpus import Corpus
from experiments.stages.parts import Part, encode_part, read_refused
from modules.training import Optim

Array = NDArray[Any]
HELD = 16_000_000_000
"""Bytes of a window of samples, of two a number, that training holds and shuffles in."""


@dataclass(frozen=True)
class Encode(Stage):
    """What a split's pictures and captions become, a part of the source at a time.

    00000.latents.npy [N, C, H, W], .features.npy [N, F], .tokens.npy [N, L, D] and .pooled.npy
    [N, P], or .ids.npy [N, L] where the tower is to run later, and 00000.json (keys, captions,
    labels) for the first part, and so on; refused.json counts and lists the records that were
    skipped. A killed run goes on with the next part. SourceError past `bad_share` of bad records.
    """

    resumes: ClassVar[bool] = True
    source: Source
    split: Split
    latents: LatentEncoder
    features: FeatureEncoder
    text: TextEncoder
    bad_share: float = BAD_SHARE

    @property
    def label(self) -> str:
        return f"{self.split.value} split, encoded"

    def make(self, folder: Path, context: Context) -> None:
        parts = self.source.parts(self.split)
        hidden = context.bar is None or len(parts) == 1
        bar = tqdm(parts, desc=self.label, position=context.bar, disable=hidden, leave=False)
        refused = RecordCounts()
        for i, part in enumerate(bar):
            if not (folder / f"{i:05d}.json").exists():
                encode_part(self, folder, i, part, context.torch_device)
            refused.add(read_refused(read_json(folder / f"{i:05d}.json")["refused"]))
            refused.check(self.bad_share)
        (folder / "refused.json").write_text(json.dumps(refused.as_json(), indent=1) + "\n")

    def parts(self, store: Store) -> "list[Part]":
        """Every part that holds a picture, in the order of the source."""
        found = [Part(self, store, i) for i in range(len(self.source.parts(self.split)))]
        return [part for part in found if len(part)]

    def array(self, store: Store, name: str) -> Array:
        """An array of all parts together."""
        return np.concatenate([part.array(name) for part in self.parts(store)])

    def captions(self, store: Store) -> tuple[list[str], NDArray[np.int64]]:
        """The captions and labels of all parts."""
        told = [part.about for part in self.parts(store)]
        labels = [label for about in told for label in about["labels"]]
        return [c for about in told for c in about["captions"]], np.array(labels, dtype=np.int64)


@dataclass(frozen=True)
class Clusters(Stage):
    """assignment.npy [N], centroids.npy [K, F] and balance.json.  (HDDM, §6.1)

    of: whose centroids are taken, so that cluster k is of the same kind in other data.
    """

    encoded: Encode
    fine: int
    k: int
    method: FineMethod = Lloyd()
    seed: int = 0
    of: "Clusters | None" = None

    def make(self, folder: Path, context: Context) -> None:
        if self.of is not None:
            return self._placed(self.of, folder, context)
        parts = [part.array("features") for part in self.encoded.parts(context.store)]
        assigned = assignment_file(folder, sum(map(len, parts)))
        found = partition(parts, self.fine, self.k, self.seed, self.method, assigned)
        np.save(folder / "centroids.npy", found.centroids)
        (folder / "balance.json").write_text(json.dumps({"sizes": found.sizes}) + "\n")

    def _placed(self, of: "Clusters", folder: Path, context: Context) -> None:
        centroids = np.load(context.store.file(of, "centroids.npy"))
        parts = self.encoded.parts(context.store)
        found = np.concatenate([nearest(part.array("features"), centroids) for part in parts])
        for name, array in {"assignment": found, "centroids": centroids}.items():
            np.save(folder / f"{name}.npy", array)
        sizes = np.bincount(found, minlength=self.k).tolist()
        (folder / "balance.json").write_text(json.dumps({"sizes": sizes}) + "\n")


@dataclass(frozen=True)
class Shards(Corpus):
    """cluster-00/, cluster-01/, …: latents and encoded captions as webdataset shards.

    frame_features: whether they hold the features too, for routers that read a clip's first frame.
    """

    clusters: Clusters
    per_shard: int
    frame_features: bool = False

    @property
    def source(self) -> Source:  # type: ignore[override]
        return self.clusters.encoded.source

    @property
    def latents(self) -> LatentEncoder:  # type: ignore[override]
        return self.clusters.encoded.latents

    @property
    def text(self) -> TextEncoder:  # type: ignore[override]
        return self.clusters.encoded.text

    @property
    def k(self) -> int:
        return self.clusters.k

    @property
    def heldout(self) -> Encode:
        """The held-out split, encoded in the same way."""
        return replace(self.clusters.encoded, split=Split.HELDOUT)

    def make(self, folder: Path, context: Context) -> None:
        path = context.store.file(self.clusters, "assignment.npy")
        assignment = np.load(path, mmap_mode="r")
        with ExitStack() as stack:
            writers = [
                stack.enter_context(ClusterWriter(folder / f"cluster-{k:02d}", k, self.per_shard))
                for k in range(self.clusters.k)
            ]
            for k, sample in zip(assignment, self._entries(context.store), strict=True):
                writers[k].write(sample)

    def _entries(self, store: Store) -> Iterator[dict[str, Any]]:
        names = {"tokens": "tokens", "pooled": "pooled"} if self.text.cached else {"ids": "ids"}
        names["latents"] = "latent"
        if self.frame_features:
            names["features"] = "frame_feature"
        return (
            entry for part in self.clusters.encoded.parts(store) for entry in part.entries(names)
        )

    def pictures(self, store: Store) -> int:
        """How many pictures there are to train on."""
        return sum(read_json(store.file(self.clusters, "balance.json"))["sizes"])

    def placed(self) -> tuple[Stage, ...]:
        return (Encoded(self.clusters, Split.HELDOUT),)

    def heldout_clusters(self, store: Store) -> NDArray[np.int64]:
        return np.load(store.file(self.placed()[0], "cluster.npy"))

    @classmethod
    def of(cls, corpus: Corpus) -> "Shards":
        """The shards that a corpus is. ValueError for clips that are drawn anew."""
        if not isinstance(corpus, cls):
            raise ValueError(f"{type(corpus).__name__} has no shards: this needs clusters on disk")
        return corpus

    def folders(self, store: Store, clusters: Sequence[int]) -> list[Path]:
        return [store.path(self) / f"cluster-{k:02d}" for k in clusters]

    def samples(self, store: Store, clusters: Sequence[int]) -> int:
        folders = self.folders(store, clusters)
        return sum(shard.samples for folder in folders for shard in read_index(folder))

    def loader(
        self,
        store: Store,
        clusters: Sequence[int],
        optim: Optim,
        seed: int,
        rows: slice = ALL,
        heldout: ValidationBatches | None = None,
    ) -> Latents:
        folders, text, every = self.folders(store, clusters), self.text, optim.accumulate
        said = text.length * text.width if text.cached else text.length
        window = min(100_000, HELD // (2 * (math.prod(self.latent_shape) + said)))
        return Latents(
            folders, optim.batch, optim.steps, seed, accumulate=every,
            heldout=heldout, text=text, rows=rows, window=window,
        )  # fmt: skip


@dataclass(frozen=True)
class Encoded(Stage):
    """cluster.npy [N]: the cluster that each picture of a split is nearest to.

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
        centroids = np.load(context.store.file(self.clusters, "centroids.npy"))
        parts = self.encoded.parts(context.store)
        found = [nearest(part.array("features"), centroids) for part in parts]
        np.save(folder / "cluster.npy", np.concatenate(found))

    def load(self, store: Store, device: torch.device = CPU) -> dict[str, Tensor]:
        """x0 [N, C, H, W], tokens, pooled, labels [N] and cluster [N]; device: the tower's."""
        encoded, text = self.encoded, self.encoded.text
        captions, labels = encoded.captions(store)
        if text.cached:
            tokens, pooled = (encoded.array(store, name) for name in ("tokens", "pooled"))
        else:
            tokens, pooled = text.encode(captions, device)
        x0, cluster = encoded.array(store, "latents"), np.load(store.file(self, "cluster.npy"))
        real = {"x0": x0, "tokens": tokens, "pooled": pooled}
        return {
            **{name: torch.from_numpy(array).float() for name, array in real.items()},
            **{"labels": torch.from_numpy(labels), "cluster": torch.from_numpy(cluster)},
        }
