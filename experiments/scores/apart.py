"""Samples scored beside others that began with the same noise: what another solver or another
network makes of it, picture by picture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.pipeline.store import Context
from experiments.scores.score import Score
from experiments.stages.samples import Pictures, Sample
from experiments.tables.columns import NOT_NEGATIVE, Column


@dataclass(frozen=True)
class ScoreApart(Score):
    """A score that also has `apart NAME` for each of `references`, which `called` names: how far
    the pictures lie from theirs, the root mean square of the difference in values of [-1, 1].

    ValueError for references of other prompts or other noise: what lies between is then no error.
    """

    called: tuple[str, ...] = ()
    references: tuple[Pictures, ...] = ()

    def __post_init__(self) -> None:
        for name, each in zip(self.called, self.references, strict=True):
            if _begun(each) != _begun(self.pictures):
                raise ValueError(f"{name} and {self.pictures.label} began otherwise")

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        own, numbers = self.pictures.images(context.store), super().measure(folder, context)
        for name, reference in zip(self.called, self.references, strict=True):
            between = own - reference.images(context.store)
            numbers[apart(name).key] = float(np.sqrt(np.mean(between**2, dtype=np.float64)))
        return numbers


def _begun(pictures: Pictures) -> tuple[object, object, int]:
    """Whose captions are asked, which of them, and the seed of the noise. ValueError for pictures
    that no noise was drawn for."""
    if not isinstance(pictures, Sample):
        raise ValueError(f"{pictures.label} began with no noise")
    return pictures.shards.heldout, pictures.asked, pictures.seed


def beside(score: Score, others: Mapping[str, Score]) -> ScoreApart:
    """The score, and how far its pictures lie from those of other scores, by name; from themselves
    they lie nowhere, and no number says so."""
    apart = {name: x.pictures for name, x in others.items() if x.pictures != score.pictures}
    named = tuple(apart), tuple(apart.values())
    return ScoreApart(score.pictures, score.judge, score.repeated, *named)


def apart(name: str) -> Column:
    """The column of the distance to the reference of this name."""
    return Column(f"apart {name}", f"RMS distance to {name}, of a range of 2", 3, lies=NOT_NEGATIVE)
