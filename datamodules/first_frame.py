"""What a clip begins with, as pictures are seen: the feature by which a router may know it."""

from dataclasses import dataclass

import torch

from datamodules.encoders import CPU, Array, FeatureEncoder


@dataclass(frozen=True)
class FirstFrame:
    """The features [N, F] of the first frames of clips [N, C, T, H, W].  (Paris 2.0, §3.1)"""

    features: FeatureEncoder

    def encode(self, images: Array, device: torch.device = CPU) -> Array:
        return self.features.encode(images[:, :, 0], device)
