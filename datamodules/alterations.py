"""Altered pictures for small sets, whose captions say what changes their truth."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.sources.pictures import scaled

Picture = NDArray[np.float32]
HUES = ("", ", hues turned once", ", hues turned twice")
"""What a caption says of red become green, or blue, and all else turned by as much."""
MIRRORED = ", mirrored"
"""What it says of what is left and right exchanged: clocks, letters and arrows are others then."""


@dataclass(frozen=True)
class Alterations:
    """Altered pictures beside each as it is; a copy depends on its picture's key alone.

    A size or place is no part of what captions say, and left as small as is stated here.

    copies: of each picture.  flip: share that is mirrored.  hue: share whose hues are turned, by a
    third of the circle or two, which exchanges the channels.  shift: pixels along each axis, at
    most.  scale: the smallest size, of 1.  What comes in at an edge is white.
    ValueError for shares outside [0, 1] or sizes that are none.
    """

    copies: int = 4
    flip: float = 0.5
    hue: float = 0.5
    shift: int = 4
    scale: float = 0.9

    def __post_init__(self) -> None:
        if not (0 <= self.flip <= 1 and 0 <= self.hue <= 1 and 0 < self.scale <= 1):
            raise ValueError(f"flip, hue and scale are shares, not those of {self}")
        if self.copies < 1 or self.shift < 0:
            raise ValueError(f"{self}: a copy at least, and no shift below 0")

    def altered(self, picture: Picture, caption: str, key: str) -> tuple[Picture, str]:
        """A picture [3, S, S] in [-1, 1] and its caption, altered by a draw of this key."""
        digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        flip, hue, turns = rng.random() < self.flip, rng.random() < self.hue, rng.integers(1, 3)
        size, places = rng.uniform(self.scale, 1), rng.uniform(-self.shift, self.shift, 2)
        placed = _placed(picture, size, places)
        if flip:
            placed, caption = placed[:, :, ::-1], caption + MIRRORED
        if hue:
            placed, caption = np.roll(placed, turns, axis=0), caption + HUES[turns]
        return np.ascontiguousarray(placed), caption


def _placed(picture: Picture, size: float, places: NDArray[np.float64]) -> Picture:
    """The picture [3, S, S] at a size of 1, moved by `places` [2] pixels, before white."""
    side = picture.shape[1]
    pixels = np.clip(picture * 127.5 + 128, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    own = max(1, round(size * side))
    small = Image.fromarray(pixels).resize((own, own), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (side, side), (255, 255, 255))
    left, top = ((side - own) / 2 + places).round().astype(int).tolist()
    page.paste(small, (left, top))
    return scaled(np.asarray(page).transpose(2, 0, 1))
