"""scikit-learn's handwritten digits with captions: 1,797 real pictures of 8x8, no download."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits

from datamodules.sources.source import Records, Refused, Split, sliced

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CAPTIONS = (
    "a handwritten {word}",
    "the digit {word}",
    "{article} {word} written by hand",
    "a scan of the number {word}",
)
SHUFFLE = 20261121
"""The file lists digits writer by writer; one fixed shuffle spreads the writers over the splits."""


def caption(index: int, word: str) -> str:
    """The caption of the index-th digit of the file: one of four phrasings in turn."""
    article = "an" if word == "eight" else "a"
    return CAPTIONS[index % len(CAPTIONS)].format(article=article, word=word)


@dataclass(frozen=True)
class Digits:
    """How many of the 1,797 digits each split holds. ValueError if they are not that many."""

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
        """One part: they are in memory as soon as they are read."""
        return ("digits",)

    def batches(self, split: Split, part: str, size: int, refused: Refused) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of the digits")
        return sliced(self.read(split), size, refused)

    def read(self, split: Split) -> Records:
        """One split. Keys name the digit's place in scikit-learn's file."""
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
