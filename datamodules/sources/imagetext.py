"""Captioned pictures in image-text shards, as img2dataset writes them: .jpg, .txt and .json."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from braceexpand import braceexpand
from numpy.typing import NDArray

from datamodules.sources.lost import read_present
from datamodules.sources.opening import PIPE, filled
from datamodules.sources.pictures import Filter, crop_name, decode, square
from datamodules.sources.reading import Captioned, checked_caption, read_entries
from datamodules.sources.source import (
    BadRecordError,
    LeftOutError,
    RecordCounts,
    Records,
    SourceError,
    Split,
)
from datamodules.sources.tars import Files, samples

PICTURES = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True)
class ImageText:
    """Shards whose names follow a brace pattern. A record's key is its shard and its key there.

    The data is identified by `name` and the shards' names, not by where they are. img2dataset
    always names shards 00000.tar and so on, so other contents need another `name`.

    name: what the data are called, whose identity it is.
    shards: the brace pattern of file names, such as {00000..00099}.tar.
    root: a folder, an fsspec address (s3://bucket/laion, hf://datasets/..., https://...), or either
        with `{}` in place of the shard's name, as in a command: `pipe:curl -fsS https://.../{}`.
    image: the side of a picture; the shorter side is resized to it, then the centre is cropped.
    resize: the filter.
    caption_field: a field of the .json that holds the caption, in place of the .txt.
    min_side: pictures with a shorter side under this, or under `image`, are left out.
    min_aesthetic: pictures with a lower score are left out; a record without a score is bad.
    aesthetic_field: the field of the .json that holds the score.
    judge, heldout: the last shards are these splits, in this order; TRAIN is the rest.
    per_shard: the approximate number of pictures in a shard that pass the filters, for plans.
    lost_share: the share of a split's shards that may be missing, damaged or cut short; each is
        left out whole.
    Raises ValueError if there are too few shards, one is named twice, or a command has no `{}`.
    """

    name: str
    shards: str
    root: str = field(default=".", metadata={"key": False})
    image: int = 256
    resize: Filter = Filter.LANCZOS
    caption_field: str | None = None
    min_side: int = 0
    min_aesthetic: float | None = None
    aesthetic_field: str = "aesthetic"
    judge: int = 1
    heldout: int = 1
    per_shard: int = field(default=10_000, metadata={"key": False})
    lost_share: float = field(default=0.01, metadata={"key": False})

    channels = 3
    classes = 0

    def __post_init__(self) -> None:
        names = self.names()
        if self.root.startswith(PIPE) and "{}" not in self.root:
            raise ValueError(f"{self.root} does not say with {{}} where the shard's name goes")
        for name in names if self.root.startswith(PIPE) else ():
            filled(self.root, name)  # ValueError before any command runs
        repeated = [name for name, count in Counter(names).items() if count > 1]
        if repeated:
            raise ValueError(f"shard {repeated[0]} is named twice by {self.shards}")
        if min(self.judge, self.heldout) < 0 or len(names) <= self.judge + self.heldout:
            raise ValueError(
                f"{len(names)} shards in {self.shards}: {self.judge} to judge by, {self.heldout} "
                "held out, and none left to train on"
            )

    def locate(self) -> None:
        """Raise SourceError if the shards are local and none is there."""
        first = self.address(self.names()[0])
        local = "://" not in first and not first.startswith(PIPE)
        if local and not any(map(self._is_there, self.names())):
            raise SourceError(
                f"no {first}, nor any other: --scale.data.source.root and "
                f"--scale.study.matched.source.root say where the shards of {self.name} lie"
            )

    def _is_there(self, name: str) -> bool:
        return Path(self.address(name)).expanduser().is_file()

    @property
    def preparation(self) -> str:
        return crop_name(self.image, self.resize)

    def expected(self, split: Split) -> int:
        return len(self.parts(split)) * self.per_shard

    def names(self) -> list[str]:
        """The shards' file names, in the pattern's order. ValueError if it is no brace pattern."""
        try:
            return list(braceexpand(self.shards))
        except ValueError as error:
            raise ValueError(f"{self.shards} is no brace pattern: {error}") from error

    def address(self, part: str) -> str:
        """The address of a shard. In a command its name is quoted for the shell."""
        if self.root.startswith(PIPE):
            return filled(self.root, part)
        if "{}" in self.root:
            return self.root.replace("{}", part)
        return self.root + part if self.root.endswith("/") else f"{self.root}/{part}"

    def parts(self, split: Split) -> Sequence[str]:
        names = self.names()
        judge, heldout = len(names) - self.judge - self.heldout, len(names) - self.heldout
        bounds = {
            Split.TRAIN: (0, judge),
            Split.JUDGE: (judge, heldout),
            Split.HELDOUT: (heldout, len(names)),
        }
        return tuple(names[slice(*bounds[split])])

    def batches(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no shard of the {split.value} split of {self.name}")
        return read_entries(self._entries(part), size, counts)

    def read(self, split: Split) -> Records:
        return read_present(self, split)

    def _entries(self, part: str) -> Iterator[tuple[str, Callable[[], Captioned]]]:
        for key, files in samples(self.address(part)):
            yield f"{part.removesuffix('.tar')}/{key}", partial(self._read, files)

    def _read(self, files: Files) -> Captioned:
        """Checks the caption and score first, so that no picture is decoded in vain."""
        meta = _meta(files) if self.caption_field or self.min_aesthetic is not None else {}
        caption = self._caption(files, meta)
        if self.min_aesthetic is not None:
            score = meta.get(self.aesthetic_field)
            if isinstance(score, bool) or not isinstance(score, int | float) or math.isnan(score):
                raise BadRecordError(f"no score in {self.aesthetic_field!r} of its json")
            if score < self.min_aesthetic:
                raise LeftOutError(f"{self.aesthetic_field} under {self.min_aesthetic:g}")
        return self._picture(files), caption

    def _picture(self, files: Files) -> NDArray[np.float32]:
        picture = decode(first_file(files, PICTURES, "picture"), max(self.image, self.min_side))
        return square(picture, self.image, self.resize)

    def _caption(self, files: Files, meta: dict[str, Any]) -> str:
        if self.caption_field is not None:
            return checked_caption(meta.get(self.caption_field))
        try:
            return checked_caption(files.get("txt", b"").decode())
        except UnicodeDecodeError as error:
            raise BadRecordError("a caption that is no Unicode") from error


def first_file(files: Files, suffixes: Sequence[str], what: str) -> bytes:
    """The contents of the file with the earliest of `suffixes`.

    what: what BadRecordError names if there is none, such as "picture".
    """
    for suffix in suffixes:
        if suffix in files:
            return files[suffix]
    raise BadRecordError(f"no {what}")


def _meta(files: Files) -> dict[str, Any]:
    try:
        meta = json.loads(files.get("json", b""))
    except (ValueError, RecursionError) as error:
        raise BadRecordError("no json, or one that cannot be read") from error
    if not isinstance(meta, dict):
        raise BadRecordError("its json is no object")
    return meta
