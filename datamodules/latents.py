"""Batches of cached latents from the shards of one cluster, or of all: a LightningDataModule.

The order is a function of (seed, epoch) and the batch number alone, so a resumed run reads on
exactly where the killed one stood, without replaying what it had read.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from datamodules.encoders.encoder import TextEncoder
from datamodules.shards import Shard, read_index, read_shard

Arrays = dict[str, Tensor]
ALL = slice(None)


class BatchStream(IterableDataset[Arrays]):
    """Endless epochs over shards, as whole batches numbered from `first` to `last` (excluded).

    Shards are shuffled, then samples within windows of consecutive shards of at least `window`
    samples, the memory's bound. A window equal to the last one read is not read again.
    rows: of every batch those that are given out.
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
        self._held: tuple[frozenset[Path], Arrays] | None = None

    def _load(self, shards: list[Shard]) -> Arrays:
        """The window's samples, in the order of the shards' names whatever order they came in."""
        names = frozenset(shard.path for shard in shards)
        if self._held is None or self._held[0] != names:
            self._held = None  # so that the old window is not held beside the new
            read = [read_shard(shard) for shard in sorted(shards, key=lambda s: s.path)]
            joined = {key: np.concatenate([arrays[key] for arrays in read]) for key in read[0]}
            self._held = names, {key: torch.from_numpy(array) for key, array in joined.items()}
        return self._held[1]

    def _mixed(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """The same order within each cluster, and the clusters evenly among each other: a window of
        whole shards would otherwise lack some clusters, and a router would learn its shares."""
        clusters = np.array([self.shards[i].cluster for i in order])
        place = np.empty(len(order))
        for cluster in np.unique(clusters):
            mine = np.flatnonzero(clusters == cluster)
            place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
        return order[np.argsort(place, kind="stable")]

    def _windows(self, epoch: int) -> Iterator[list[Shard]]:
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.shards))
        window: list[Shard] = []
        for i in self._mixed(order):
            window.append(self.shards[i])
            if sum(shard.samples for shard in window) >= self.window:
                yield window
                window = []
        if window:
            yield window

    def _pieces(self, position: int) -> Iterator[tuple[list[Shard], Tensor]]:
        """Windows and the order of their samples, from the position-th sample of the stream on."""
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

    def __iter__(self) -> Iterator[Arrays]:
        pieces = self._pieces(self.first * self.batch)
        window, rows = next(pieces)
        for step in range(self.first, self.last):
            parts: list[Arrays] = []
            missing = self.batch
            while missing:
                if len(rows) == 0:
                    window, rows = next(pieces)
                taken, rows = rows[:missing], rows[missing:]
                parts.append({key: x[taken] for key, x in self._load(window).items()})
                missing -= len(taken)
            joined = {key: torch.cat([part[key] for part in parts])[self.rows] for key in parts[0]}
            yield {**joined, "step": torch.tensor(step)}


class Heldout(Dataset[Arrays]):
    """Batches to validate on: every picture `draws` times, each time with a t and an eps.

    These depend on nothing but (seed, row, draw): the same for whoever validates, whenever. The
    times of a picture are stratified: draw j lies between j / draws and (j + 1) / draws.

    Args:
        data: x0 [N, C, H, W], tokens and pooled.
        rows: numbers [N] by which the pictures are known, whichever of them are chosen.
    """

    def __init__(self, data: Arrays, rows: Tensor, draws: int, seed: int, batch: int) -> None:
        if len(rows) == 0:
            raise ValueError("no held-out pictures to validate on")
        self.data, self.rows, self.draws, self.seed = data, rows, draws, seed
        self.pictures = max(1, batch // draws)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.pictures)

    def __getitem__(self, i: int) -> Arrays:
        if not 0 <= i < len(self):
            raise IndexError(f"batch {i} of {len(self)}")
        chosen = slice(i * self.pictures, (i + 1) * self.pictures)
        data = {
            key: self.data[key][chosen].repeat_interleave(self.draws, 0)
            for key in ("x0", "tokens", "pooled")
        }
        shape = data["x0"].shape[1:]
        drawn = [
            self._draw(row, j, shape)
            for row in self.rows[chosen].tolist()
            for j in range(self.draws)
        ]
        return {
            **data,
            "t": torch.stack([t for t, _ in drawn]),
            "eps": torch.stack([eps for _, eps in drawn]),
        }

    def _draw(self, row: int, j: int, shape: torch.Size) -> tuple[Tensor, Tensor]:
        state = np.random.SeedSequence([self.seed, row, j]).generate_state(1, np.uint64)
        g = torch.Generator().manual_seed(int(state[0]))
        return (j + torch.rand((), generator=g)) / self.draws, torch.randn(shape, generator=g)


class Latents(L.LightningDataModule):
    """Training batches from the given cluster folders, and from no other file.

    accumulate: batches to an optimiser step, needed to find the place to resume from.
    heldout: what is validated on, if anything.  text: the tower that reads the ids of shards that
    hold no token states, on the device of the training.  rows: of every batch those that this
    device trains on.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        batch: int,
        steps: int,
        seed: int,
        window: int = 100_000,
        accumulate: int = 1,
        heldout: Heldout | None = None,
        text: TextEncoder | None = None,
        rows: slice = ALL,
    ) -> None:
        super().__init__()
        self.text, self.rows = text, rows
        self.folders, self.batch, self.steps, self.seed = list(folders), batch, steps, seed
        self.window, self.accumulate, self.heldout = window, accumulate, heldout

    def train_dataloader(self) -> DataLoader[Arrays]:
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
        """float32 latents and states, whatever they are stored as."""
        if "ids" in batch:
            if self.text is None:
                raise ValueError("the shards hold token ids, and there is no tower to read them")
            tokens, pooled = self.text.states(batch.pop("ids"))
            batch = {**batch, "tokens": tokens, "pooled": pooled}
        return {key: x.float() if x.is_floating_point() else x for key, x in batch.items()}

    def val_dataloader(self) -> DataLoader[Arrays] | list[Arrays]:
        return [] if self.heldout is None else DataLoader(self.heldout, batch_size=None)
