"""Batches of cached latents from the shards of some clusters: a LightningDataModule.

The order depends on (seed, epoch) and the batch number only. A resumed run therefore continues
exactly where it stopped, without reading the earlier batches again.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from datamodules.batches import Batches
from datamodules.encoders.encoder import TextEncoder
from datamodules.shards import Shard, read_index
from datamodules.validation import ValidationBatches
from datamodules.windows import ALL, Arrays, WindowReader


class BatchStream(IterableDataset[Arrays]):
    """Batches numbered `first` to `last` (excluded) of endless epochs over shards.

    Shards are shuffled, then samples within a window of consecutive shards. The next window is read
    while batches are taken from this one, unless it is the same. Raises ValueError if there are no
    samples.

    batch: samples in a whole batch.  rows: the rows of each batch that are returned.
    window: samples of a window, at least; two windows are in memory.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        batch: int,
        seed: int,
        first: int,
        last: int,
        window: int,
        rows: slice = ALL,
    ) -> None:
        self.rows = rows
        self.shards, self.batch, self.seed = list(shards), batch, seed
        self.first, self.last, self.window = first, last, window
        self.total = sum(shard.samples for shard in self.shards)
        if self.total == 0:
            raise ValueError("no samples in the shards to train on")

    def _interleaved(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Shard numbers [S], reordered so that clusters alternate evenly; each keeps its order.

        A window of whole shards would otherwise lack some clusters, and a router would learn that.
        """
        clusters = np.array([self.shards[i].cluster for i in order])
        place = np.empty(len(order))
        for cluster in np.unique(clusters):
            members = np.flatnonzero(clusters == cluster)
            place[members] = (np.arange(len(members)) + 0.5) / len(members)
        return order[np.argsort(place, kind="stable")]

    def _windows(self, epoch: int) -> Iterator[list[Shard]]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.shards))
        window: list[Shard] = []
        for i in self._interleaved(order):
            window.append(self.shards[i])
            if sum(shard.samples for shard in window) >= self.window:
                yield window
                window = []
        if window:
            yield window

    def _pieces(self, position: int) -> Iterator[tuple[list[Shard], Tensor]]:
        """Windows and the order of their samples, starting at the stream's sample `position`."""
        epoch, skip = divmod(position, self.total)
        while True:
            for number, window in enumerate(self._windows(epoch)):
                size = sum(shard.samples for shard in window)
                if skip >= size:
                    skip -= size
                    continue
                rng = np.random.default_rng([self.seed, epoch, 1 + number])
                yield window, torch.from_numpy(rng.permutation(size)[skip:])
                skip = 0
            epoch += 1

    def _read(self) -> Iterator[tuple[Arrays, Tensor]]:
        """The pieces with their windows in memory; none is read that no batch needs."""
        left = (self.last - self.first) * self.batch
        with WindowReader() as reader:
            for (window, rows), (following, _) in pairwise(self._pieces(self.first * self.batch)):
                left -= len(rows)
                yield reader.read(window, following if left > 0 else ()), rows

    def __iter__(self) -> Iterator[Arrays]:
        pieces, data, rows = self._read(), Arrays(), torch.empty(0, dtype=torch.int64)
        for step in range(self.first, self.last):
            parts: list[Arrays] = []
            missing = self.batch
            while missing:
                if len(rows) == 0:
                    data = {}  # frees the old window before a third one is begun
                    data, rows = next(pieces)
                taken, rows = rows[:missing], rows[missing:]
                parts.append({key: x[taken] for key, x in data.items()})
                missing -= len(taken)
            whole = parts[0]
            if len(parts) > 1:
                whole = {key: torch.cat([part[key] for part in parts]) for key in whole}
            yield {**{k: x[self.rows] for k, x in whole.items()}, "step": torch.tensor(step)}


class Latents(Batches):
    """Training batches from the given clusters' folders; no other file is opened.

    Args:
        batch, steps: samples in a batch, and optimiser steps.
        window: samples of a window, at least; two windows are in memory.
        accumulate: batches in an optimiser step, needed to resume at the right batch.
        heldout: the validation batches, if any.
        text: encodes the token ids of shards without token states, on the training device.
        rows: the rows of each batch that this device trains on.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        batch: int,
        steps: int,
        seed: int,
        window: int = 100_000,
        accumulate: int = 1,
        heldout: ValidationBatches | None = None,
        text: TextEncoder | None = None,
        rows: slice = ALL,
    ) -> None:
        super().__init__()
        self.text, self.rows = text, rows
        self.folders, self.batch, self.steps, self.seed = list(folders), batch, steps, seed
        self.window, self.accumulate, self.heldout = window, accumulate, heldout

    def train_dataloader(self) -> DataLoader[Arrays]:
        """Batches, x0 [B, ...] and the rest, from the trainer's step on. Raises ShardError."""
        step = self.trainer.global_step if self.trainer is not None else 0
        shards = [shard for folder in self.folders for shard in read_index(folder)]
        stream = BatchStream(
            shards,
            self.batch,
            self.seed,
            first=step * self.accumulate,
            last=self.steps * self.accumulate,
            window=self.window,
            rows=self.rows,
        )
        return DataLoader(stream, batch_size=None)

    def on_after_batch_transfer(self, batch: Arrays, dataloader_idx: int) -> Arrays:
        """The batch with floats as float32, and token ids [B, L] encoded.

        Raises ValueError for ids without a text encoder.
        """
        if "ids" in batch:
            if self.text is None:
                raise ValueError("the shards hold token ids, and there is no tower to read them")
            tokens, pooled = self.text.states(batch.pop("ids"))
            batch = {**batch, "tokens": tokens, "pooled": pooled}
        return {key: x.float() if x.is_floating_point() else x for key, x in batch.items()}

    def val_dataloader(self) -> DataLoader[Arrays] | list[Arrays]:
        """The validation batches, or [] without any."""
        return [] if self.heldout is None else DataLoader(self.heldout, batch_size=None)
