"""scikit-learn's handwritten digits with captions: 1,797 real pictures, 8 x 8, no download."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

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
    """

    train: int = 800
    judge: int = 597
    heldout: int = 400

    name = "digits"
    preparation = "8px"
    classes = len(WORDS)
    image = 8
    channels = 1

    def __post_init__(self) -> None:
        sizes = (self.train, self.judge, self.heldout)
        if min(sizes) < 2 or sum(sizes) > 1797:
            raise ValueError(f"splits of {sizes} digits: each needs two, and there are 1797 in all")

    def expected(self, split: Split) -> int:
        sizes = {Split.TRAIN: self.train, Split.JUDGE: self.judge, Split.HELDOUT: self.heldout}
        return sizes[split]

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
        order = np.random.default_rng(SHUFFLE).permutation(len(digits.target))
        start = {Split.TRAIN: 0, Split.JUDGE: self.train, Split.HELDOUT: self.train + self.judge}
        chosen = order[start[split] : start[split] + self.expected(split)]
        labels = digits.target[chosen].astype(np.int64)
        return Records(
            keys=[f"digit-{i:04d}" for i in chosen],
            images=(digits.images[chosen, None] / 8 - 1).astype(np.float32),
            labels=labels,
            captions=[caption(i, WORDS[k]) for i, k in zip(chosen, labels, strict=True)],
        )
