"""Fixed sinusoidal features: of times, and of the rows, columns and frames of tokens."""

import math

import torch
from torch import Tensor


def sinusoids(position: Tensor, width: int) -> Tensor:
    """Cosines, then sines, of `position` [...]: [..., width], float32.

    The width / 2 frequencies fall geometrically from 1 towards 1e-4.
    """
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=position.device)
    angle = position.float().unsqueeze(-1) * torch.exp(-math.log(10_000) * steps / half)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def position_table(side: int, width: int) -> Tensor:
    """Fixed positions [1, side^2, width]: the first half encodes the column, the other the row."""
    axis = sinusoids(torch.arange(side), width // 2)  # [side, width / 2]
    rows = axis[:, None].expand(side, side, -1)
    columns = axis[None, :].expand(side, side, -1)
    return torch.cat([columns, rows], dim=-1).reshape(1, side * side, width)


def positions(side: int, width: int, frames: int | None) -> Tensor:
    """Fixed positions [1, N, width] of rows and columns; for video plus those of the frames."""
    table = position_table(side, width)
    if frames is not None:
        table = table + sinusoids(torch.arange(frames), width)[:, None]  # [T, N, width]
    return table.reshape(1, -1, width)
