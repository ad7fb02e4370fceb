"""Latents of the papers: Stable Diffusion's autoencoder, and a tiny substitute.  (HDDM, §6.1)

Pictures are in [-1, 1]; latents are scaled to about unit variance.
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
from datamodules.encoders.hub import HubWeightsError, find_files, load_model

FILES = ("config.json", "diffusion_pytorch_model.safetensors")
BATCH = 32
"""Pictures encoded or decoded at once."""


class Autoencoder:
    """What both have in common.

    weights: a hub name, or a folder with config.json and the weights.
    scaling: latents are multiplied by it after encoding and divided before decoding.
    """

    weights: str
    scaling: float
    pixels = False

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """The latent's shape (4, H / 8, W / 8) for a picture (3, H, W). ValueError for others."""
        channels, height, width = picture
        if channels != 3 or height % 8 or width % 8:
            raise ValueError(f"pictures of {picture}: the VAE takes 3 channels, of 8 n pixels")
        return 4, height // 8, width // 8

    def locate(self) -> Path:
        """The folder of the weights. HubWeightsError if it is missing."""
        return find_files(self.weights, FILES)

    @torch.inference_mode()
    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.float16]:
        """Latents [N, 4, H / 8, W / 8] of pictures [N, 3, H, W] in [-1, 1]. HubWeightsError."""
        vae = _autoencoder(self.weights, device)
        latents = [self._latents(vae.encode(x)) for x in _batches(images, device)]
        return torch.cat([self.scaling * z.float().cpu() for z in latents]).half().numpy()

    @torch.inference_mode()
    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        """Pictures [N, 3, H, W] in [-1, 1] of latents [N, 4, H / 8, W / 8]. HubWeightsError."""
        vae = _autoencoder(self.weights, device)
        pictures = [vae.decode(z / self.scaling).sample for z in _batches(latents, device)]
        return torch.cat([x.float().cpu() for x in pictures]).clamp(-1, 1).numpy()

    def _latents(self, encoded: Any) -> torch.Tensor:
        """The latents [B, 4, h, w] in the output of the network's encoder."""
        raise NotImplementedError


@dataclass(frozen=True)
class StableDiffusionVAE(Autoencoder):
    """diffusers' AutoencoderKL. Latents are the posterior's mean, so they are deterministic."""

    weights: str = "stabilityai/sd-vae-ft-mse"
    scaling: float = 0.18215

    def _latents(self, encoded: Any) -> torch.Tensor:
        return encoded.latent_dist.mean


@dataclass(frozen=True)
class TinyVAE(Autoencoder):
    """diffusers' AutoencoderTiny (TAESD), whose latents are already scaled: fast, less accurate."""

    weights: str = "madebyollin/taesd"
    scaling = 1.0

    def _latents(self, encoded: Any) -> torch.Tensor:
        return encoded.latents


def _batches(x: NDArray[np.floating], device: torch.device) -> Iterator[torch.Tensor]:
    """Batches of x [N, ...] on the device, in float32.

    bfloat16 rounds by up to half an 8-bit level, which judges would see in decoded pictures.
    """
    for start in range(0, len(x), BATCH):
        yield torch.from_numpy(x[start : start + BATCH]).to(device, torch.float32)


@functools.lru_cache(maxsize=2)
def _autoencoder(weights: str, device: torch.device) -> Any:
    """The network, loaded once. HubWeightsError if it is missing or another network's."""
    from diffusers import AutoencoderKL, AutoencoderTiny  # seconds to import

    folder = find_files(weights, FILES)
    kinds = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
    name = json.loads((folder / "config.json").read_text()).get("_class_name")
    if name not in kinds:
        raise HubWeightsError(f"{folder} holds a {name}, none of {', '.join(kinds)}")
    return load_model(kinds[name], folder, device, torch.float32)
