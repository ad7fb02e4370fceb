"""What a judge is, of pictures or of clips: it reads samples batch by batch, then the whole set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import ACCURACY, Column

FeatureRows = Mapping[str, NDArray[Any]]
"""Features [N, F] of samples, by the network that they are of; or what else of them a judge needs
of the whole set."""
PerSample = dict[str, NDArray[np.float64]]
"""A number [N] of every sample, by column; not finite where it has none."""
Wrong = NDArray[np.bool_] | None


@dataclass(frozen=True)
class Reading:
    """What a judge reads of a batch: features of it, and numbers of each sample."""

    features: FeatureRows
    numbers: PerSample


@dataclass(frozen=True)
class SetReading:
    """What a judge says of a whole set: numbers by column, and diversity by prompt."""

    numbers: dict[str, float]
    within: dict[str, float]


class Judge(Stage):
    """A stage that scores samples, each by itself and all of them beside the held-out ones.

    classifies: whether it can tell which class a sample shows.  batch: samples that it reads at
    once; None for as many as were drawn at once.  preferred: the number by which one sample of a
    prompt is preferred to another.
    """

    covered: ClassVar[bool] = True
    classifies: ClassVar[bool] = False
    batch: ClassVar[int | None] = None
    preferred: ClassVar[Column] = ACCURACY

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        """What stands in a column's place: under the name of what it measures, or nothing."""
        return (column,)

    def read(
        self, samples: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> Reading:
        """Features and numbers of pictures [B, C, H, W] or clips [B, C, T, H, W] in [-1, 1].

        captions, labels: the prompt and the class [B] that each was drawn for.
        """
        raise NotImplementedError

    def read_set(
        self, features: FeatureRows, drawn: Pictures, several: Pictures, context: Context
    ) -> SetReading:
        """What is true of the set alone, from the features of what was drawn.

        several: the samples of which a prompt has several, whose diversity is measured.
        """
        raise NotImplementedError

    def wrong(self, store: Store, images: Images, labels: NDArray[np.int64]) -> Wrong:
        """Which samples do not show the class that was named, where it can tell."""
        return None

    def remarks(self, store: Store) -> tuple[str, ...]:
        """What a reader of its numbers should know, one line each."""
        return ()
