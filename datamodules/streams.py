"""Endless batches of a source that draws new clips: a LightningDataModule.

A batch depends on (seed, number) only, so a resumed run continues exactly where it stopped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from datamodules.batches import Batches
from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder
from datamodules.sources.source import DrawingSource, Split
from datamodules.validation import ValidationBatches
from datamodules.windows import ALL, Arrays

DATA = 1
"""Separates the random draws of data from those of noise, which use the same seed and number."""


@dataclass(frozen=True)
class EncodedCaptions:
    """Every caption of a source, encoded: tokens [V, L, D] and pooled [V, P]."""

    tokens: Tensor
    pooled: Tensor


class DrawnBatches(IterableDataset[Arrays]):
    """Training batches numbered `first` to `last` (excluded)."""

    def __init__(self, data: "DrawnClipData", first: int, last: int) -> None:
        self.data, self.first, self.last = data, first, last

    def __iter__(self) -> Iterator[Arrays]:
        return map(self.data.batch_of, range(self.first, self.last))


class DrawnClipData(Batches):
    """Training batches of clips that a source draws of the given clusters.

    Args:
        captions: every caption of the source, encoded.
        batch, steps: clips in a batch, and optimiser steps.
        accumulate: batches in an optimiser step, needed to resume at the right batch.
        heldout: the validation batches, if any.
        rows: the rows of each batch that this device trains on.
    """

    def __init__(
        self,
        source: DrawingSource,
        clusters: Sequence[int],
        captions: EncodedCaptions,
        latents: LatentEncoder,
        features: FeatureEncoder,
        batch: int,
        steps: int,
        seed: int,
        accumulate: int = 1,
        heldout: ValidationBatches | None = None,
        rows: slice = ALL,
    ) -> None:
        super().__init__()
        self.source, self.clusters, self.captions = source, list(clusters), captions
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
            "tokens": self.captions.tokens[labels],
            "pooled": self.captions.pooled[labels],
            "cluster": drawn.scene[self.rows],
            "step": torch.tensor(number),
        }

    def train_dataloader(self) -> DataLoader[Arrays]:
        """Batches, x0 [B, C, T, H, W] and the rest, from the trainer's global step on."""
        step = self.trainer.global_step if self.trainer is not None else 0
        stream = DrawnBatches(self, step * self.accumulate, self.steps * self.accumulate)
        return DataLoader(stream, batch_size=None)

    def val_dataloader(self) -> DataLoader[Arrays] | list[Arrays]:
        """The validation batches, or [] without any."""
        return [] if self.heldout is None else DataLoader(self.heldout, batch_size=None)
