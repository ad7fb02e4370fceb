"""Other projects' parts that ours is measured against: their versions, diffusers' PixArt.

They are imported where they are built, since some take seconds to import.
"""

import importlib.metadata
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from modules.dit import DiT, TextShape
from modules.text import Text

TEXT = TextShape()
IMAGE, CHANNELS, PATCH = 32, 4, 2
TIMES = 1000
"""Both networks embed 1000 t."""
Predict = Callable[[Tensor, Tensor, Text], Tensor]
"""(x_t [B, C, H, W], t [B], c) -> y [B, C, H, W]"""


def versioned(distribution: str, part: str = "") -> str:
    """`distribution` with its version, and the part of it that is used."""
    return f"{distribution} {importlib.metadata.version(distribution)} {part}".strip()


def pixart(shape: DiT) -> nn.Module:
    """diffusers' PixArtTransformer2DModel of the shape: AdaLN-Single, cross-attention to text."""
    from diffusers import PixArtTransformer2DModel

    size, text = shape.size, shape.text
    network: Any = PixArtTransformer2DModel(
        num_attention_heads=size.heads,
        attention_head_dim=size.width // size.heads,
        num_layers=size.depth,
        in_channels=shape.channels,
        out_channels=shape.channels,
        sample_size=shape.image,
        patch_size=shape.patch,
        cross_attention_dim=size.width,
        caption_channels=None if text is None else text.width,
    )
    return network


def asked(network: nn.Module, x: Tensor, t: Tensor, c: Text) -> Tensor:
    """PixArt's y [B, C, H, W] at x [B, C, H, W], t [B] in [0, 1]; captions are never dropped."""
    answer: Any = network(x, encoder_hidden_states=c.tokens, timestep=TIMES * t, return_dict=False)
    return answer[0]


def batch(shape: DiT, n: int, seed: int = 0) -> tuple[Tensor, Tensor, Text, Tensor]:
    """(x [n, C, H, W], t [n], c, a target like x), drawn from the seed."""
    g = torch.Generator().manual_seed(seed)
    text = shape.text or TEXT
    x, target = (torch.randn(n, *shape.latent, generator=g) for _ in range(2))
    tokens = torch.randn(n, text.length, text.width, generator=g)
    pooled = torch.randn(n, text.pooled, generator=g)
    return x, torch.rand(n, generator=g), Text.of(tokens, pooled), target


def trained_numbers(network: nn.Module) -> int:
    """Parameters that an optimiser updates."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def counted_flops(call: Callable[[], object]) -> int:
    """FLOPs of matrix products and convolutions in a call; a multiply-add is 2."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def training_flops(network: nn.Module, predict: Predict, shape: DiT, n: int) -> int:
    """FLOPs of a step of n samples, forward and backward, attention's included.

    Counted on the meta device: the CPU's fused attention is not in torch's table. The network
    moves there, and its numbers are lost.
    """
    network.to("meta")
    x, t, c, _ = batch(shape, n)
    meta = torch.device("meta")
    return counted_flops(
        lambda: predict(x.to(meta), t.to(meta), c.to(meta)).square().mean().backward()
    )
