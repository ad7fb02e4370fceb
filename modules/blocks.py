"""The transformer's parts: attention, two kinds of adaptive layer norm, and the block.

AdaLN-Single (PixArt-alpha; HDDM, Eqs. 14-19) shares one MLP tau(t) -> 6d among all blocks; each
block adds a table. AdaLN-Zero (Peebles and Xie) gives every block its own MLP. The six vectors are
ordered as in Eq. 16: scale, shift, gate. Shapes: B samples, N tokens of x, L of text, width d.
"""

import functools
from dataclasses import dataclass
from enum import Enum
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Size:
    """A transformer's size.

    width: of its token states, d.  depth: its blocks.  heads: of attention in each block.
    Raises ValueError for sizes below 1, or a width not divisible by the heads and by 4.
    """

    width: int
    depth: int
    heads: int

    def __post_init__(self) -> None:
        if min(self.width, self.depth, self.heads) < 1:
            raise ValueError(f"width {self.width}, depth {self.depth}, heads {self.heads}: all > 0")
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width {self.width} must divide by {self.heads} heads and by 4")


class AdaLN(Enum):
    """SINGLE: one modulation MLP for all blocks and a table in each. ZERO: an MLP in each block."""

    SINGLE = "single"
    ZERO = "zero"


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer initialised as in DiT: Xavier-uniform weights, zero bias."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer initialised to zero: for modulations and cross-attention outputs."""
    return normal_linear(inputs, outputs, std=0.0)


def normal_linear(inputs: int, outputs: int, std: float) -> nn.Linear:
    """A linear layer initialised with N(0, std^2) weights and zero bias.  (HDDM, Eq. 20)"""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


GROUP, FEW = 4, 16
"""Samples that attend in one call where a training step has few tokens of them, and how few."""


def grouped(h: Tensor, context: Tensor) -> bool:
    """Whether samples h [B, N, d] attend to context [B, M, d] by `GROUP`s: see `Attention`."""
    few = len(h) % GROUP == 0 and max(h.shape[1], context.shape[1]) <= FEW
    # Not for tensors without numbers, as `FakeTensorMode` has: their mask would be kept for others.
    return few and h.device.type == "cpu" and context.requires_grad and type(context) is Tensor


@functools.cache
def own_context(tokens: int, context: int, dtype: torch.dtype) -> Tensor:
    """The mask [GROUP tokens, GROUP context] of a group: 0 at a sample's own context, else -inf."""
    each = torch.ones(tokens, context, dtype=dtype, device="cpu")
    return torch.block_diag(*[each] * GROUP).log()


def attended(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d_h)) v [B, H, N, d_h]: q [B, H, N, d_h], k and v [B, H, M, d_h].

    mask [N, M] is added to what the softmax is taken of.

    torch's fused kernel, but in bf16 on a CPU, where two matrix products take 0.4 to 0.7 of its
    time forward and backward: the processor multiplies bf16, and the fused backward does not let
    it. They hold [B, H, N, M] in memory and round the logits to bf16.
    """
    if q.dtype is torch.bfloat16 and q.device.type == "cpu":
        logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        return (logits if mask is None else logits + mask).softmax(-1) @ v
    return F.scaled_dot_product_attention(q, k, v, mask)


class Attention(nn.Module):
    """Multi-head attention, without mask or dropout.

    On a CPU the kernel spends more on a call for each sample and head than on a few tokens. In
    training they are therefore taken by `GROUP`s as if one sample, a mask keeping each to its own.
    A number that is not finite spreads in its group, so it is not done where samples are drawn.

    zero_out: initialise the output layer to zero, so that a new layer changes nothing.
    """

    def __init__(self, width: int, heads: int, zero_out: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.query = linear(width, width)
        self.key_value = linear(width, 2 * width)
        self.out = zero_linear(width, width) if zero_out else linear(width, width)

    def forward(self, h: Tensor, context: Tensor, which: Tensor | None = None) -> Tensor:
        """[B, N, d]: h [B, N, d] attends to `context` [B, M, d], which is h in self-attention.

        which: each row's own [B] of contexts [n, M, d] that rows share.
        """
        both = self.key_value(context)
        if which is not None:
            both = both.index_select(0, which)
        return self._attend(h, *both.chunk(2, dim=-1))

    def read(self, context: Tensor) -> Tensor:
        """Keys and values [B, 2, heads, M, d / heads] of `context` [B, M, d]."""
        both = self.key_value(context).unflatten(-1, (2, self.heads, -1))
        return both.permute(0, 2, 3, 1, 4)

    def attend(self, h: Tensor, key_value: Tensor) -> Tensor:
        """[B, N, d]: h [B, N, d] attends to what `read` has made of a context."""
        q = self.query(h).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        h = attended(q, *key_value.unbind(1))
        return self.out(h.transpose(1, 2).flatten(2))

    def _attend(self, h: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[B, N, d]: h [B, N, d] attends to keys and values [B, M, d]."""
        mask, rows = None, (self.query(h), k, v)
        if grouped(h, k):
            mask = own_context(h.shape[1], k.shape[1], k.dtype)
            rows = tuple(x.unflatten(0, (-1, GROUP)).flatten(1, 2) for x in rows)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in rows)
        return self.out(attended(q, k, v, mask).transpose(1, 2).reshape(h.shape))


class SharedModulation(nn.Module):
    """The shared vectors plus this block's table, C + E_b.  (HDDM, Eq. 16)"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(6, width) / width**0.5)

    def forward(self, tau: Tensor, shared: Tensor) -> Tensor:
        """[B, 6, d] from `shared` [B, 6, d]; tau [B, d] is not used."""
        return shared + self.table


class OwnModulation(nn.Module):
    """Six vectors from this block's own linear layer, initialised to zero.  (AdaLN-Zero)"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = zero_linear(width, 6 * width)

    def forward(self, tau: Tensor, shared: Tensor | None) -> Tensor:
        """[B, 6, d] from tau [B, d]; `shared` is not used."""
        return self.linear(F.silu(tau)).unflatten(-1, (6, -1))


INDUCTOR = {"cpp.use_decompose_tanh": True}
"""How blocks are compiled: on a CPU, GELU's tanh by one exponential, in half the time."""


class Block(nn.Module):
    """Self-attention, cross-attention if there is text, MLP.  (HDDM, Eqs. 17-19)

    cross_norm: cross-attention reads LN(h) as in Eq. 18, or h itself as in Paris 1.0.
    """

    def __init__(self, size: Size, adaln: AdaLN, with_text: bool, cross_norm: bool = True) -> None:
        super().__init__()
        d = size.width
        self.cross_norm = cross_norm
        self.norm = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.modulation = SharedModulation(d) if adaln is AdaLN.SINGLE else OwnModulation(d)
        self.attention = Attention(d, size.heads)
        self.cross = Attention(d, size.heads, zero_out=True) if with_text else None
        self.mlp = nn.Sequential(linear(d, 4 * d), nn.GELU(approximate="tanh"), linear(4 * d, d))

    def forward(
        self,
        h: Tensor,
        tau: Tensor,
        shared: Tensor | None,
        e: Tensor | None,
        key_value: Tensor | None = None,
        which: Tensor | None = None,
    ) -> Tensor:
        """The next h [B, N, d].

        Args:
            h: tokens of x [B, N, d].
            tau: time embedding [B, d].
            shared: six vectors [B, 6, d] shared by all blocks; None with AdaLN-Zero.
            e: projected text tokens [B, L, d]; read only by a block with text.
            key_value: what its cross-attention has read of e, where that is known already.
            which: each row's own [B] of e [n, L, d], where rows share captions.
        """
        six = self.modulation(tau, shared).unsqueeze(2).unbind(1)  # each [B, 1, d]
        scale_msa, shift_msa, gate_msa, scale_mlp, shift_mlp, gate_mlp = six
        normed = self.norm(h) * (1 + scale_msa) + shift_msa
        h = h + gate_msa * self.attention(normed, normed)  # Eq. 17
        if self.cross is not None:
            asking = self.norm(h) if self.cross_norm else h
            if key_value is None:
                h = h + self.cross(asking, cast(Tensor, e), which)  # Eq. 18
            else:
                h = h + self.cross.attend(asking, key_value)
        return h + gate_mlp * self.mlp(self.norm(h) * (1 + scale_mlp) + shift_mlp)  # Eq. 19
