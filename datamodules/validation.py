"""Held-out pictures as batches to validate on, the same in every validation."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.windows import Arrays


class ValidationBatches(Dataset[Arrays]):
    """Batches to validate on: every picture `draws` times, each time with its own t and eps.

    t and eps depend on (seed, row, draw) only, so every validation uses the same. The times of a
    picture are stratified: draw j lies between j / draws and (j + 1) / draws.
    A batch has x0 [B, ...], tokens [B, L, D], pooled [B, P], t [B] and eps [B, ...].

    Args:
        data: x0 [N, ...], tokens [N, L, D] and pooled [N, P].
        rows: [N], the pictures' numbers in the held-out split.
        batch: rows in a batch, at most; at least one picture's draws.
    Raises ValueError if there are no pictures.
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
