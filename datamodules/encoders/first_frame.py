"""Features of a clip's first frame, for clustering and routing.  (Paris 2.0, §3.1)"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU, Array, FeatureEncoder


@dataclass(frozen=True)
class FirstFrame:
    """A picture's features of frame 0.

    The paper's router reads them if a first frame is given. That its clusters use them too is our
    reading; the paper does not say.

    features: the encoder of a picture.
    """

    features: FeatureEncoder

    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.floating]:
        """Features [N, F] of clips [N, C, T, H, W]. ValueError for pictures."""
        if images.ndim != 5:
            raise ValueError(f"clips have 5 axes, not {images.ndim}")
        return self.features.encode(np.ascontiguousarray(images[:, :, 0]), device)
