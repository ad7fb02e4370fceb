"""Latents of the papers: Stable Diffusion's autoencoder, and the tiny one that stands in for it.

Pictures go in and come out in [-1, 1]; latents leave scaled to about unit variance.  (HDDM, §6.1)
"""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU, Array
from datamodules.encoders.hub import WeightsError, find, whole

FILES = ("config.json", "diffusion_pytorch_model.safetensors")
BATCH = 32
"""Pictures encoded or decoded at once."""


class Autoencoder:
    """What both have in common. Latents are stored as float16.

    weights: a hub name, or a folder with config.json and the weights.  scaling: what the network's
    latents are multiplied by, and divided by before decoding.
    """

    weights: str
    scaling: float
    pixels = False

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        channels, height, width = picture
        if channels != 3 or height % 8 or width % 8:
            raise ValueError(f"pictures of {picture}: the VAE takes 3 channels, of 8 n pixels")
        return 4, height // 8, width // 8

    def locate(self) -> Path:
        """The folder of the weights. WeightsError if it is not here."""
        return find(self.weights, FILES)

    @torch.inference_mode()
    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.float16]:
        vae = _autoencoder(self.weights, device)
        found = [self._latents(vae.encode(x)) for x in _batches(images, device)]
        return torch.cat([self.scaling * z.float().cpu() for z in found]).half().numpy()

    @torch.inference_mode()
    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        vae = _autoencoder(self.weights, device)
        found = [vae.decode(z / self.scaling).sample for z in _batches(latents, device)]
        return torch.cat([x.float().cpu() for x in found]).clamp(-1, 1).numpy()

    def _latents(self, encoded: Any) -> torch.Tensor:
        """The latents in what the network's encoder returns."""
        raise NotImplementedError


@dataclass(frozen=True)
class StableDiffusionVAE(Autoencoder):
    """Latents [N, 4, H / 8, W / 8] of diffusers' AutoencoderKL, times `scaling`.

    The posterior's mean is taken, not a draw of it: a picture has one latent, whoever encodes it.
    """

    weights: str = "stabilityai/sd-vae-ft-mse"
    scaling: float = 0.18215

    def _latents(self, encoded: Any) -> torch.Tensor:
        return encoded.latent_dist.mean


@dataclass(frozen=True)
class TinyVAE(Autoencoder):
    """Latents of diffusers' AutoencoderTiny (TAESD), already scaled: faster, and less faithful."""

    weights: str = "madebyollin/taesd"
    scaling = 1.0

    def _latents(self, encoded: Any) -> torch.Tensor:
        return encoded.latents


def _batches(x: NDArray[np.floating], device: torch.device) -> Iterator[torch.Tensor]:
    """Batches of [N, ...] on the device, in float32: steps of bfloat16 are up to half an 8-bit
    level, which a judge would see in decoded pictures and not in real ones."""
    for start in range(0, len(x), BATCH):
        yield torch.from_numpy(x[start : start + BATCH]).to(device, torch.float32)


@functools.lru_cache(maxsize=2)
def _autoencoder(weights: str, device: torch.device) -> Any:
    """The network, loaded once. WeightsError if it is not here or not what its config says."""
    from diffusers import AutoencoderKL, AutoencoderTiny  # seconds to import

    folder = find(weights, FILES)
    kinds = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
    name = json.loads((folder / "config.json").read_text()).get("_class_name")
    if name not in kinds:
        raise WeightsError(f"{folder} holds a {name}, none of {', '.join(kinds)}")
    return whole(kinds[name], folder, device, torch.float32)
