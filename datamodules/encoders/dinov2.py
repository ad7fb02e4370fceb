"""The semantic features that the papers cluster: DINOv2's class token.  (HDDM, §6.1)"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU, Array
from datamodules.encoders.hub import find_files, load_model

FILES = ("config.json", "model.safetensors")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, as in DINOv2's training."""
BATCH = 32
"""Pictures encoded at once."""


@dataclass(frozen=True)
class DINOv2Features:
    """The normalised class token of the last layer.

    Pictures are resized to side x side, bicubic with antialiasing. The model's own crop from 256 to
    224 is left out, since pictures are already cropped.

    Args:
        weights: a hub name, or a folder with config.json and model.safetensors.
        side: in pixels, a multiple of the model's patch.
    """

    weights: str = "facebook/dinov2-large"
    side: int = 224

    def locate(self) -> Path:
        """The folder of the weights. HubWeightsError if it is missing."""
        return find_files(self.weights, FILES)

    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.float16]:
        """Features [N, F] of pictures [N, 3, H, W] in [-1, 1]; F is 1024 for ViT-L/14.

        Raises ValueError if the patch does not divide `side`, and HubWeightsError.
        """
        model = _dinov2(self.weights, device)
        if self.side % model.config.patch_size:
            raise ValueError(f"side {self.side} is no multiple of {model.config.patch_size}")
        features = []
        with torch.inference_mode():
            for x in normalised(images, self.side, device):
                features.append(model(x.to(model.dtype)).last_hidden_state[:, 0].half().cpu())
        return torch.cat(features).numpy()


def normalised(images: Array, side: int, device: torch.device) -> Iterator[torch.Tensor]:
    """Pictures [N, 3, H, W] in [-1, 1] a batch at a time, [b, 3, side, side], as networks trained
    on ImageNet read them: bicubic with antialiasing, by ImageNet's mean and deviation."""
    mean, deviation = (torch.tensor(x, device=device)[:, None, None] for x in (MEAN, DEVIATION))
    for start in range(0, len(images), BATCH):
        x = torch.from_numpy(images[start : start + BATCH]).to(device)
        x = F.interpolate(x, (side, side), mode="bicubic", antialias=True)
        yield ((x.clamp(-1, 1) + 1) / 2 - mean) / deviation


@functools.lru_cache(maxsize=2)
def _dinov2(weights: str, device: torch.device) -> Any:
    """The network, loaded once. HubWeightsError if it is missing or another network's."""
    from transformers import Dinov2Model  # seconds to import

    return load_model(Dinov2Model, find_files(weights, FILES), device)
