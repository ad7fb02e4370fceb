"""What a sample set is asked for: held-out captions, a few of them many times, or given ones."""

import functools
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import Array, TextEncoder

Asked = tuple[list[str], NDArray[np.int64]]
"""The caption and the label of each picture."""
REMEMBERED = 1_000
"""Captions that are remembered as encoded, at most: 50,000 of CLIP-L would fill 12 GB."""


class Prompts(Protocol):
    """A frozen value, hashed into the key of what is drawn for it.

    read: from the captions and labels of the held-out split.
    """

    @property
    def n(self) -> int: ...

    def read(self, heldout: Asked) -> Asked: ...


@dataclass(frozen=True)
class Heldout:
    """The captions of the held-out split in order, round again if it is short."""

    n: int

    def read(self, heldout: Asked) -> Asked:
        captions, labels = heldout
        rows = np.arange(self.n) % len(captions)
        return [captions[i] for i in rows], labels[rows]


@dataclass(frozen=True)
class InClusters:
    """Captions of held-out pictures of the given clusters: of each in turn, round again if short.

    Raises ValueError without a cluster, or on reading if one has no held-out picture.
    """

    clusters: tuple[int, ...]
    n: int

    def __post_init__(self) -> None:
        if not self.clusters:
            raise ValueError("prompts of no cluster")

    def rows(self, cluster: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which of the held-out pictures, by the cluster of each, [n]."""
        rows_of = [np.flatnonzero(cluster == k) for k in self.clusters]
        if not all(len(rows) for rows in rows_of):
            raise ValueError(f"no held-out picture in one of clusters {self.clusters}")
        turns = [(rows_of[i % len(rows_of)], i // len(rows_of)) for i in range(self.n)]
        return np.array([rows[turn % len(rows)] for rows, turn in turns])

    def chosen(self, heldout: Asked, cluster: NDArray[np.int64]) -> Asked:
        """The captions and labels of those pictures."""
        rows = self.rows(cluster)
        return [heldout[0][i] for i in rows], heldout[1][rows]


@dataclass(frozen=True)
class Repeated:
    """The first `captions` distinct ones of the held-out split, `each` times over.  (HDDM, §3.4.1)

    Raises ValueError if fewer than two pictures show a caption, or on reading if the split has too
    few captions.
    """

    captions: int
    each: int

    def __post_init__(self) -> None:
        if self.captions < 1 or self.each < 2:
            raise ValueError(f"{self.captions} captions, {self.each} times: needs one, twice")

    @property
    def n(self) -> int:
        return self.captions * self.each

    def read(self, heldout: Asked) -> Asked:
        captions, labels = heldout
        # One caption may be of several labels, where it does not say all that they tell apart.
        label_of = dict(reversed([*zip(captions, labels, strict=True)]))
        distinct = [(caption, label_of[caption]) for caption in dict.fromkeys(captions)]
        if len(distinct) < self.captions:
            raise ValueError(
                f"{self.captions} captions asked for, but {len(distinct)} are held out"
            )
        pairs = [pair for pair in distinct[: self.captions] for _ in range(self.each)]
        return [caption for caption, _ in pairs], np.array([label for _, label in pairs])


@dataclass(frozen=True)
class Given:
    """Captions of its own, to be looked at, not scored: their labels are -1."""

    captions: tuple[str, ...]

    @property
    def n(self) -> int:
        return len(self.captions)

    def read(self, heldout: Asked) -> Asked:
        return list(self.captions), np.full(self.n, -1, dtype=np.int64)


@functools.lru_cache(maxsize=2)
def _remembered(
    text: TextEncoder, captions: tuple[str, ...], device: torch.device
) -> tuple[Array, Array]:
    return text.encode([*captions], device)


def encoded(text: TextEncoder, captions: list[str], device: torch.device) -> tuple[Array, Array]:
    """Token states and pooled vectors of captions. A table's samples are mostly of the same few,
    and to begin to read, a tokenizer being built, takes longer than to draw twenty digits."""
    if len(captions) > REMEMBERED:
        return text.encode(captions, device)
    return _remembered(text, tuple(captions), device)  # type: ignore[arg-type]  # frozen, as all
