"""Pictures and clips as judges read them: 8 bits a channel, at the judge's own size."""

from collections.abc import Iterator
from enum import Enum

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Images = NDArray[np.uint8]
Clips = NDArray[np.uint8]


def to_uint8(x: NDArray[np.floating]) -> Images:
    """x [...] in [-1, 1] as the nearest of 256 levels [...]; ties go up, other values are clipped.

    floor(127.5 x + 128) in float32, the inverse of u / 127.5 - 1, as in DiT, EDM and torchvision's
    save_image. Truncating 127.5 (x + 1) would darken pictures by half a level.
    Raises ValueError for values that are not finite, which would become valid colours.
    """
    if not np.isfinite(x).all():
        raise ValueError("pictures hold values that are not finite")
    return np.clip(x.astype(np.float32) * 127.5 + 128, 0, 255).astype(np.uint8)


def checked(images: Images) -> Images:
    """`images`, if they are uint8 [N, 3, H, W]; otherwise raises ValueError."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"pictures are uint8 [N, 3, H, W], not {images.dtype} {images.shape}")
    return images


def checked_clips(clips: Clips, channels: tuple[int, ...] = (3,)) -> Clips:
    """`clips`, if they are uint8 [N, C, T, H, W], not empty, C in `channels`; else ValueError."""
    if clips.ndim != 5 or clips.dtype != np.uint8 or clips.shape[1] not in channels:
        wanted = " or ".join(map(str, channels))
        raise ValueError(f"clips are uint8 [N, {wanted}, T, H, W], not {clips.dtype} {clips.shape}")
    if clips.size == 0:
        raise ValueError(f"no clips to judge: {clips.shape}")
    return clips


def over_frames(clips: Clips, batch: int) -> Iterator[tuple[slice, Images]]:
    """Batches of clips [N, 3, T, H, W] as frames: (the clips' slice, their frames [n T, 3, H, W]).

    batch: frames in a batch, rounded down to whole clips, but at least one clip.
    """
    frames = checked_clips(clips).shape[2]
    step = max(1, batch // frames)
    for start in range(0, len(clips), step):
        part = clips[start : start + step].transpose(0, 2, 1, 3, 4)
        yield slice(start, start + len(part)), part.reshape(-1, *part.shape[2:])


class Resize(Enum):
    """How a picture is resized for its judge.

    BILINEAR: as in pytorch-fid, without antialiasing, so that shrinking skips pixels.
    ANTIALIASED: PIL's bicubic filter on floats, as in clean-fid and dgm-eval's --clean-resize.
    """

    BILINEAR = "bilinear"
    ANTIALIASED = "antialiased"

    def __call__(self, x: Tensor, size: int) -> Tensor:
        """x [B, C, H, W] in [0, 1], resized to [B, C, size, size] in [0, 1]."""
        if self is Resize.BILINEAR:
            return F.interpolate(x, (size, size), mode="bilinear", align_corners=False)
        wide = F.interpolate(x, (size, size), mode="bicubic", align_corners=False, antialias=True)
        return wide.clamp(0, 1)  # bicubic overshoots at edges
