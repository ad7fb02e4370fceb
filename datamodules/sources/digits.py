"""scikit-learn's handwritten digits with captions: 1,797 real pictures, 8 x 8, no download."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.reading import record_batches
from datamodules.sources.source import RecordCounts, Records, Split

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CAPTIONS = (
    "a handwritten {word}",
    "the digit {word}",
    "{article} {word} written by hand",
    "a scan of the number {word}",
)
SHUFFLE = 20261121
"""Seed of a fixed shuffle: the file is sorted by writer, and each split should have all writers."""


def caption(index: int, word: str) -> str:
    """The caption of the file's digit `index`: one of four phrasings in turn."""
    article = "an" if word == "eight" else "a"
    return CAPTIONS[index % len(CAPTIONS)].format(article=article, word=word)


@dataclass(frozen=True)
class Digits:
    """Pictures [1, 8, 8] of ten classes.

    train, judge, heldout: digits in each split, of 1,797. ValueError if there are not as many.
    set_apart: digits that no division has in a split, for choosing dials.
    division: which division of the others into splits it is; 0 is the order of the shuffle.
    tunes: whether the digits set apart are the held-out ones.
    """

    train: int = 800
    judge: int = 397
    heldout: int = 400
    set_apart: int = 200
    division: int = 0
    tunes: bool = False

    name = "digits"
    preparation = "8px"
    classes = len(WORDS)
    image = 8
    channels = 1

    def __post_init__(self) -> None:
        sizes = (self.train, self.judge, self.heldout)
        if min(sizes) < 2 or self.set_apart < 0 or sum(sizes) + self.set_apart > 1797:
            raise ValueError(
                f"splits of {sizes} digits beside {self.set_apart} set apart: each needs two, and "
                "there are 1797 in all"
            )
        if self.division < 0:
            raise ValueError(f"division {self.division} is negative")
        if self.tunes and self.set_apart < 2:
            raise ValueError(f"{self.set_apart} digits set apart are too few to choose dials on")

    def divided(self, seed: int) -> Self:
        return replace(self, division=self.division + seed)

    def tuning(self) -> Self:
        return replace(self, tunes=True)

    def expected(self, split: Split) -> int:
        heldout = self.set_apart if self.tunes else self.heldout
        return {Split.TRAIN: self.train, Split.JUDGE: self.judge, Split.HELDOUT: heldout}[split]

    def parts(self, split: Split) -> Sequence[str]:
        """One part: all digits fit into memory."""
        return ("digits",)

    def batches(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of the digits")
        return record_batches(self.read(split), size, counts)

    def read(self, split: Split) -> Records:
        """One split. A key is the digit's index in scikit-learn's file."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        chosen = self._chosen(split, len(digits.target))
        labels = digits.target[chosen].astype(np.int64)
        return Records(
            keys=[f"digit-{i:04d}" for i in chosen],
            images=(digits.images[chosen, None] / 8 - 1).astype(np.float32),
            labels=labels,
            captions=[caption(i, WORDS[k]) for i, k in zip(chosen, labels, strict=True)],
        )

    def _chosen(self, split: Split, total: int) -> NDArray[np.int64]:
        """The places of a split's digits in the file of `total`."""
        order = np.random.default_rng(SHUFFLE).permutation(total)
        divisible, apart = np.split(order, [total - self.set_apart])
        if split is Split.HELDOUT and self.tunes:
            return apart
        if self.division:
            divisible = np.random.default_rng([SHUFFLE, self.division]).permutation(divisible)
        start = {Split.TRAIN: 0, Split.JUDGE: self.train, Split.HELDOUT: self.train + self.judge}
        return divisible[start[split] : start[split] + self.expected(split)]
