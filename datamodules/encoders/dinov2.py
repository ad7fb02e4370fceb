"""The semantic features that the papers cluster: DINOv2's CLS token.  (HDDM, §6.1)"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU, Array
from datamodules.encoders.hub import find, whole

FILES = ("config.json", "model.safetensors")
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's channels, which DINOv2 was trained with."""
BATCH = 32
"""Pictures encoded at once."""


@dataclass(frozen=True)
class DINOv2Features:
    """The last layer's normalised CLS token, [N, 1024] for ViT-L/14, as float16.

    Pictures [N, 3, H, W] in [-1, 1] are resized to side x side, bicubic with antialiasing; the
    model's own 256-to-224 crop would cut away what a centre crop has left.

    Args:
        weights: a hub name, or a folder with config.json and model.safetensors.
        side: pixels; a multiple of the model's patch.
    """

    weights: str = "facebook/dinov2-large"
    side: int = 224

    def locate(self) -> Path:
        """The folder of the weights. WeightsError if it is not here."""
        return find(self.weights, FILES)

    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.float16]:
        model = _dinov2(self.weights, device)
        if self.side % model.config.patch_size:
            raise ValueError(f"side {self.side} is no multiple of {model.config.patch_size}")
        mean, deviation = (torch.tensor(x, device=device)[:, None, None] for x in (MEAN, DEVIATION))
        found = []
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                x = torch.from_numpy(images[start : start + BATCH]).to(device)
                x = F.interpolate(x, (self.side, self.side), mode="bicubic", antialias=True)
                x = ((x.clamp(-1, 1) + 1) / 2 - mean) / deviation
                found.append(model(x.to(model.dtype)).last_hidden_state[:, 0].half().cpu())
        return torch.cat(found).numpy()


@functools.lru_cache(maxsize=2)
def _dinov2(weights: str, device: torch.device) -> Any:
    """The network, loaded once. WeightsError if it is not here or is another's."""
    from transformers import Dinov2Model  # seconds to import

    return whole(Dinov2Model, find(weights, FILES), device)
