"""Pictures as the judges read them: eight bits a channel, at the judge's own size."""

from enum import Enum

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Images = NDArray[np.uint8]


def to_uint8(x: NDArray[np.floating]) -> Images:
    """x in [-1, 1] of any shape -> the nearest of the 256 levels, ties upwards; beyond is clipped.

    floor(127.5 x + 128), in float32: what DiT, EDM and torchvision's save_image do, and the inverse
    of u / 127.5 - 1. Cutting (x + 1) 127.5 off instead darkens every picture by half a level.
    Raises ValueError for nan or infinity, which would become a valid colour.
    """
    if not np.isfinite(x).all():
        raise ValueError("pictures hold values that are not finite")
    return np.clip(x.astype(np.float32) * 127.5 + 128, 0, 255).astype(np.uint8)


def checked(images: Images) -> Images:
    """`images` if they are uint8 [N, 3, H, W]. ValueError otherwise: floats have many ranges."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"pictures are uint8 [N, 3, H, W], not {images.dtype} {images.shape}")
    return images


class Resize(Enum):
    """How a picture comes to the size its judge was trained at.

    BILINEAR: pytorch-fid's; without antialias, so pixels are skipped when shrinking.
    ANTIALIASED: the bicubic filter of PIL on floats, as clean-fid and dgm-eval's --clean-resize.
    """

    BILINEAR = "bilinear"
    ANTIALIASED = "antialiased"

    def __call__(self, x: Tensor, size: int) -> Tensor:
        """x [B, C, H, W] in [0, 1] -> [B, C, size, size] in [0, 1]."""
        if self is Resize.BILINEAR:
            return F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
        wide = F.interpolate(x, (size, size), mode="bicubic", align_corners=False, antialias=True)
        return wide.clamp(0, 1)  # bicubic overshoots at edges
