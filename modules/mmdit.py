"""FLUX's MM-DiT over packed video latents, with rotary positions in time, height and width.

The blocks are diffusers' FluxTransformer2DModel. Latents [B, C, T, H, W] are cut into patches of
2 x 2 and become one row of tokens whose ids carry (frame, row, column).  (Paris 2.0, §3.1)
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from modules.dit import TextShape
from modules.text import Text


def axes(head: int) -> tuple[int, int, int]:
    """How a head of that width is divided among time, height and width: 16, 56, 56 of FLUX's 128.

    Raises ValueError if it cannot be, pairs being turned.
    """
    time = 4 * -(-head // 32)
    if head % 4 or head <= time:
        raise ValueError(f"a head of {head} cannot be divided among three axes of pairs")
    return time, (head - time) // 2, (head - time) // 2


@dataclass(frozen=True)
class MMSize:
    """double: blocks with weights of their own for text and video; single: with one set for both.

    Raises ValueError for heads that cannot be divided among three axes.
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
        axes(self.width // self.heads)


#                width double single heads
XS = MMSize(64, 2, 2, 2)
S = MMSize(384, 4, 8, 6)
B = MMSize(768, 6, 12, 12)
L = MMSize(1536, 12, 24, 12)
FLUX = MMSize(3072, 19, 38, 24)
"""FLUX.1-dev's, 11.9B parameters: the experts that Paris 2.0 calls 11B."""


@dataclass(frozen=True)
class MMDiT:
    """The shape of a network over x [B, channels, frames, side, side].

    first: whether it may be given the first frame, as FLUX's editing models are given a picture:
    its latent and a mask stand beside x as further channels.
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
        return self.frames * (self.side // self.patch) ** 2

    def thinnest(self) -> "MMDiT":
        """The same with one block of each kind."""
        return replace(self, size=replace(self.size, double=1, single=1))

    def spared(self) -> int:
        """Tokens that further blocks read, of a sample: of x and of the caption."""
        more = self.size.double + self.size.single - 2
        return more * (self.tokens + self.text.length)

    @property
    def width(self) -> int:
        """Numbers in a token of x."""
        return self.channels * self.patch**2

    @property
    def latent(self) -> tuple[int, ...]:
        """(C, T, H, W) of what is read."""
        return (self.channels, self.frames, self.side, self.side)

    def build(self) -> "MMDiTNetwork":
        return MMDiTNetwork(self)


def pack(x: Tensor, patch: int) -> Tensor:
    """Tokens [B, T H/p W/p, C p p] of x [B, C, T, H, W]."""
    b, c, t, h, w = x.shape
    x = x.view(b, c, t, h // patch, patch, w // patch, patch)
    return x.permute(0, 2, 3, 5, 1, 4, 6).reshape(b, -1, c * patch**2)


def unpack(tokens: Tensor, like: Tensor, patch: int) -> Tensor:
    """[B, C, T, H, W], as `like`, of its tokens."""
    b, c, t, h, w = like.shape
    x = tokens.view(b, t, h // patch, w // patch, c, patch, patch)
    return x.permute(0, 4, 1, 2, 5, 3, 6).reshape(like.shape)


def token_ids(frames: int, rows: int, columns: int) -> Tensor:
    """(frame, row, column) of every token, [N, 3], in the order of `pack`."""
    grid = torch.meshgrid(*map(torch.arange, (frames, rows, columns)), indexing="ij")
    return torch.stack(grid, dim=-1).view(-1, 3).float()


def transformer(shape: MMDiT) -> Any:
    """The network of diffusers, its modulations and output zero as DiTs begin."""
    from diffusers import FluxTransformer2DModel  # seconds to import

    size = shape.size
    given = shape.width + shape.patch**2 if shape.first else 0
    network: Any = FluxTransformer2DModel(
        patch_size=1,
        in_channels=shape.width + given,
        out_channels=shape.width,
        num_layers=size.double,
        num_single_layers=size.single,
        attention_head_dim=size.width // size.heads,
        num_attention_heads=size.heads,
        joint_attention_dim=shape.text.width,
        pooled_projection_dim=shape.text.pooled,
        axes_dims_rope=axes(size.width // size.heads),
    )
    parts: Iterator[Any] = network.modules()
    modulations = [m.linear for m in parts if type(m).__name__.startswith("AdaLayerNorm")]
    for layer in (*modulations, network.proj_out):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return network


class MMDiTNetwork(nn.Module):
    """The expert's network: (x_t [B, C, T, H, W], t [B], c) -> y [B, C, T, H, W].

    Where a caption is dropped stand null_t5 [L, D] and null_clip [P], the encoding of the empty
    string, kept with the weights: `set_null` before training.
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
        """What the encoders make of the empty string: [L, D] and [P]."""
        self.null_t5.copy_(tokens)
        self.null_clip.copy_(pooled)

    def checkpoint(self, on: bool) -> None:
        """Keep a block's input alone and run it again going backward, or not."""
        (self.transformer.enable_gradient_checkpointing if on
         else self.transformer.disable_gradient_checkpointing)()  # fmt: skip

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        if c is None:
            raise ValueError("this network reads captions; Text.null() stands for none")
        patch = self.shape.patch
        h = pack(x, patch)
        if self.shape.first:
            h = torch.cat([h, self._given(x, c)], dim=-1)
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

    def _given(self, x: Tensor, c: Text) -> Tensor:
        """The first frame's latent, where there is one, and a mask of where that is."""
        latent = torch.zeros_like(x)
        mask = x.new_zeros(len(x), 1, *x.shape[2:])
        if c.first is not None:
            keep = c.first.keep[:, None, None, None, None]
            latent[:, :, :1] = torch.where(keep, c.first.latent, 0.0)
            mask[:, :, :1] = keep.to(x.dtype)
        return torch.cat([pack(latent, self.shape.patch), pack(mask, self.shape.patch)], dim=-1)
