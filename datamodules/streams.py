"""Batches that never end and never repeat, of a source that draws clips: a LightningDataModule.

A batch is a function of (seed, its number): a resumed run draws on where the killed one stood.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder
from datamodules.latents import ALL, Arrays, Heldout
from datamodules.sources.source import Split, VideoSource

DATA = 1
"""Tells the draws of data from those of noise, which have the same seed and number."""


class Drawn(NamedTuple):
    """clips [N, C, T, H, W] in [-1, 1]; labels [N], into the source's captions; scene [N], the
    cluster."""

    clips: Tensor
    labels: Tensor
    scene: Tensor


class DrawingSource(VideoSource, Protocol):
    """A source that draws as many clips as it is asked for, of the clusters that it is asked for.

    clusters: how many.  captions: of each class.
    """

    @property
    def clusters(self) -> int: ...

    @property
    def captions(self) -> tuple[str, ...]: ...

    def draw(self, split: Split, clusters: Sequence[int], n: int, g: torch.Generator) -> Drawn: ...

    def cluster(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cluster of each class."""
        ...


@dataclass(frozen=True)
class Said:
    """What the text encoder makes of every caption: tokens [V, L, D], pooled [V, P]."""

    tokens: Tensor
    pooled: Tensor


class Endless(IterableDataset[Arrays]):
    """Training batches of the given clusters, numbered from `first` to `last` (excluded)."""

    def __init__(self, made: "Drawing", first: int, last: int) -> None:
        self.made, self.first, self.last = made, first, last

    def __iter__(self) -> Iterator[Arrays]:
        return map(self.made.batch_of, range(self.first, self.last))


class Drawing(L.LightningDataModule):
    """Training batches of clips that the source draws of the given clusters alone.

    accumulate: batches to an optimiser step.  heldout: what is validated on, if anything.  rows: of
    every batch those that this device trains on.
    """

    def __init__(
        self,
        source: DrawingSource,
        clusters: Sequence[int],
        said: Said,
        latents: LatentEncoder,
        features: FeatureEncoder,
        batch: int,
        steps: int,
        seed: int,
        accumulate: int = 1,
        heldout: Heldout | None = None,
        rows: slice = ALL,
    ) -> None:
        super().__init__()
        self.source, self.clusters, self.said = source, list(clusters), said
        self.latents, self.features = latents, features
        self.batch, self.steps, self.seed = batch, steps, seed
        self.accumulate, self.heldout, self.rows = accumulate, heldout, rows

    def batch_of(self, number: int) -> Arrays:
        """The number-th batch.

        x0 [B, C, T, H, W], frame_feature [B, F] of the first frames, tokens [B, L, D],
        pooled [B, P], cluster [B] and step [], int64.
        """
        state = np.random.SeedSequence([self.seed, number, DATA]).generate_state(1, np.uint64)
        g = torch.Generator().manual_seed(int(state[0]))
        drawn = self.source.draw(Split.TRAIN, self.clusters, self.batch, g)
        clips, labels = drawn.clips[self.rows].numpy(), drawn.labels[self.rows]
        return {
            "x0": torch.from_numpy(self.latents.encode(clips)),
            "frame_feature": torch.from_numpy(self.features.encode(clips)),
            "tokens": self.said.tokens[labels],
            "pooled": self.said.pooled[labels],
            "cluster": drawn.scene[self.rows],
            "step": torch.tensor(number),
        }

    def train_dataloader(self) -> DataLoader[Arrays]:
        step = self.trainer.global_step if self.trainer is not None else 0
        stream = Endless(self, step * self.accumulate, self.steps * self.accumulate)
        return DataLoader(stream, batch_size=None)

    def val_dataloader(self) -> DataLoader[Arrays] | list[Arrays]:
        return [] if self.heldout is None else DataLoader(self.heldout, batch_size=None)
