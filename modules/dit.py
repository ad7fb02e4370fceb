"""Diffusion transformers: the expert's DiT and the router's trunk, in sizes XS to XL.

Shapes: B samples, C channels, T frames, N tokens of x, L tokens of text, width d, patch side p.
"""

from dataclasses import dataclass, replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from modules.blocks import INDUCTOR, AdaLN, Attention, Block, Size, normal_linear, zero_linear
from modules.positions import positions, sinusoids
from modules.text import Text
from modules.timesteps import Thousand, TimeMap

#               width depth heads
XS = Size(64, 4, 4)
S = Size(384, 12, 6)
B = Size(768, 12, 12)
L = Size(1024, 24, 16)
XL = Size(1152, 28, 16)


@dataclass(frozen=True)
class TextShape:
    """What a text encoder returns for a caption: tokens [length, width] and a vector [pooled]."""

    length: int = 77
    width: int = 768
    pooled: int = 768


@dataclass(frozen=True)
class DiT:
    """The shape of a network over x [B, channels, image, image], cut into patch x patch tokens.

    text: the captions that cross-attention reads; None for an unconditional network.
    frequencies: width of the sinusoidal features of time(t).
    text_std, head_std: standard deviations of the initial text projection and output layer. HDDM's
        Eq. 20 gives 0.02 for both after conversion, §2.5 and §6.2 give zero.
    time: maps t to the number that is embedded.
    cross_norm: cross-attention reads LN(h) as in Eq. 18, or h as in Paris 1.0.
    frames: T of a video latent x [B, channels, T, image, image]; None for pictures.
    Raises ValueError if the patch does not divide the image side.
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
    time: TimeMap = Thousand()
    cross_norm: bool = True
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.image % self.patch:
            raise ValueError(f"patch {self.patch} does not divide the image side {self.image}")

    @property
    def tokens(self) -> int:
        """N, the tokens of one sample."""
        return (self.frames or 1) * (self.image // self.patch) ** 2

    @property
    def latent(self) -> tuple[int, ...]:
        """The shape of one input: (C, H, W), or (C, T, H, W)."""
        time = () if self.frames is None else (self.frames,)
        return (self.channels, *time, self.image, self.image)

    def shallowest(self) -> "DiT":
        """The same shape with one block."""
        return replace(self, size=replace(self.size, depth=1))

    def tokens_past_shallowest(self) -> int:
        """Tokens of one sample, summed over the blocks that `shallowest` lacks."""
        return (self.size.depth - 1) * self.tokens

    def build(self) -> "DiTNetwork":
        """A new network, initialised from torch's global generator."""
        return DiTNetwork(self)


class Trunk(nn.Module):
    """Patch embedding, positions, time embedding and blocks: what experts and routers share."""

    def __init__(self, shape: DiT) -> None:
        super().__init__()
        d = shape.size.width
        self.shape, self.checkpointing, self.compiled = shape, False, False
        self.patches = nn.Conv2d(shape.channels, d, shape.patch, shape.patch)
        nn.init.constant_(cast(Tensor, self.patches.bias), 0.0)
        nn.init.xavier_uniform_(self.patches.weight.flatten(1))
        self.positions: Tensor
        table = positions(shape.image // shape.patch, d, shape.frames)
        self.register_buffer("positions", table)
        self.time = nn.Sequential(
            normal_linear(shape.frequencies, d, std=0.02), nn.SiLU(), normal_linear(d, d, std=0.02)
        )
        self.global_mlp = zero_linear(d, 6 * d) if shape.adaln is AdaLN.SINGLE else None
        with_text = shape.text is not None
        self.blocks = nn.ModuleList(
            Block(shape.size, shape.adaln, with_text, shape.cross_norm)
            for _ in range(shape.size.depth)
        )

    def checkpoint(self, on: bool) -> None:
        """Turn on or off that backward passes run each block again. Gradients keep their bits."""
        self.checkpointing = on

    def compile_blocks(self, rows_vary: bool = False) -> None:
        """Compile each block: they share one graph, whatever the depth, and keep their names.

        rows_vary: one graph for all numbers of rows but 1, whichever comes first.
        """
        self.compiled = True
        for block in self.blocks:
            block.compile(dynamic=rows_vary or None, options=INDUCTOR)

    def embed(self, x: Tensor) -> Tensor:
        """Patch tokens [B, N, d] of x [B, C, H, W], or [B, T N, d] of x [B, C, T, H, W]."""
        if self.shape.frames is None:
            return self.patches(x).flatten(2).transpose(1, 2) + self.positions
        frames = x.transpose(1, 2)
        h = self.patches(frames.flatten(0, 1)).flatten(2).transpose(1, 2)  # [B T, N, d]
        return h.reshape(len(x), -1, h.shape[-1]) + self.positions

    def embed_time(self, t: Tensor) -> Tensor:
        """tau(t) [B, d] of t [B] in [0, 1]."""
        features = sinusoids(self.shape.time(t), self.shape.frequencies)
        return self.time(features.to(self.positions.dtype))

    def key_values(self, e: Tensor) -> Tensor:
        """Keys and values [B, depth, 2, heads, L, d / heads] of text e [B, L, d] in every block."""
        crosses = [cast(Attention, block.cross) for block in self.blocks]
        return torch.stack([cross.read(e) for cross in crosses], dim=1)

    def forward(
        self,
        h: Tensor,
        tau: Tensor,
        e: Tensor | None,
        key_values: Tensor | None = None,
        which: Tensor | None = None,
    ) -> Tensor:
        """All blocks: [B, N, d] from h [B, N, d], tau [B, d] and text e [B, L, d], or None.

        key_values: what `key_values` makes of e, in the place of e.
        which: each row's own [B] of e [n, L, d], where rows share captions.
        """
        shared = None
        if self.global_mlp is not None:
            shared = self.global_mlp(F.silu(tau)).unflatten(-1, (6, -1))  # Eqs. 14-15, one for all
        recompute = self.checkpointing and torch.is_grad_enabled()
        for i, block in enumerate(self.blocks):
            known = None if key_values is None else key_values[:, i]
            given = (h, tau, shared, e, known, which)
            if recompute:  # nothing in a block is random
                h = checkpoint(block, *given, use_reentrant=False, preserve_rng_state=False)
            else:
                h = block(*given)
        return h


class FinalLayer(nn.Module):
    """Layer norm, modulation by tau, and a linear layer to the pixels of each patch."""

    def __init__(self, shape: DiT) -> None:
        super().__init__()
        d = shape.size.width
        self.norm = nn.LayerNorm(d, elementwise_affine=False, eps=1e-6)
        self.linear = normal_linear(d, shape.patch**2 * shape.channels, std=shape.head_std)
        single = shape.adaln is AdaLN.SINGLE
        self.table = nn.Parameter(torch.randn(2, d) / d**0.5) if single else None
        self.modulation = None if single else zero_linear(d, 2 * d)

    def forward(self, h: Tensor, tau: Tensor) -> Tensor:
        """Patches [B, N, p^2 C] from h [B, N, d] and tau [B, d]."""
        if self.table is not None:
            two = tau.unsqueeze(1) + self.table
        else:
            assert self.modulation is not None
            two = self.modulation(F.silu(tau)).unflatten(-1, (2, -1))
        scale, shift = two.unsqueeze(2).unbind(1)
        return self.linear(self.norm(h) * (1 + scale) + shift)


class DiTNetwork(nn.Module):
    """The expert's network: (x_t [B, C, H, W], t [B], c) -> y [B, C, H, W].

    Raises ValueError for a shape with frames: experts for video are `MMDiT`s, and only a router's
    trunk reads video as a DiT.
    """

    def __init__(self, shape: DiT) -> None:
        super().__init__()
        if shape.frames is not None:
            raise ValueError("a DiT is an expert of pictures: an expert of video is an MMDiT")
        self.shape = shape
        self.trunk = Trunk(shape)
        self.final = FinalLayer(shape)
        if shape.text is not None:
            self.text = normal_linear(shape.text.width, shape.size.width, shape.text_std)
            self.null = nn.Parameter(0.02 * torch.randn(shape.text.length, shape.text.width))

    def project(self, c: Text) -> Tensor:
        """The projected tokens e [B, L, d] of captions, [n, L, d] of shared ones, or of null."""
        return self.text(c.with_replaced(self.null))

    def read(self, c: Text) -> Tensor:
        """The keys and values of captions in every block: [B, depth, 2, heads, L, d / heads]."""
        return self.trunk.key_values(self.project(c))

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        """The prediction y [B, C, H, W], in x's dtype under autocast too.

        Args:
            x: x_t [B, C, H, W].
            t: times [B] in [0, 1].
            c: captions, tokens [B, L, D]. ValueError if a network with text gets None.
        """
        trunk, e, key_values, which = self.trunk, None, None, None
        if self.shape.text is not None:
            if c is None:
                raise ValueError("this network reads captions; Text.null() stands for none")
            if c.recall is None:
                if trunk.compiled:  # one graph whatever the captions
                    c = replace(c, shared=None)
                e, which = self.project(c), None if c.shared is None else c.shared.which
            else:
                key_values = c.recall.read_by(self, lambda rows: self.read(c[rows]))
        tau = trunk.embed_time(t)
        h = self.final(trunk(trunk.embed(x), tau, e, key_values, which), tau)  # [B, N, patch^2 C]
        side = self.shape.image // self.shape.patch
        h = h.unflatten(1, (side, side)).unflatten(-1, (self.shape.patch, self.shape.patch, -1))
        y = h.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        return y.to(x.dtype)


def count_parameters(network: nn.Module) -> int:
    """Parameters as the papers count them: positions included, null embeddings excluded."""
    own = sum(p.numel() for name, p in network.named_parameters() if name != "null")
    return own + sum(b.numel() for name, b in network.named_buffers() if "null" not in name)
