"""The protocol of a source of pictures and captions: three splits, read part by part.

A record that cannot be used is counted, listed and skipped. Records that a filter leaves out are
counted separately. `RecordCounts.check` stops the reader if too many records are bad.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BAD_SHARE = 0.01
"""The largest share of bad records, unless another is given."""
FEWEST_BAD = 10
"""Fewer bad records than this never stop the reader, since their share is no good estimate."""


class SourceError(RuntimeError):
    """Data that cannot be read. One line names the file or address and what to do."""


class LostShardError(SourceError):
    """A shard that is not there, or is damaged or cut short: usual in what is downloaded."""


class BadRecordError(Exception):
    """A record that cannot be used. The text is the reason."""


class LeftOutError(Exception):
    """A valid record that a filter leaves out. The text names the filter."""


class Split(Enum):
    """TRAIN for experts, routers, clusters; JUDGE for networks that score; HELDOUT for neither."""

    TRAIN = "train"
    JUDGE = "judge"
    HELDOUT = "heldout"


@dataclass(frozen=True)
class Records:
    """N records of a source.

    keys: unique among all records of the source.  captions: one for each record.
    images: [N, C, H, W], or clips [N, C, T, H, W], in [-1, 1].
    labels: [N], classes, or -1 where there are none.
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
class RecordCounts:
    """What became of the records read so far.

    kept: records returned.  bad: (key, reason) of each record that could not be used.
    left_out: records that each filter left out, by its name.
    """

    kept: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All records read."""
        return self.kept + len(self.bad) + self.left_out.total()

    def as_json(self) -> dict[str, object]:
        """The counts as JSON values. (dataclasses.asdict does not copy a Counter correctly.)"""
        return {"kept": self.kept, "bad": self.bad, "left_out": dict(self.left_out)}

    def add(self, other: "RecordCounts") -> None:
        """Add the counts of another part."""
        self.kept += other.kept
        self.bad += other.bad
        self.left_out.update(other.left_out)

    def check(self, limit: float = BAD_SHARE) -> None:
        """Raise SourceError if more than the share `limit`, and at least FEWEST_BAD, are bad.

        Call it after every batch and at the end of every part.
        """
        count, share = len(self.bad), len(self.bad) / max(self.total, 1)
        if count >= FEWEST_BAD and share > limit:
            key, reason = self.bad[0]
            raise SourceError(
                f"{count} of {self.total} records are bad ({share:.1%}, and at most {limit:.1%} "
                f"may be); the first is {key}: {reason}. Mend the data, or state a larger share"
            )


class Source(Protocol):
    """A frozen value that reads pictures; it is part of the key of every artifact made from them.

    Fields with `metadata={"key": False}`, such as a folder on this machine, are not part of the
    key. The other fields must then identify the data.
    """

    @property
    def name(self) -> str:
        """The data's name, in letters, digits, ".", "+" and "-"."""
        ...

    @property
    def preparation(self) -> str:
        """How pictures were resized or cropped, in the same characters."""
        ...

    @property
    def image(self) -> int:
        """The side of a picture, in pixels."""
        ...

    @property
    def channels(self) -> int:
        """C, the channels of a picture."""
        ...

    @property
    def classes(self) -> int:
        """The number of classes that captions name; 0 where they name none."""
        ...

    def expected(self, split: Split) -> int:
        """The approximate number of pictures in a split. Opens no picture."""
        ...

    def parts(self, split: Split) -> Sequence[str]:
        """The names of a split's parts, always in the same order. Reading resumes part by part."""
        ...

    def batches(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        """One part as batches of `size` records, the last one smaller; adds to `counts`.

        Holds one batch in memory. Raises ValueError for an unknown part, and SourceError for one
        that is missing or incomplete; its earlier batches must then be discarded.
        """
        ...

    def read(self, split: Split) -> Records:
        """A whole split, in memory. Raises SourceError as `batches`."""
        ...


@runtime_checkable
class DividedSource(Source, Protocol):
    """A source whose splits are drawn, so that each seed of a table can have its own.

    Two divisions are of the same records, and so share some, unless the source has `disjoint`.
    """

    def divided(self, seed: int) -> Self:
        """The same records, divided into splits in another way for each seed; as it is for 0."""
        ...

    def tuning(self) -> Self:
        """The same splits, but held out are records for choosing dials, which no division has in
        any split."""
        ...


@runtime_checkable
class AlteredSource(Source, Protocol):
    """A source that may alter what is trained on."""

    def unaltered(self) -> Self:
        """The same records as they are."""
        ...


class VideoSource(Source, Protocol):
    """A source of clips, [N, C, T, H, W]."""

    @property
    def frames(self) -> int:
        """T, the frames of a clip."""
        ...


def record_shape(source: Source) -> tuple[int, ...]:
    """The shape of one record: (C, H, W) of a picture, (C, T, H, W) of a clip."""
    frames = getattr(source, "frames", None)
    time = () if frames is None else (frames,)
    return (source.channels, *time, source.image, source.image)


class DrawnClips(NamedTuple):
    """New clips [N, C, T, H, W] in [-1, 1].

    labels: [N], int64, indices into the source's captions.  scene: [N], int64, the clusters.
    """

    clips: Tensor
    labels: Tensor
    scene: Tensor


@runtime_checkable
class DrawingSource(VideoSource, Protocol):
    """A source that draws any number of new clips of given clusters."""

    @property
    def clusters(self) -> int:
        """The number of clusters."""
        ...

    @property
    def captions(self) -> tuple[str, ...]:
        """The caption of each class, V in all."""
        ...

    def draw(self, split: Split, clusters: Sequence[int], n: int, g: torch.Generator) -> DrawnClips:
        """n clips [n, C, T, H, W] of the given clusters, from the split's material."""
        ...

    def cluster(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The clusters [N] of classes [N]."""
        ...
