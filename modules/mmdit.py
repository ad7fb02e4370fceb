"""FLUX's MM-DiT over packed video latents, with rotary positions in time, height and width.

The blocks are diffusers' FluxTransformer2DModel. Latents [B, C, T, H, W] are cut into p x p patches
(p = 2) and packed as one sequence of N tokens; each has an id (frame, row, column).
(Paris 2.0, §3.1)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from modules.blocks import INDUCTOR
from modules.dit import TextShape
from modules.text import Text


def rotary_axes(head: int) -> tuple[int, int, int]:
    """How a head's width is divided among time, height and width: 16, 56, 56 of FLUX's 128.

    Each part must be even, since rotary positions rotate pairs. Raises ValueError if that fails.
    """
    time = 4 * -(-head // 32)
    if head % 4 or head <= time:
        raise ValueError(f"a head of {head} cannot be divided among three axes of pairs")
    return time, (head - time) // 2, (head - time) // 2


@dataclass(frozen=True)
class MMSize:
    """A transformer's size.

    width: of its token states, d.  heads: of attention, among which the width divides.
    double: blocks with separate weights for text and video.  single: blocks with one set for both.
    Raises ValueError for sizes that make no network, or a head that `rotary_axes` cannot divide.
    """

    width: int
    double: int
    single: int
    heads: int

    def __post_init__(self) -> None:
        if min(self.width, self.heads) < 1 or min(self.double, self.single) < 0:
            raise ValueError(f"{self}: width and heads must be positive, blocks not negative")
        if self.double + self.single == 0:
            raise ValueError(f"{self} has no block")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide among {self.heads} heads")
        rotary_axes(self.width // self.heads)


#                width double single heads
XS = MMSize(64, 2, 2, 2)
S = MMSize(384, 4, 8, 6)
B = MMSize(768, 6, 12, 12)
L = MMSize(1536, 12, 24, 12)
FLUX = MMSize(3072, 19, 38, 24)
"""FLUX.1-dev, 11.9B parameters: the experts that Paris 2.0 calls 11B."""


@dataclass(frozen=True)
class MMDiT:
    """The shape of a network over x [B, channels, frames, side, side].

    first: the network can be given the first frame. Its latent and a mask are further channels
        beside x, as FLUX's editing models read a picture.
    Raises ValueError if the patch does not divide the side.
    """

    size: MMSize = FLUX
    channels: int = 16
    frames: int = 5
    side: int = 32
    patch: int = 2
    text: TextShape = TextShape(512, 4096, 768)
    first: bool = False

    def __post_init__(self) -> None:
        if self.side % self.patch:
            raise ValueError(f"patch {self.patch} does not divide the latent's side {self.side}")

    @property
    def tokens(self) -> int:
        """N, the tokens of one sample of x."""
        return self.frames * (self.side // self.patch) ** 2

    def shallowest(self) -> "MMDiT":
        """The same shape with one block of each kind."""
        return replace(self, size=replace(self.size, double=1, single=1))

    def tokens_past_shallowest(self) -> int:
        """Tokens of a sample, of x and caption, summed over the blocks that `shallowest` lacks."""
        blocks = self.size.double + self.size.single - 2
        return blocks * (self.tokens + self.text.length)

    @property
    def width(self) -> int:
        """Values in one token of x: C p^2."""
        return self.channels * self.patch**2

    @property
    def latent(self) -> tuple[int, ...]:
        """The shape of one input: (C, T, H, W)."""
        return (self.channels, self.frames, self.side, self.side)

    def build(self) -> "MMDiTNetwork":
        """A new network, initialised from torch's global generator."""
        return MMDiTNetwork(self)


def pack(x: Tensor, patch: int) -> Tensor:
    """x [B, C, T, H, W] as tokens [B, T H/p W/p, C p^2], p = `patch`."""
    b, c, t, h, w = x.shape
    x = x.view(b, c, t, h // patch, patch, w // patch, patch)
    return x.permute(0, 2, 3, 5, 1, 4, 6).reshape(b, -1, c * patch**2)


def unpack(tokens: Tensor, like: Tensor, patch: int) -> Tensor:
    """The inverse of `pack`: tokens [B, N, C p^2] in the shape of `like`, [B, C, T, H, W]."""
    b, c, t, h, w = like.shape
    x = tokens.view(b, t, h // patch, w // patch, c, patch, patch)
    return x.permute(0, 4, 1, 2, 5, 3, 6).reshape(like.shape)


def token_ids(frames: int, rows: int, columns: int) -> Tensor:
    """(frame, row, column) of every token [N, 3], float32, in the order of `pack`."""
    grid = torch.meshgrid(*map(torch.arange, (frames, rows, columns)), indexing="ij")
    return torch.stack(grid, dim=-1).view(-1, 3).float()


def transformer(shape: MMDiT) -> Any:
    """diffusers' network, with modulations and output layer initialised to zero as in DiT."""
    from diffusers import FluxTransformer2DModel  # seconds to import

    size = shape.size
    frame_channels = shape.width + shape.patch**2 if shape.first else 0
    network: Any = FluxTransformer2DModel(
        patch_size=1,
        in_channels=shape.width + frame_channels,
        out_channels=shape.width,
        num_layers=size.double,
        num_single_layers=size.single,
        attention_head_dim=size.width // size.heads,
        num_attention_heads=size.heads,
        joint_attention_dim=shape.text.width,
        pooled_projection_dim=shape.text.pooled,
        axes_dims_rope=rotary_axes(size.width // size.heads),
    )
    parts: Iterator[Any] = network.modules()
    modulations = [m.linear for m in parts if type(m).__name__.startswith("AdaLayerNorm")]
    for layer in (*modulations, network.proj_out):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return network


class MMDiTNetwork(nn.Module):
    """The expert's network: (x_t [B, C, T, H, W], t [B], c) -> y [B, C, T, H, W].

    null_t5 [L, D] and null_clip [P] replace a dropped caption. They encode the empty string and are
    saved with the weights; call `set_null` before training.
    """

    def __init__(self, shape: MMDiT) -> None:
        super().__init__()
        self.shape = shape
        self.transformer = transformer(shape)
        self.null_t5: Tensor
        self.null_clip: Tensor
        self.register_buffer("null_t5", torch.zeros(shape.text.length, shape.text.width))
        self.register_buffer("null_clip", torch.zeros(shape.text.pooled))

    def set_null(self, tokens: Tensor, pooled: Tensor) -> None:
        """Set the encoding of the empty string: tokens [L, D] and pooled [P]."""
        self.null_t5.copy_(tokens)
        self.null_clip.copy_(pooled)

    def checkpoint(self, on: bool) -> None:
        """Turn activation checkpointing on or off: recompute each block in the backward pass."""
        (self.transformer.enable_gradient_checkpointing if on
         else self.transformer.disable_gradient_checkpointing)()  # fmt: skip

    def compile_blocks(self, rows_vary: bool = False) -> None:
        """Compile each block: those of a kind share their graphs, and keep their names.

        rows_vary: one graph for all numbers of rows but 1, whichever comes first.
        """
        self.transformer.compile_repeated_blocks(dynamic=rows_vary or None, options=INDUCTOR)

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        """The prediction y [B, C, T, H, W], in x's dtype.

        Args:
            x: x_t [B, C, T, H, W].
            t: times [B] in [0, 1].
            c: captions, tokens [B, L, D] and pooled [B, P], and first frames if `shape.first`.
                ValueError for None.
        """
        if c is None:
            raise ValueError("this network reads captions; Text.null() stands for none")
        patch = self.shape.patch
        h = pack(x, patch)
        if self.shape.first:
            h = torch.cat([h, self._frame_tokens(x, c)], dim=-1)
        frames, rows, columns = x.shape[2], x.shape[3] // patch, x.shape[4] // patch
        y = self.transformer(
            hidden_states=h,
            encoder_hidden_states=torch.where(c.keep[:, None, None], c.tokens, self.null_t5),
            pooled_projections=torch.where(c.keep[:, None], c.pooled, self.null_clip),
            timestep=t.to(x.dtype),
            img_ids=token_ids(frames, rows, columns).to(x.device),
            txt_ids=torch.zeros(c.tokens.shape[1], 3, device=x.device),
            return_dict=False,
        )[0]
        return unpack(y, x, patch).to(x.dtype)

    def _frame_tokens(self, x: Tensor, c: Text) -> Tensor:
        """[B, N, (C + 1) p^2]: the given first frame's latent, and a mask of where it stands."""
        latent = torch.zeros_like(x)
        mask = x.new_zeros(len(x), 1, *x.shape[2:])
        if c.first is not None:
            keep = c.first.keep[:, None, None, None, None]
            latent[:, :, :1] = torch.where(keep, c.first.latent, 0.0)
            mask[:, :, :1] = keep.to(x.dtype)
        return torch.cat([pack(latent, self.shape.patch), pack(mask, self.shape.patch)], dim=-1)
