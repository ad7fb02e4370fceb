"""Decodes the bytes of a file into a square picture in [-1, 1].

The EXIF orientation is applied, transparency is composed over white, palettes and greyscale become
RGB, an animation's first frame is taken, and colour profiles are ignored. The shorter side is
resized with an antialiasing filter of PIL, then the centre is cropped. Nothing is enlarged.
"""

import io
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from datamodules.sources.source import BadRecordError, LeftOutError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""Only these: for others PIL may run Ghostscript on untrusted data."""


def too_small(side: int) -> LeftOutError:
    """What a picture or clip is left out for, and the dials of its source that say so."""
    return LeftOutError(f"shorter side under {side} (source.image, source.min_side)")


class Filter(Enum):
    """PIL's antialiasing filters; NEAREST is none."""

    BOX = Image.Resampling.BOX
    BILINEAR = Image.Resampling.BILINEAR
    HAMMING = Image.Resampling.HAMMING
    BICUBIC = Image.Resampling.BICUBIC
    LANCZOS = Image.Resampling.LANCZOS


def crop_name(side: int, resize: Filter) -> str:
    """The name of what `square` does, such as crop256-lanczos."""
    return f"crop{side}-{resize.name.lower()}"


def decode(data: bytes, min_side: int = 1) -> Image.Image:
    """An upright RGB picture with 8 bits a channel.

    Raises BadRecordError if it cannot be decoded, and LeftOutError, before decoding its pixels, if
    its shorter side is under `min_side` pixels.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        side = min(picture.size)
        if side >= min_side:
            return _rgb(ImageOps.exif_transpose(picture))
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes make decoders raise almost anything
        text = str(error) or type(error).__name__
        raise BadRecordError(f"undecodable picture: {text.splitlines()[0]}") from error
    raise too_small(min_side)


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        # PIL would clip 16 bits at 255 instead of scaling them.
        grey = np.asarray(picture).astype(np.float64) / 257
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise BadRecordError(f"mode {picture.mode}, of unknown range")
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        white = Image.new("RGBA", over.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, over).convert("RGB")
    return picture.convert("RGB")


def square(picture: Image.Image, side: int, resize: Filter) -> NDArray[np.float32]:
    """The picture [3, side, side] in [-1, 1]: shorter side resized to `side`, centre cropped.

    Raises ValueError for a picture that would have to be enlarged.
    """
    width, height = picture.size
    shorter = min(width, height)
    if shorter < side:
        raise ValueError(f"a picture of {width}x{height} would be enlarged to {side}")
    size = (round(width * side / shorter), round(height * side / shorter))
    if size != picture.size:
        picture = picture.resize(size, resize.value)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    pixels = np.asarray(picture.crop((left, top, left + side, top + side)))  # [side, side, 3]
    return scaled(pixels.transpose(2, 0, 1))


def scaled(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Pixels [...] from 0 to 255 as x / 127.5 - 1 [...], from -1 to 1."""
    return np.ascontiguousarray(pixels.astype(np.float32) / np.float32(127.5) - np.float32(1))
