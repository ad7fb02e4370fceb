"""What a judge of pictures is: a trained classifier, or the metrics that papers publish."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import Column

Wrong = NDArray[np.bool_] | None


class Judging(Stage):
    """A stage that scores pictures beside the held-out ones.

    classifies: whether it can tell which class a picture shows.
    """

    covered: ClassVar[bool] = True
    classifies: ClassVar[bool] = False

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        """What stands in a column's place: under the name of what it measures, or nothing."""
        raise NotImplementedError

    def measure(
        self, pictures: Pictures, several: Pictures, context: Context
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Numbers by column, and the diversity of each prompt of which `several` has several."""
        raise NotImplementedError

    def wrong(self, store: Store, images: Images, labels: NDArray[np.int64]) -> Wrong:
        """Which pictures do not show the class that was named, where it can tell."""
        return None

    def remarks(self, store: Store) -> tuple[str, ...]:
        """What a reader of its numbers should know, one line each."""
        return ()
