"""Captioned clips, in a folder of files or in shards as video2dataset writes them.

The `images` of their records are clips, [N, 3, T, H, W] float32 in [-1, 1].
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

from datamodules.labels import NONE
from datamodules.sources.clips import SUFFIXES, decode_clip
from datamodules.sources.folder import Folder
from datamodules.sources.imagetext import ImageText, first_file
from datamodules.sources.reading import Captioned, checked_caption
from datamodules.sources.source import BadRecordError, SourceError, Split
from datamodules.sources.tars import Files


@dataclass(frozen=True)
class VideoText(Folder):
    """The clips below `root`; a key is a path there.

    The caption of `<name>.mp4` is in `<name>.txt`, or else is the name itself. Splits, parts and
    identity are those of Folder. Raises ValueError for frames or a rate that make no clip.

    frames: T, the frames of a clip.  rate: frames a second. Paris 2.0 states neither; 33 frames are
        9 latent frames of the HunyuanVAE, and at 24 a second 1.4 s.
    image, resize, min_side: of every frame, as for pictures in Folder.
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
        """Raise SourceError if there is no clip."""
        next(self._clips())

    def expected(self, split: Split) -> int:
        return round(self.share(split) * sum(1 for _ in self._clips()))

    def _clips(self) -> Iterator[str]:
        """The keys of all clips, in the same order on every machine. SourceError if none."""
        root, empty = Path(self.root).expanduser(), True
        for folder, below, names in os.walk(root):
            below.sort()
            for name in sorted(names):
                if name.lower().endswith(ENDINGS):
                    empty = False
                    yield (Path(folder) / name).relative_to(root).as_posix()
        if empty:
            raise SourceError(f"no clip ({', '.join(ENDINGS)}) in {root}")

    def _entries(
        self, split: Split, part: str, numbers: dict[str, int]
    ) -> Iterator[tuple[str, Callable[[], Captioned]]]:
        for key in self._clips():
            if self.split_and_part(key) == (split, part):
                numbers[key] = NONE
                yield key, partial(self._clip, Path(self.root).expanduser() / key)

    def _clip(self, path: Path) -> Captioned:
        text = path.with_suffix(".txt")
        if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
            raise BadRecordError("no regular file")
        try:
            caption = checked_caption(text.read_text("utf-8") if text.is_file() else path.stem)
            with open(path, "rb") as file:
                smallest = max(self.image, self.min_side)
                return decode_clip(
                    file, self.frames, self.rate, self.image, self.resize, smallest
                ), caption
        except UnicodeDecodeError as error:
            raise BadRecordError("a caption that is no Unicode") from error
        except OSError as error:
            raise BadRecordError(f"no clip: {error.strerror}") from error


@dataclass(frozen=True)
class VideoShards(ImageText):
    """Shards with an .mp4, a .txt and a .json for each record, as video2dataset writes them.

    frames, rate: as for VideoText; all other fields as for ImageText.
    """

    frames: int = 33
    rate: float = 24.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.frames, self.rate)

    @property
    def preparation(self) -> str:
        return f"{super().preparation}-{self.frames}x{self.rate:g}fps"

    def _picture(self, files: Files) -> NDArray[np.float32]:
        file, smallest = (
            io.BytesIO(first_file(files, SUFFIXES, "clip")),
            max(self.image, self.min_side),
        )
        return decode_clip(file, self.frames, self.rate, self.image, self.resize, smallest)


ENDINGS = tuple(f".{suffix}" for suffix in SUFFIXES)


def _check(frames: int, rate: float) -> None:
    if frames < 1 or not 0 < rate < math.inf:
        raise ValueError(f"{frames} frames at {rate:g} a second")
