"""Diffusion transformers: the expert's DiT and the router's, in sizes XS to XL.

AdaLN-Single (PixArt-alpha; HDDM, Eqs. 14-19) shares one MLP tau(t) -> 6d among all blocks, each
adding a table of its own; AdaLN-Zero (Peebles and Xie) gives every block its own. The modulation
order is Eq. 16's, scale, shift, gate, and cross-attention reads the normalised state (Eq. 18).
"""

import math
from dataclasses import dataclass
from enum import Enum
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.text import Text


@dataclass(frozen=True)
class Size:
    """width d, depth (number of blocks), attention heads."""

    width: int
    depth: int
    heads: int

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width {self.width} must divide by {self.heads} heads and by 4")


#               width depth heads
XS = Size(64, 4, 4)
S = Size(384, 12, 6)
B = Size(768, 12, 12)
L = Size(1024, 24, 16)
XL = Size(1152, 28, 16)


class AdaLN(Enum):
    SINGLE = "single"
    ZERO = "zero"


@dataclass(frozen=True)
class TextShape:
    """What the text encoder gives: `length` tokens of `width`, and a pooled vector."""

    length: int = 77
    width: int = 768
    pooled: int = 768


@dataclass(frozen=True)
class DiT:
    """The shape of a network over x [B, channels, image, image], cut into patch x patch tokens.

    text: captions read by cross-attention; None for an unconditional network.
    frequencies: width of the sinusoidal time features, of 1000 t.
    text_std, head_std: deviations of the initial text projection and output layer; Eq. 20 has 0.02
    for both after conversion, §2.5 and §6.2 zero.
    """

    size: Size = XL
    image: int = 32
    channels: int = 4
    patch: int = 2
    adaln: AdaLN = AdaLN.SINGLE
    text: TextShape | None = TextShape()
    frequencies: int = 256
    text_std: float = 0.02
    head_std: float = 0.0

    def __post_init__(self) -> None:
        if self.image % self.patch:
            raise ValueError(f"patch {self.patch} does not divide the image side {self.image}")

    @property
    def tokens(self) -> int:
        return (self.image // self.patch) ** 2


def sinusoids(position: Tensor, width: int) -> Tensor:
    """[..., width]: cosines then sines of `position` at width / 2 geometric frequencies to 1e-4."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=position.device)
    angle = position.float().unsqueeze(-1) * torch.exp(-math.log(10_000) * steps / half)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def position_table(side: int, width: int) -> Tensor:
    """[1, side^2, width]: fixed positions, half the width for each axis."""
    axis = sinusoids(torch.arange(side), width // 2)  # [side, width / 2]
    rows = axis[:, None].expand(side, side, -1)
    columns = axis[None, :].expand(side, side, -1)
    return torch.cat([columns, rows], dim=-1).reshape(1, side * side, width)


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

    def __init__(self, size: Size, adaln: AdaLN, with_text: bool) -> None:
        super().__init__()
        d = size.width
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
            h = h + self.cross(self.norm(h), e)  # Eq. 18
        return h + gate_mlp * self.mlp(self.norm(h) * (1 + scale_mlp) + shift_mlp)  # Eq. 19


class Trunk(nn.Module):
    """Patches, positions, time and blocks: what experts and routers share."""

    def __init__(self, shape: DiT) -> None:
        super().__init__()
        d = shape.size.width
        self.shape = shape
        self.patches = nn.Conv2d(shape.channels, d, shape.patch, shape.patch)
        nn.init.constant_(cast(Tensor, self.patches.bias), 0.0)
        nn.init.xavier_uniform_(self.patches.weight.flatten(1))
        self.positions: Tensor
        self.register_buffer("positions", position_table(shape.image // shape.patch, d))
        self.time = nn.Sequential(
            normal_linear(shape.frequencies, d, std=0.02), nn.SiLU(), normal_linear(d, d, std=0.02)
        )
        self.global_mlp = zero_linear(d, 6 * d) if shape.adaln is AdaLN.SINGLE else None
        with_text = shape.text is not None
        self.blocks = nn.ModuleList(
            Block(shape.size, shape.adaln, with_text) for _ in range(shape.size.depth)
        )

    def embed(self, x: Tensor) -> Tensor:
        """Patch tokens [B, N, d] of x [B, C, H, W]."""
        return self.patches(x).flatten(2).transpose(1, 2) + self.positions

    def embed_time(self, t: Tensor) -> Tensor:
        """tau(t) [B, d] for t [B] in [0, 1]."""
        return self.time(sinusoids(1000 * t, self.shape.frequencies).to(self.positions.dtype))

    def forward(self, h: Tensor, tau: Tensor, e: Tensor | None) -> Tensor:
        shared = None
        if self.global_mlp is not None:
            shared = self.global_mlp(F.silu(tau)).unflatten(-1, (6, -1))  # Eqs. 14-15, one for all
        for block in self.blocks:
            h = block(h, tau, shared, e)
        return h


class FinalLayer(nn.Module):
    """Norm, scale and shift by tau, and the projection to patches."""

    def __init__(self, shape: DiT) -> None:
        super().__init__()
        d = shape.size.width
        self.norm = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.linear = normal_linear(d, shape.patch**2 * shape.channels, std=shape.head_std)
        single = shape.adaln is AdaLN.SINGLE
        self.table = nn.Parameter(torch.randn(2, d) / d**0.5) if single else None
        self.modulation = None if single else zero_linear(d, 2 * d)

    def forward(self, h: Tensor, tau: Tensor) -> Tensor:
        if self.table is not None:
            two = tau.unsqueeze(1) + self.table
        else:
            assert self.modulation is not None
            two = self.modulation(F.silu(tau)).unflatten(-1, (2, -1))
        scale, shift = two.unsqueeze(2).unbind(1)
        return self.linear(self.norm(h) * (1 + scale) + shift)


class DiTNetwork(nn.Module):
    """The expert's network: (x_t [B, C, H, W], t [B], c) -> y [B, C, H, W]."""

    def __init__(self, shape: DiT) -> None:
        super().__init__()
        self.shape = shape
        self.trunk = Trunk(shape)
        self.final = FinalLayer(shape)
        if shape.text is not None:
            self.text = normal_linear(shape.text.width, shape.size.width, shape.text_std)
            self.null = nn.Parameter(0.02 * torch.randn(shape.text.length, shape.text.width))

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        trunk, e = self.trunk, None
        if self.shape.text is not None:
            if c is None:
                raise ValueError("this network reads captions; Text.null() stands for none")
            e = self.text(torch.where(c.keep[:, None, None], c.tokens, self.null))
        tau = trunk.embed_time(t)
        h = self.final(trunk(trunk.embed(x), tau, e), tau)  # [B, N, patch^2 C]
        side = self.shape.image // self.shape.patch
        h = h.unflatten(1, (side, side)).unflatten(-1, (self.shape.patch, self.shape.patch, -1))
        return h.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def count_parameters(network: nn.Module) -> int:
    """Parameters as the papers count them: the fixed position table in, the null embedding out."""
    own = sum(p.numel() for name, p in network.named_parameters() if name != "null")
    return own + sum(b.numel() for b in network.buffers())
