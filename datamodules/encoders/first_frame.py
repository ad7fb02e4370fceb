"""What a clip is clustered and routed by: a picture's features of its first frame.  (Paris 2.0,
§3.1)"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU, Array, FeatureEncoder


@dataclass(frozen=True)
class FirstFrame:
    """`features` [N, F] of frame 0 of clips [N, C, T, H, W]. ValueError for pictures.

    The paper's router reads them where a first frame is given; that its clusters are of them too is
    our reading, since it does not say what they are of.
    """

    features: FeatureEncoder

    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.floating]:
        if images.ndim != 5:
            raise ValueError(f"clips have 5 axes, not {images.ndim}")
        return self.features.encode(np.ascontiguousarray(images[:, :, 0]), device)
