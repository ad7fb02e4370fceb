"""The transformer's parts: attention, the two kinds of adaptive norm, and the block.

AdaLN-Single (PixArt-alpha; HDDM, Eqs. 14-19) shares one MLP tau(t) -> 6d among all blocks, each
adding a table of its own; AdaLN-Zero (Peebles and Xie) gives every block its own. The modulation
order is Eq. 16's, scale, shift, gate; cross-attention reads the normalised state (Eq. 18), or the
state itself, as Paris 1.0's does.
"""

from dataclasses import dataclass
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Size:
    """width d, depth (number of blocks), attention heads."""

    width: int
    depth: int
    heads: int

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.heads) < 1:
            raise ValueError(f"width {self.width}, depth {self.depth}, heads {self.heads}: all > 0")
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width {self.width} must divide by {self.heads} heads and by 4")


class AdaLN(Enum):
    SINGLE = "single"
    ZERO = "zero"


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer with Xavier weights and no bias at first, as DiT initialises all of them."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that returns zero at first: gates, modulations, cross-attention outputs."""
    return normal_linear(inputs, outputs, std=0.0)


def normal_linear(inputs: int, outputs: int, std: float) -> nn.Linear:
    """A linear layer with N(0, std^2) weights and no bias at first.  (HDDM, Eq. 20)"""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


class Attention(nn.Module):
    """Multi-head attention of h [B, N, d] to itself or to a context [B, M, d]."""

    def __init__(self, width: int, heads: int, zero_out: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.query = linear(width, width)
        self.key_value = linear(width, 2 * width)
        self.out = zero_linear(width, width) if zero_out else linear(width, width)

    def forward(self, h: Tensor, context: Tensor) -> Tensor:
        q = self.query(h).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.key_value(context).unflatten(-1, (2, self.heads, -1)).unbind(2)
        h = F.scaled_dot_product_attention(q, k.transpose(1, 2), v.transpose(1, 2))
        return self.out(h.transpose(1, 2).flatten(2))


class SharedModulation(nn.Module):
    """C + E_b: the shared vectors plus this block's table.  (HDDM, Eq. 16)"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(6, width) / width**0.5)

    def forward(self, tau: Tensor, shared: Tensor) -> Tensor:
        return shared + self.table


class OwnModulation(nn.Module):
    """Six vectors from this block's own linear layer, zero at first (AdaLN-Zero)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = zero_linear(width, 6 * width)

    def forward(self, tau: Tensor, shared: Tensor | None) -> Tensor:
        return self.linear(F.silu(tau)).unflatten(-1, (6, -1))


class Block(nn.Module):
    """Self-attention, cross-attention if there is text, MLP.  (HDDM, Eqs. 17-19)"""

    def __init__(self, size: Size, adaln: AdaLN, with_text: bool, cross_norm: bool = True) -> None:
        super().__init__()
        d = size.width
        self.cross_norm = cross_norm
        self.norm = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.modulation = SharedModulation(d) if adaln is AdaLN.SINGLE else OwnModulation(d)
        self.attention = Attention(d, size.heads)
        self.cross = Attention(d, size.heads, zero_out=True) if with_text else None
        self.mlp = nn.Sequential(linear(d, 4 * d), nn.GELU(approximate="tanh"), linear(4 * d, d))

    def forward(self, h: Tensor, tau: Tensor, shared: Tensor | None, e: Tensor | None) -> Tensor:
        six = self.modulation(tau, shared).unsqueeze(2).unbind(1)  # each [B, 1, d]
        scale_msa, shift_msa, gate_msa, scale_mlp, shift_mlp, gate_mlp = six
        normed = self.norm(h) * (1 + scale_msa) + shift_msa
        h = h + gate_msa * self.attention(normed, normed)  # Eq. 17
        if self.cross is not None:
            h = h + self.cross(self.norm(h) if self.cross_norm else h, e)  # Eq. 18
        return h + gate_mlp * self.mlp(self.norm(h) * (1 + scale_mlp) + shift_mlp)  # Eq. 19
