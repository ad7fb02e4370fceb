"""What a source of pictures and captions is: anything that reads these three splits, part by part.

A record that cannot be used is counted, listed and skipped; what a filter leaves out is counted
apart, since it is no fault. Past a stated share of bad records `Refused.check` stops the reader.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

BAD_SHARE = 0.01
"""The share of bad records past which reading stops, unless another is stated."""
FEWEST_BAD = 10
"""Fewer bad records stop nothing, whatever their share: one of three says little."""


class SourceError(RuntimeError):
    """Data that cannot be read: one line that names the file or address and what to do."""


class BadRecordError(Exception):
    """A record that cannot be used. Its text is the reason."""


class LeftOutError(Exception):
    """A sound record that a filter leaves out. Its text names the filter."""


class Split(Enum):
    """TRAIN for experts, routers and clusters; JUDGE for the networks that score them; HELDOUT,
    which no training stage ever reads."""

    TRAIN = "train"
    JUDGE = "judge"
    HELDOUT = "heldout"


@dataclass(frozen=True)
class Records:
    """keys [N], images [N, C, H, W] or clips [N, C, T, H, W] in [-1, 1], labels [N], captions [N].

    A key names one record of the source, over all its splits. Labels are -1 where there are none.
    """

    keys: list[str]
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    captions: list[str]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice) -> "Records":
        return Records(self.keys[rows], self.images[rows], self.labels[rows], self.captions[rows])


@dataclass
class Refused:
    """What became of the records read so far.

    kept: how many were handed on. bad: (key, reason) of each that could not be used. left_out: how
    many each filter left out. One for each part, added up, is what survives an interrupted part.
    """

    kept: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def seen(self) -> int:
        return self.kept + len(self.bad) + self.left_out.total()

    def told(self) -> dict[str, object]:
        """As JSON. (dataclasses.asdict makes another Counter, of pairs, out of this one.)"""
        return {"kept": self.kept, "bad": self.bad, "left_out": dict(self.left_out)}

    def add(self, other: "Refused") -> None:
        self.kept += other.kept
        self.bad += other.bad
        self.left_out.update(other.left_out)

    def check(self, limit: float = BAD_SHARE) -> None:
        """SourceError if more than `limit` of the records seen, and at least FEWEST_BAD, are bad.

        To be called after every batch and at the end of every part.
        """
        count, share = len(self.bad), len(self.bad) / max(self.seen, 1)
        if count >= FEWEST_BAD and share > limit:
            key, reason = self.bad[0]
            raise SourceError(
                f"{count} of {self.seen} records are bad ({share:.1%}, and at most {limit:.1%} may "
                f"be); the first is {key}: {reason}. Mend the data, or state a larger share"
            )


class Source(Protocol):
    """A frozen value, hashed into every key below it.

    image: side; channels; classes of labels, 0 where there are none.  name, preparation: whose
    pictures these are and what was done to them, in letters, digits, . + and -.
    Fields that say where on a machine the data lies have `metadata={"key": False}`: they are no
    part of the hash. What the data is must then be said by the other fields.
    """

    @property
    def name(self) -> str: ...

    @property
    def preparation(self) -> str: ...

    @property
    def image(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def classes(self) -> int: ...

    def expected(self, split: Split) -> int:
        """How many pictures a split has, about: to plan by; no picture is opened."""
        ...

    def parts(self, split: Split) -> Sequence[str]:
        """The names of what is read, and resumed, one by one, always in this order."""
        ...

    def batches(self, split: Split, part: str, size: int, refused: Refused) -> Iterator[Records]:
        """One part as batches of `size` records, the last one smaller, counted into `refused`.

        Memory holds a batch, never a whole part. SourceError for a part that is not there, or not
        whole: what came before it is then not the part either.
        """
        ...

    def read(self, split: Split) -> Records:
        """All of a split that fits into memory."""
        ...


class VideoSource(Source, Protocol):
    """A source of clips: frames, how many in each."""

    @property
    def frames(self) -> int: ...


def picture(source: Source) -> tuple[int, ...]:
    """(C, H, W) of a source's pictures, (C, T, H, W) of its clips."""
    frames = getattr(source, "frames", None)
    time = () if frames is None else (frames,)
    return (source.channels, *time, source.image, source.image)


def read_all(source: Source, split: Split, limit: float = BAD_SHARE, size: int = 256) -> Records:
    """Every part of a split, joined. SourceError if it is empty, or more than `limit` is bad."""
    refused, batches = Refused(), []
    for part in source.parts(split):
        for batch in source.batches(split, part, size, refused):
            batches.append(batch)
            refused.check(limit)
        refused.check(limit)
    if not batches:
        raise SourceError(
            f"no picture in the {split.value} split of {source}: {len(refused.bad)} bad, left out "
            f"{dict(refused.left_out)}"
        )
    return Records(
        keys=[key for batch in batches for key in batch.keys],
        images=np.concatenate([batch.images for batch in batches]),
        labels=np.concatenate([batch.labels for batch in batches]),
        captions=[caption for batch in batches for caption in batch.captions],
    )


def sliced(records: Records, size: int, refused: Refused) -> Iterator[Records]:
    """Records that are in memory anyway, as batches."""
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        refused.kept += len(batch)
        yield batch


Captioned = tuple[NDArray[np.float32], str]
"""A picture [C, H, W] and its caption."""


def gathered(
    entries: Iterable[tuple[str, Callable[[], Captioned]]], size: int, refused: Refused
) -> Iterator[Records]:
    """Batches of the entries (key, how to read it) of one part that can be read, without labels.

    A key that comes again is bad, whatever became of the first: neither is known to be meant.
    """
    seen: set[str] = set()
    held: list[tuple[str, Captioned]] = []
    for key, read in entries:
        try:
            if not _written(key):
                key = key.encode(errors="replace").decode()
                raise BadRecordError("a key that is no Unicode")
            if key in seen:
                raise BadRecordError("duplicated key")
            seen.add(key)
            held.append((key, read()))
        except BadRecordError as error:
            refused.bad.append((key, str(error)))
            continue
        except LeftOutError as error:
            refused.left_out[str(error)] += 1
            continue
        refused.kept += 1
        if len(held) == size:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def captioned(caption: object) -> str:
    """A caption without the space around it. BadRecordError if nothing is said, or unwritable."""
    if not isinstance(caption, str) or not caption.strip():
        raise BadRecordError("no caption")
    if not _written(caption):
        raise BadRecordError("a caption that is no Unicode")
    return caption.strip()


def _written(text: str) -> bool:
    """Whether a text can be written: json and tar hand on halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _joined(held: list[tuple[str, Captioned]]) -> Records:
    return Records(
        keys=[key for key, _ in held],
        images=np.stack([image for _, (image, _) in held]),
        labels=np.full(len(held), -1, dtype=np.int64),
        captions=[caption for _, (_, caption) in held],
    )
