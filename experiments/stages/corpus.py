"""What experts are trained on: clusters encoded once, as shards, or clips drawn without end."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder, TextEncoder
from datamodules.shards import ClusterWriter, ShardError, read_index
from datamodules.sources.source import DrawingSource, Source, Split, record_shape
from datamodules.validation import ValidationBatches
from datamodules.windows import ALL
from experiments.pipeline.files import read_json
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.clusters import Clusters, Encoded
from experiments.stages.encode import Encode
from modules.training import Optim

if TYPE_CHECKING:  # they import Lightning, which takes longer than all the rest
    from lightning import LightningDataModule

    from datamodules.latents import Latents
    from datamodules.streams import DrawnClipData

WINDOW_BYTES = 16_000_000_000
"""Of a window of samples, two bytes a number, that training shuffles in; it holds two of them."""


class Corpus(Stage):
    """A stage whose clusters can be trained on, each without reading another.

    k: how many clusters.  heldout: the split that none is trained on.
    """

    source: Source
    latents: LatentEncoder
    text: TextEncoder

    @property
    def k(self) -> int:
        raise NotImplementedError

    @property
    def heldout(self) -> Encode:
        raise NotImplementedError

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """(C, H, W), or (C, T, H, W), of what the experts see."""
        return self.latents.shape(record_shape(self.source))

    def placed(self) -> tuple[Stage, ...]:
        """What has to be made for `heldout_clusters`."""
        return ()

    def heldout_clusters(self, store: Store) -> NDArray[np.int64]:
        """The cluster [N] of each held-out picture."""
        raise NotImplementedError

    def samples(self, store: Store, clusters: Sequence[int]) -> int:
        """How many pictures there are of these clusters."""
        raise NotImplementedError

    def loader(
        self,
        store: Store,
        clusters: Sequence[int],
        optim: Optim,
        seed: int,
        rows: slice = ALL,
        heldout: ValidationBatches | None = None,
    ) -> "LightningDataModule":
        """Training batches of these clusters alone: of every batch the given rows."""
        raise NotImplementedError


def batches(
    corpus: Corpus, folders: Sequence[Path], optim: Optim, seed: int, rows: slice,
    heldout: ValidationBatches | None,
) -> "Latents":  # fmt: skip
    """Training batches from folders of shards, in windows that memory holds two of."""
    from datamodules.latents import Latents

    text = corpus.text
    numbers = text.length * text.width if text.cached else text.length
    window = min(100_000, WINDOW_BYTES // (2 * (math.prod(corpus.latent_shape) + numbers)))
    return Latents(
        folders, optim.batch, optim.steps, seed, accumulate=optim.accumulate,
        heldout=heldout, text=text, rows=rows, window=window,
    )  # fmt: skip


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
        """The folders of these clusters. ShardError for one whose index is another's."""
        folders = [store.fetched(self, f"cluster-{k:02d}") for k in clusters]
        for k, folder in zip(clusters, folders, strict=True):
            if other := {shard.cluster for shard in read_index(folder)} - {k}:
                raise ShardError(f"{folder} says that it is of cluster {other.pop()}: delete it")
        return folders

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
    ) -> "Latents":
        return batches(self, self.folders(store, clusters), optim, seed, rows, heldout)


@dataclass(frozen=True)
class Streamed(Corpus):
    """tokens.npy [V, L, D] and pooled.npy [V, P] of every caption.

    Clips are drawn in training, each cluster's from its own scene; no other file is read.
    """

    source: DrawingSource
    latents: LatentEncoder
    features: FeatureEncoder
    text: TextEncoder

    @property
    def label(self) -> str:
        return f"captions of {self.source.name}"

    @property
    def k(self) -> int:
        return self.source.clusters

    @property
    def heldout(self) -> Encode:
        return Encode(self.source, Split.HELDOUT, self.latents, self.features, self.text)

    def make(self, folder: Path, context: Context) -> None:
        tokens, pooled = self.text.encode(list(self.source.captions), context.torch_device)
        np.save(folder / "tokens.npy", tokens)
        np.save(folder / "pooled.npy", pooled)

    def heldout_clusters(self, store: Store) -> NDArray[np.int64]:
        return self.source.cluster(self.heldout.captions(store)[1])

    def samples(self, store: Store, clusters: Sequence[int]) -> int:
        """As many as the split has where it is read as one that ends: clusters are equal."""
        return self.source.expected(Split.TRAIN) * len(clusters) // self.k

    def loader(
        self,
        store: Store,
        clusters: Sequence[int],
        optim: Optim,
        seed: int,
        rows: slice = ALL,
        heldout: ValidationBatches | None = None,
    ) -> "DrawnClipData":
        from datamodules.streams import DrawnClipData, EncodedCaptions

        names = ("tokens.npy", "pooled.npy")
        captions = EncodedCaptions(
            *(torch.from_numpy(np.load(store.file(self, name))) for name in names)
        )
        return DrawnClipData(
            self.source, clusters, captions, self.latents, self.features,
            optim.batch, optim.steps, seed, optim.accumulate, heldout, rows,
        )  # fmt: skip
