"""Captioned clips: a folder of files, or image-text shards that hold clips instead of pictures.

A source of clips has `frames`, their number T, beside what every source has, and its `images` are
[N, 3, T, H, W] float32 in [-1, 1].
"""

import io
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.clips import SUFFIXES, clip
from datamodules.sources.folder import Folder
from datamodules.sources.imagetext import ImageText, first
from datamodules.sources.source import BadRecordError, Captioned, SourceError, Split, captioned
from datamodules.sources.tars import Files


@dataclass(frozen=True)
class VideoText(Folder):
    """The clips below `root`, each known by its path there. Captions come from `<name>.txt` beside
    `<name>.mp4`, or else are the file's name, without its ending, as it is.

    Splits, parts and identity are as in Folder: `name` says whose clips these are.

    frames, rate: how many frames a clip has, and how many a second are taken. The paper states
        neither; 33 are 9 of the HunyuanVAE's latent frames, at 24 a second 1.4 s.
    image, resize, min_side: of every frame, as of a picture.
    """

    frames: int = 33
    rate: float = 24.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.frames, self.rate)

    @property
    def preparation(self) -> str:
        return f"{super().preparation}-{self.frames}x{self.rate:g}fps"

    def locate(self) -> None:
        """SourceError if there is no clip."""
        next(self._clips())

    def expected(self, split: Split) -> int:
        return round(self.share(split) * sum(1 for _ in self._clips()))

    def _clips(self) -> Iterator[str]:
        """The keys of all clips, in one order on every machine. SourceError if there is none."""
        root, found = Path(self.root).expanduser(), False
        for folder, below, names in os.walk(root):
            below.sort()
            for name in sorted(names):
                if name.lower().endswith(ENDINGS):
                    found = True
                    yield (Path(folder) / name).relative_to(root).as_posix()
        if not found:
            raise SourceError(f"no clip ({', '.join(ENDINGS)}) in {root}")

    def _entries(self, split: Split, part: str) -> Iterator[tuple[str, Callable[[], Captioned]]]:
        for key in self._clips():
            if self.place(key) == (split, part):
                yield key, partial(self._clip, Path(self.root).expanduser() / key)

    def _clip(self, path: Path) -> Captioned:
        beside = path.with_suffix(".txt")
        if path.exists() and not path.is_file():  # opening a pipe would wait for who writes into it
            raise BadRecordError("no regular file")
        try:
            caption = captioned(beside.read_text("utf-8") if beside.is_file() else path.stem)
            with open(path, "rb") as file:
                smallest = max(self.image, self.min_side)
                return clip(
                    file, self.frames, self.rate, self.image, self.resize, smallest
                ), caption
        except UnicodeDecodeError as error:
            raise BadRecordError("a caption that is no Unicode") from error
        except OSError as error:
            raise BadRecordError(f"no clip: {error.strerror}") from error


@dataclass(frozen=True)
class VideoShards(ImageText):
    """ImageText whose records hold a clip, .mp4 beside .txt and .json, as video2dataset writes
    them. frames, rate: as of VideoText."""

    frames: int = 33
    rate: float = 24.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.frames, self.rate)

    @property
    def preparation(self) -> str:
        return f"{super().preparation}-{self.frames}x{self.rate:g}fps"

    def _picture(self, files: Files) -> NDArray[np.float32]:
        file, smallest = io.BytesIO(first(files, SUFFIXES, "clip")), max(self.image, self.min_side)
        return clip(file, self.frames, self.rate, self.image, self.resize, smallest)


ENDINGS = tuple(f".{suffix}" for suffix in SUFFIXES)


def _check(frames: int, rate: float) -> None:
    if frames < 1 or not 0 < rate < math.inf:
        raise ValueError(f"{frames} frames at {rate:g} a second")
