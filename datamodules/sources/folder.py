"""Pictures of your own: a folder with a `captions.jsonl`."""

import hashlib
import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from datamodules.sources.pictures import Filter, crop_name, decode, square
from datamodules.sources.reading import Captioned, checked_caption, read_all, read_entries
from datamodules.sources.source import BadRecordError, RecordCounts, Records, SourceError, Split

CAPTIONS = "captions.jsonl"
"""A line for each picture, {"file": "cats/1.png", "caption": "a cat"}; paths are in the folder."""
PARTS = 16


@dataclass(frozen=True)
class Folder:
    """The pictures listed in `captions.jsonl` under `root`. A record's key is its `file`.

    Splits and parts follow from a hash of the key, so added pictures do not move others, and
    changing `judge` does not change HELDOUT. The data is identified by `name` and the fields here,
    not by `root` or the files: give changed pictures another name.

    image: the side of a picture; the shorter side is resized to it, then the centre is cropped.
    resize: the filter.
    min_side: pictures with a shorter side under this, or under `image`, are left out.
    judge, heldout: approximate shares of the pictures. ValueError unless some are left to train on.
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
        return crop_name(self.image, self.resize)

    def locate(self) -> None:
        """Raise SourceError if captions.jsonl is missing."""
        self._lines().close()

    def expected(self, split: Split) -> int:
        with self._lines() as lines:
            return round(self.share(split) * sum(1 for line in lines if line.strip()))

    def share(self, split: Split) -> float:
        """The approximate share of the pictures in a split."""
        shares = {Split.JUDGE: self.judge, Split.HELDOUT: self.heldout}
        return shares.get(split, 1 - self.judge - self.heldout)

    def parts(self, split: Split) -> Sequence[str]:
        return tuple(f"{i:x}" for i in range(PARTS))

    def batches(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of {self.name}")
        return read_entries(self._entries(split, part), size, counts)

    def read(self, split: Split) -> Records:
        return read_all(self, split)

    def split_and_part(self, key: str) -> tuple[Split, str]:
        """The split and part of a picture. They depend on its key and the shares only."""
        digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
        position = int.from_bytes(digest[:8], "big") / 2**64  # uniform in [0, 1)
        part = f"{digest[8] % PARTS:x}"
        if position < self.heldout:
            return Split.HELDOUT, part
        return (Split.JUDGE if position < self.heldout + self.judge else Split.TRAIN), part

    def _lines(self) -> BinaryIO:
        path = Path(self.root).expanduser() / CAPTIONS
        if not path.is_file():
            raise SourceError(f"no {path}: it lists the pictures, a line of JSON for each")
        return open(path, "rb")  # closed by the caller

    def _entries(self, split: Split, part: str) -> Iterator[tuple[str, Callable[[], Captioned]]]:
        """The entries of a part. The key of a line without a file is its line number."""
        with self._lines() as lines:
            for number, line in enumerate(lines, 1):
                line = line.removeprefix(BOM_UTF8)
                if not line.strip():
                    continue
                entry = _parsed(line)
                key = entry.get("file")
                if not isinstance(key, str) or not key:
                    key = f"{CAPTIONS}:{number}"
                if self.split_and_part(key) == (split, part):
                    yield key, partial(self._read, entry)

    def _read(self, entry: dict[str, Any]) -> Captioned:
        name = entry.get("file")
        if not isinstance(name, str) or not name:
            raise BadRecordError("a line without a file, or that is no JSON object")
        caption = checked_caption(entry.get("caption"))
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise BadRecordError("a file outside the folder")
        path = Path(self.root).expanduser() / relative
        try:
            if path.exists() and not path.is_file():  # opening a pipe would wait for its writer
                raise BadRecordError("no picture: no regular file")
            data = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name with a null byte
            raise BadRecordError(f"no picture: {getattr(error, 'strerror', error)}") from error
        picture = decode(data, max(self.image, self.min_side))
        return square(picture, self.image, self.resize), caption


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
