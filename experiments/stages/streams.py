"""Clips that are drawn as they are needed: a corpus whose clusters are known, and never end."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder, TextEncoder
from datamodules.latents import ALL, ValidationBatches
from datamodules.sources.source import Split
from datamodules.streams import DrawingSource, DrawnClipData, EncodedCaptions
from experiments.pipeline.store import Context, Store
from experiments.stages.clusters import Encode
from experiments.stages.corpus import Corpus
from modules.training import Optim


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
    ) -> DrawnClipData:
        names = ("tokens.npy", "pooled.npy")
        captions = EncodedCaptions(
            *(torch.from_numpy(np.load(store.file(self, name))) for name in names)
        )
        return DrawnClipData(
            self.source, clusters, captions, self.latents, self.features,
            optim.batch, optim.steps, seed, optim.accumulate, heldout, rows,
        )  # fmt: skip
