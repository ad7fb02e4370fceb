"""Captioned pictures in image-text shards, as img2dataset writes them: .jpg, .txt and .json."""

import json
import math
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from braceexpand import braceexpand
from numpy.typing import NDArray

from datamodules.sources.opening import PIPE
from datamodules.sources.pictures import Filter, cropped, decode, square
from datamodules.sources.source import (
    BadRecordError,
    Captioned,
    LeftOutError,
    Records,
    Refused,
    SourceError,
    Split,
    captioned,
    gathered,
    read_all,
)
from datamodules.sources.tars import Files, samples

PICTURES = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True)
class ImageText:
    """Shards `shards`, a brace pattern of file names, under `root`.

    Identity is `name` and the names of the shards, so that a key is the same wherever they lie. All
    of img2dataset's shards are called 00000.tar, so `name` says whose these are: another name for
    other contents. A record is known by its shard and its key there.

    root: a folder, an fsspec address (s3://bucket/laion, hf://datasets/…, https://…), or either
        with `{}` where the shard's name goes, as in a command: `pipe:curl -fsS https://…/{}`.
    resize: the filter by which the shorter side becomes `image`; the centre is then cropped.
    caption_field: a field of the .json that holds the caption, instead of the .txt.
    min_side: pictures whose shorter side is under it are left out, and under `image` always.
    min_aesthetic: pictures scored lower are left out; a score is in `aesthetic_field` of the .json,
        and a record without one is bad.
    judge, heldout: how many of the last shards are these splits, in this order; TRAIN is the rest.
    per_shard: pictures in a shard that pass the filters, about: what plans reckon with.
    ValueError if there are too few shards, or one twice, or a command has no place for them.
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

    channels = 3
    classes = 0

    def __post_init__(self) -> None:
        names = self.names()
        if self.root.startswith(PIPE) and "{}" not in self.root:
            raise ValueError(f"{self.root} does not say with {{}} where the shard's name goes")
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(f"shard {twice[0]} is named twice by {self.shards}")
        if min(self.judge, self.heldout) < 0 or len(names) <= self.judge + self.heldout:
            raise ValueError(
                f"{len(names)} shards in {self.shards}: {self.judge} to judge by, {self.heldout} "
                "held out, and none left to train on"
            )

    def locate(self) -> None:
        """SourceError if the shards lie in a folder of this machine, and the first is not there."""
        first = self.address(self.names()[0])
        if "://" not in first and not first.startswith(PIPE) and not Path(first).is_file():
            raise SourceError(
                f"no {first}: --scale.source.root and --scale.matched.source.root say where the "
                f"shards of {self.name} lie"
            )

    @property
    def preparation(self) -> str:
        return cropped(self.image, self.resize)

    def expected(self, split: Split) -> int:
        return len(self.parts(split)) * self.per_shard

    def names(self) -> list[str]:
        """The shards' file names in the pattern's order."""
        try:
            return list(braceexpand(self.shards))
        except ValueError as error:
            raise ValueError(f"{self.shards} is no brace pattern: {error}") from error

    def address(self, part: str) -> str:
        """Where a shard lies. In a command its name is quoted for the shell."""
        if self.root.startswith(PIPE):
            return self.root.replace("{}", shlex.quote(part))
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

    def batches(self, split: Split, part: str, size: int, refused: Refused) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no shard of the {split.value} split of {self.name}")
        return gathered(self._entries(part), size, refused)

    def read(self, split: Split) -> Records:
        return read_all(self, split)

    def _entries(self, part: str) -> Iterator[tuple[str, Callable[[], Captioned]]]:
        for key, files in samples(self.address(part)):
            yield f"{part.removesuffix('.tar')}/{key}", partial(self._read, files)

    def _read(self, files: Files) -> Captioned:
        """What is cheap to know comes first, so that no picture is decoded to be left out."""
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
        picture = decode(first(files, PICTURES, "picture"), max(self.image, self.min_side))
        return square(picture, self.image, self.resize)

    def _caption(self, files: Files, meta: dict[str, Any]) -> str:
        if self.caption_field is not None:
            return captioned(meta.get(self.caption_field))
        try:
            return captioned(files.get("txt", b"").decode())
        except UnicodeDecodeError as error:
            raise BadRecordError("a caption that is no Unicode") from error


def first(files: Files, suffixes: Sequence[str], what: str) -> bytes:
    """The file of a record that has the first of `suffixes`. BadRecordError if none has."""
    found = [files[suffix] for suffix in suffixes if suffix in files]
    if not found:
        raise BadRecordError(f"no {what}")
    return found[0]


def _meta(files: Files) -> dict[str, Any]:
    try:
        meta = json.loads(files.get("json", b""))
    except ValueError as error:
        raise BadRecordError("no json, or one that cannot be read") from error
    if not isinstance(meta, dict):
        raise BadRecordError("its json is no object")
    return meta
