"""Drawn scenes: a coloured shape before a texture, endless, whose truth is known. No download.

Five factors, independent, with the probabilities stated here; captions say those that are `named`,
so that what a caption tells of a cluster is a dial. What is no factor is jitter: the place within
a quarter of a pixel, the radius, the texture within half a pixel, slight shades.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.reading import read_all
from datamodules.sources.scene_drawing import COLOURS, SIDE, Look, below, chosen, rendered
from datamodules.sources.source import RecordCounts, Records, Split

PART = 4_096
"""Pictures in a part."""
JUDGED = 2_048
"""Pictures of the judge's split when it is read, as calibration does; the judge draws its own."""
RANGE = 2**32
"""Indices set aside for a split; four ranges a division: three splits, and one to tune on."""
Values = NDArray[np.int64]


class Factor(Enum):
    """What is drawn of a scene, in the order of a label's digits."""

    SHAPE = "shape"
    COLOUR = "colour"
    SIZE = "size"
    PLACE = "place"
    TEXTURE = "texture"


WORDS: dict[Factor, tuple[str, ...]] = {
    Factor.SHAPE: ("circle", "square", "triangle", "cross"),
    Factor.COLOUR: tuple(COLOURS),
    Factor.SIZE: ("small", "large"),
    Factor.PLACE: ("upper left", "upper right", "lower left", "lower right"),
    Factor.TEXTURE: (
        *("plain grey", "rows", "columns", "rising stripes"),
        *("falling stripes", "checks", "dots", "shading"),
    ),
}
"""What captions call each value."""
WEIGHTS: dict[Factor, tuple[int, ...]] = {
    Factor.SHAPE: (1, 1, 1, 1),
    Factor.COLOUR: (1, 1, 1, 1, 1, 1, 1, 1),
    Factor.SIZE: (3, 2),
    Factor.PLACE: (4, 3, 2, 1),
    Factor.TEXTURE: (1, 1, 1, 1, 1, 1, 1, 1),
}
"""Probabilities of each value, as whole numbers to be divided by their sum."""
WORDINGS = ("a {}", "one {}", "here is a {}", "see the {}")
"""All as probable as each other, whatever is shown."""
_WORDING = len(Factor)
_JITTER = _WORDING + 1


def probabilities(factor: Factor) -> NDArray[np.float64]:
    """The probability [V] of each value."""
    weights = np.array(WEIGHTS[factor], dtype=np.float64)
    return weights / weights.sum()


def labels_of(values: Mapping[Factor, Values]) -> Values:
    """A number [N] for all factors together."""
    return np.ravel_multi_index(
        tuple(values[factor] for factor in Factor), tuple(len(WORDS[f]) for f in Factor)
    )


def values_of(labels: Values) -> dict[Factor, Values]:
    """Every factor's values [N] in labels [N]."""
    parts = np.unravel_index(labels, tuple(len(WORDS[factor]) for factor in Factor))
    return dict(zip(Factor, parts, strict=True))


def said(values: Mapping[Factor, int], wording: int) -> str:
    """The caption of a scene of which only the given factors are named."""
    words = {factor: WORDS[factor][value] for factor, value in values.items()}
    thing = [words.get(Factor.SIZE), words.get(Factor.COLOUR), words.get(Factor.SHAPE, "shape")]
    phrase = " ".join(filter(None, thing))
    if Factor.PLACE in words:
        phrase += f" at the {words[Factor.PLACE]}"
    if Factor.TEXTURE in words:
        phrase += f" on {words[Factor.TEXTURE]}"
    caption = WORDINGS[wording].format(phrase)
    return caption.replace("a orange", "an orange")


def named_in(caption: str) -> dict[Factor, int]:
    """The factors that a caption names, with their values; the inverse of `said`."""
    text = f" {caption} "
    return {
        factor: number
        for factor, words in WORDS.items()
        for number, word in enumerate(words)
        if f" {word} " in text
    }


@dataclass(frozen=True)
class Scenes:
    """Pictures [3, 16, 16], each a function of its index: a split is a range of indices, a division
    another set of ranges.

    train, heldout: pictures of each split when it is read; JUDGE's are JUDGED. A monolith of scale
        `scenes` sees twice as many as the 65,536 of its training split, and so each about twice.
    named: the factors that captions say.
    division: which ranges.  tunes: whether the held-out pictures are those to choose dials on.
    """

    train: int = 65_536
    heldout: int = 2_048
    named: tuple[Factor, ...] = (Factor.SHAPE, Factor.COLOUR, Factor.SIZE)
    division: int = 0
    tunes: bool = False

    name = "scenes"
    preparation = "16px"
    image = SIDE
    channels = 3
    classes = 0  # captions name parts of a scene; labels number whole ones
    disjoint = True  # divisions are of other indices each

    def __post_init__(self) -> None:
        sizes = (self.train, self.heldout)
        if not 2 <= min(sizes) <= max(sizes) <= RANGE:
            raise ValueError(f"splits of {sizes} scenes: each needs 2, and at most {RANGE}")
        if len({*self.named}) < len(self.named):
            raise ValueError(f"a factor is named twice: {[f.value for f in self.named]}")
        if not 0 <= self.division < 2**30:
            raise ValueError(f"division {self.division} must lie in [0, 2^30)")

    @property
    def unsaid(self) -> tuple[Factor, ...]:
        """The factors that captions are silent on."""
        return tuple(factor for factor in Factor if factor not in self.named)

    def divided(self, seed: int) -> Self:
        return replace(self, division=self.division + seed)

    def tuning(self) -> Self:
        return replace(self, tunes=True)

    def expected(self, split: Split) -> int:
        return {Split.TRAIN: self.train, Split.JUDGE: JUDGED, Split.HELDOUT: self.heldout}[split]

    def parts(self, split: Split) -> Sequence[str]:
        return tuple(f"{i:07d}" for i in range(0, self.expected(split), PART))

    def batches(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of the {split.value} split of scenes")
        end = min(int(part) + PART, self.expected(split))
        for start in range(int(part), end, size):
            records = self.drawn(split, start, min(size, end - start))
            counts.kept += len(records)
            yield records

    def read(self, split: Split) -> Records:
        return read_all(self, split)

    def drawn(self, split: Split, first: int, n: int) -> Records:
        """n pictures of a split's range from the first on; the range goes on beyond the split."""
        index = np.arange(first, first + n, dtype=np.uint64) + np.uint64(self._start(split))
        values = {f: chosen(index, i, WEIGHTS[f]) for i, f in enumerate(Factor)}
        wordings = below(index, _WORDING, len(WORDINGS))
        look = Look(**{factor.value: values[factor] for factor in Factor})
        columns = [values[factor].tolist() for factor in self.named]
        scenes = zip(*columns, strict=True) if columns else ((),) * n
        return Records(
            keys=[f"scene-{i}" for i in index],
            images=rendered(look, index, _JITTER),
            labels=labels_of(values),
            captions=[
                said(dict(zip(self.named, scene, strict=True)), wording)
                for scene, wording in zip(scenes, wordings.tolist(), strict=True)
            ],
        )

    def _start(self, split: Split) -> int:
        """The first index of a split's range."""
        ranges = [Split.TRAIN, Split.JUDGE, Split.HELDOUT]
        which = 3 if split is Split.HELDOUT and self.tunes else ranges.index(split)
        return (4 * self.division + which) * RANGE
