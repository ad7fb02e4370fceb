"""What encoders and judges cost, computed from their published architectures, without weights."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from datamodules.encoders.autoencoders import Autoencoder
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.dinov2 import DINOv2Features
from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder, TextEncoder

DINOV2_PATCH, WIDTH, DEPTH, HEADS = 14, 1024, 24, 16
"""DINOv2's and CLIP's ViT-L."""


def _forward(build: Callable[[], nn.Module], ask: Callable[[nn.Module], Any]) -> float:
    """FLOPs of one forward pass of a network that is built without memory."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        ask(build())
    return float(counter.get_total_flops())


def _picture(side: int) -> Tensor:
    return torch.empty(1, 3, side, side)


def encode_flops(latents: LatentEncoder, side: int) -> float:
    """FLOPs to encode a picture; an autoencoder is counted as Stable Diffusion's."""
    return _autoencoder_flops(side)[0] if isinstance(latents, Autoencoder) else 0.0


def decode_flops(latents: LatentEncoder, side: int) -> float:
    """FLOPs to decode a picture of this side."""
    return _autoencoder_flops(side)[1] if isinstance(latents, Autoencoder) else 0.0


@functools.cache
def _autoencoder_flops(side: int) -> tuple[float, float]:
    from diffusers import AutoencoderKL

    ends = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    with torch.device("meta"):
        vae: Any = AutoencoderKL(
            down_block_types=ends[0], up_block_types=ends[1], layers_per_block=2,
            block_out_channels=(128, 256, 512, 512), latent_channels=4,
        )  # fmt: skip
        z = torch.empty(1, 4, side // 8, side // 8)
    return (
        _forward(lambda: vae, lambda _: vae.encode(_picture(side))),
        _forward(lambda: vae, lambda _: vae.decode(z)),
    )


@functools.cache
def dinov2_flops(side: int) -> float:
    """FLOPs of DINOv2 ViT-L/14 on a picture of this side."""
    from transformers import Dinov2Config, Dinov2Model

    shape = Dinov2Config(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
        patch_size=DINOV2_PATCH, image_size=side,
    )  # fmt: skip
    return _forward(lambda: Dinov2Model(shape), lambda m: m(_picture(side)))


def feature_flops(features: FeatureEncoder) -> float:
    """FLOPs of the features that are clustered, of a picture."""
    return dinov2_flops(features.side) if isinstance(features, DINOv2Features) else 0.0


def text_flops(text: TextEncoder) -> float:
    """FLOPs of a caption in CLIP's text tower."""
    return _tower_flops(text.width, text.length) if isinstance(text, ClipText) else 0.0


@functools.cache
def _tower_flops(width: int, length: int) -> float:
    from transformers import CLIPTextConfig, CLIPTextModel

    shape = CLIPTextConfig(
        hidden_size=width, num_hidden_layers=12, num_attention_heads=12, intermediate_size=4 * width
    )
    ids = torch.zeros(1, length, dtype=torch.long, device="meta")
    return _forward(lambda: CLIPTextModel(shape), lambda tower: tower(ids))


@functools.cache
def judging_flops() -> float:
    """FLOPs of Inception at 299, DINOv2 and CLIP's picture tower at 224, on one picture."""
    from torchvision.models import inception_v3
    from transformers import CLIPVisionConfig, CLIPVisionModel

    clip = CLIPVisionConfig(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH, patch_size=14, image_size=224,
    )  # fmt: skip
    return (
        _forward(
            lambda: inception_v3(weights=None, init_weights=False).eval(),
            lambda m: m(_picture(299)),
        )
        + dinov2_flops(224)
        + _forward(lambda: CLIPVisionModel(clip), lambda m: m(_picture(224)))
    )
