"""Pictures of your own: a folder with a `captions.jsonl`."""

import hashlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Self

import numpy as np

from datamodules.alterations import Alterations
from datamodules.labels import NONE, class_number, classes_in, parsed
from datamodules.sources.pictures import Filter, crop_name, decode, square
from datamodules.sources.reading import Captioned, checked_caption, read_all, read_entries
from datamodules.sources.source import BadRecordError, RecordCounts, Records, SourceError, Split

CAPTIONS = "captions.jsonl"
"""A line for each picture, {"file": "cats/1.png", "caption": "a cat"}; paths are in the folder. It
may have a "label", a whole number or a word, and "keywords", a list of words."""
PARTS = 16


@dataclass(frozen=True)
class Folder:
    """The pictures listed in `captions.jsonl` under `root`. A record's key is its `file`.

    Splits and parts follow from a hash of the key, so added pictures do not move others, and
    changing `judge` does not change HELDOUT. The data is identified by `name` and the fields here,
    not by `root` or the files: give changed pictures another name.

    name: what the pictures are called, whose identity it is.
    root: the folder that holds captions.jsonl.
    image: the side of a picture; the shorter side is resized to it, then the centre is cropped.
    resize: the filter.
    min_side: pictures with a shorter side under this, or under `image`, are left out.
    judge, heldout: approximate shares of the pictures. ValueError unless some are left to train on.
    keywords: of those that a line has, how many follow its caption.
    alterations: of pictures to train on; None for none.
    class_count: classes of the labels; None for as many as there are. Where it is given, whole
        numbers are the classes themselves; else labels are numbered in their order.
    """

    name: str
    root: str = field(default=".", metadata={"key": False})
    image: int = 256
    resize: Filter = Filter.LANCZOS
    min_side: int = 0
    judge: float = 0.1
    heldout: float = 0.1
    keywords: int = 0
    alterations: Alterations | None = None
    class_count: int | None = None

    channels = 3

    def __post_init__(self) -> None:
        if not (self.judge >= 0 and self.heldout >= 0 and self.judge + self.heldout < 1):
            raise ValueError(f"shares {self.judge} to judge by, {self.heldout} held out of 1")
        if self.keywords < 0 or (self.class_count is not None and self.class_count < 1):
            raise ValueError(f"{self.keywords} keywords, {self.class_count} classes: too few")

    @property
    def classes(self) -> int:
        """The number of classes; 0 where no line has a label, or there is no list yet."""
        found = classes_in(self._list)
        return len(found) if self.class_count is None or not found else self.class_count

    def unaltered(self) -> Self:
        """The same pictures as they are."""
        return replace(self, alterations=None)

    @property
    def preparation(self) -> str:
        return crop_name(self.image, self.resize)

    def locate(self) -> None:
        """Raise SourceError if captions.jsonl is missing."""
        self._lines().close()

    def expected(self, split: Split) -> int:
        with self._lines() as lines:
            listed = round(self.share(split) * sum(1 for line in lines if line.strip()))
        return listed * (1 + self._copies(split))

    def _copies(self, split: Split) -> int:
        """Altered pictures of a split beside each that is as it was."""
        altered = split is Split.TRAIN and self.alterations is not None
        return self.alterations.copies if altered and self.alterations is not None else 0

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
        return self._labelled(split, part, size, counts)

    def _labelled(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        numbers: dict[str, int] = {}
        for records in read_entries(self._entries(split, part, numbers), size, counts):
            labels = np.array([numbers[key] for key in records.keys], dtype=np.int64)
            yield replace(records, labels=labels)

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

    @property
    def _list(self) -> Path:
        return Path(self.root).expanduser() / CAPTIONS

    def _lines(self) -> BinaryIO:
        if not self._list.is_file():
            raise SourceError(
                f"no {self._list}: it lists the pictures, a line of JSON for each; see docs/data.md"
            )
        return open(self._list, "rb")  # closed by the caller

    def _entries(
        self, split: Split, part: str, numbers: dict[str, int]
    ) -> Iterator[tuple[str, Callable[[], Captioned]]]:
        """The entries of a part, and the class of each in `numbers`. The key of a line without a
        file is its line number."""
        found = classes_in(self._list)
        with self._lines() as lines:
            for number, line in enumerate(lines, 1):
                if not line.removeprefix(BOM_UTF8).strip():
                    continue
                entry = parsed(line)
                key = entry.get("file")
                if not isinstance(key, str) or not key:
                    key = f"{CAPTIONS}:{number}"
                if self.split_and_part(key) != (split, part):
                    continue
                label = class_number(entry.get("label"), found, self.class_count)
                for copy in range(1 + self._copies(split)):
                    name = f"{key}#{copy}" if copy else key
                    numbers.setdefault(name, NONE if label is None else label)
                    yield name, partial(self._read, entry, label, copy)

    def _read(self, entry: dict[str, Any], label: int | None, copy: int) -> Captioned:
        name = entry.get("file")
        if not isinstance(name, str) or not name:
            raise BadRecordError("a line without a file, or that is no JSON object")
        caption = checked_caption(entry.get("caption"))
        if label is None:
            raise BadRecordError(f"label {entry.get('label')!r}, of {self.classes} classes")
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
        image = square(picture, self.image, self.resize)
        caption = self._with_keywords(caption, entry.get("keywords"))
        if copy and self.alterations is not None:
            return self.alterations.altered(image, caption, f"{name}#{copy}")
        return image, caption

    def _with_keywords(self, caption: str, keywords: object) -> str:
        listed = keywords[: self.keywords] if isinstance(keywords, list) else []
        words = [word for word in listed if isinstance(word, str) and word.isprintable()]
        return f"{caption}: {', '.join(words)}" if words else caption
