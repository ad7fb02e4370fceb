"""People's own pictures: a folder with a `captions.jsonl`."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from datamodules.sources.pictures import Filter, cropped, decode, square
from datamodules.sources.source import (
    BadRecordError,
    Captioned,
    Records,
    Refused,
    SourceError,
    Split,
    captioned,
    gathered,
    read_all,
)

CAPTIONS = "captions.jsonl"
"""A line a picture, {"file": "cats/1.png", "caption": "a cat"}: the file as the folder sees it."""
PARTS = 16


@dataclass(frozen=True)
class Folder:
    """The pictures that `captions.jsonl` under `root` lists, each known by its `file`.

    Splits and parts follow from a hash of `file`, so adding pictures moves no other between them,
    and another `judge` leaves the held-out ones held out. Identity is `name` and the choices made
    here, not `root` nor what lies there: pictures added or changed want another name.

    judge, heldout: about which share of the pictures. ValueError unless they leave some to train.
    resize: the filter by which the shorter side becomes `image`; the centre is then cropped.
    min_side: pictures whose shorter side is under it are left out, and under `image` always.
    """

    name: str
    root: str = field(default=".", metadata={"key": False})
    image: int = 256
    resize: Filter = Filter.LANCZOS
    min_side: int = 0
    judge: float = 0.1
    heldout: float = 0.1

    channels = 3
    classes = 0

    def __post_init__(self) -> None:
        if not (self.judge >= 0 and self.heldout >= 0 and self.judge + self.heldout < 1):
            raise ValueError(f"shares {self.judge} to judge by, {self.heldout} held out of 1")

    @property
    def preparation(self) -> str:
        return cropped(self.image, self.resize)

    def locate(self) -> None:
        """SourceError if the list of pictures is not there."""
        self._lines().close()

    def expected(self, split: Split) -> int:
        with self._lines() as lines:
            return round(self.share(split) * sum(1 for line in lines if line.strip()))

    def share(self, split: Split) -> float:
        """About which share of the pictures a split has."""
        shares = {Split.JUDGE: self.judge, Split.HELDOUT: self.heldout}
        return shares.get(split, 1 - self.judge - self.heldout)

    def parts(self, split: Split) -> Sequence[str]:
        return tuple(f"{i:x}" for i in range(PARTS))

    def batches(self, split: Split, part: str, size: int, refused: Refused) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of {self.name}")
        return gathered(self._entries(split, part), size, refused)

    def read(self, split: Split) -> Records:
        return read_all(self, split)

    def place(self, key: str) -> tuple[Split, str]:
        """The split and part of a picture, a function of its key and the shares alone."""
        digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
        at = int.from_bytes(digest[:8], "big") / 2**64
        part = f"{digest[8] % PARTS:x}"
        if at < self.heldout:
            return Split.HELDOUT, part
        return (Split.JUDGE if at < self.heldout + self.judge else Split.TRAIN), part

    def _lines(self) -> BinaryIO:
        path = Path(self.root).expanduser() / CAPTIONS
        if not path.is_file():
            raise SourceError(f"no {path}: it lists the pictures, a line of JSON for each")
        return open(path, "rb")  # closed by who reads it

    def _entries(self, split: Split, part: str) -> Iterator[tuple[str, Callable[[], Captioned]]]:
        """A line that names no file is known by its number, and has its place like any other."""
        with self._lines() as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                entry = _parsed(line)
                key = entry.get("file")
                if not isinstance(key, str) or not key:
                    key = f"{CAPTIONS}:{number}"
                if self.place(key) == (split, part):
                    yield key, partial(self._read, entry)

    def _read(self, entry: dict[str, Any]) -> Captioned:
        name = entry.get("file")
        if not isinstance(name, str) or not name:
            raise BadRecordError("a line without a file, or that is no JSON object")
        caption = captioned(entry.get("caption"))
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts:
            raise BadRecordError("a file outside the folder")
        try:
            data = (Path(self.root).expanduser() / inside).read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name with a null byte
            raise BadRecordError(f"no picture: {getattr(error, 'strerror', error)}") from error
        picture = decode(data, max(self.image, self.min_side))
        return square(picture, self.image, self.resize), caption


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
