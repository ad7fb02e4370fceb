"""Scores of clips: a judge's numbers of each clip, their means and intervals, and a distance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from experiments.pipeline.stage import Measurement, Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.samples import Images, Pictures
from experiments.stages.seeds import MEASURING, run_seed
from experiments.tables.columns import MISSING, Column
from metrics.bootstrap import frechet_interval, mean_interval
from metrics.frechet import frechet_distance

Each = dict[str, NDArray[np.float64]]
"""A number [N] of every clip, by column."""

#                 key        title                     digits
FVD = Column("fvd", "FVD", 2)
CLIP = Column("clip", "CLIP text-video", 4)
AESTHETIC = Column("aesthetic", "Aesthetic", 4)
MOTION = Column("motion", "Motion, px/frame", 3)
WARPING = Column("warping", "Warping error", 4)
VISIBLE = Column("visible", "Seen by the warping error, %", 1, factor=100)
"""Pixels whose flow there and back agrees: the error is of these alone."""
BEGINS = Column("begins", "First frame, RMS error", 3)
"""Between a clip's first frame, in [0, 1], and that of the held-out clip whose caption is asked."""
METRICS = (FVD, CLIP, AESTHETIC, MOTION, WARPING, VISIBLE)


class ClipJudging(Stage):
    """A stage that scores clips, each by itself and all of them beside the held-out ones.

    preferred: the number by which one clip of a prompt is preferred to another.
    """

    preferred: ClassVar[Column] = CLIP

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        """What stands in a column's place: under the name of what it measures, or nothing."""
        raise NotImplementedError

    def read(
        self, clips: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> tuple[NDArray[np.floating], Each]:
        """Features [B, F] of clips [B, C, T, H, W] in [-1, 1], and each one's numbers."""
        raise NotImplementedError

    def reference(self, context: Context) -> NDArray[np.floating]:
        """Features [M, F] of the held-out clips."""
        raise NotImplementedError

    def remarks(self, store: Store) -> tuple[str, ...]:
        """What a reader of its numbers should know, one line each."""
        return ()


@dataclass(frozen=True)
class ClipScore(Measurement):
    """measured.json: what the judge says of clips, with bootstrap ends, `fvd low` and `fvd high`.

    each.npz has the numbers of every clip, for tests paired over prompts.
    """

    version: ClassVar[int] = 2  # visible
    pictures: Pictures
    judge: ClipJudging

    @property
    def label(self) -> str:
        return f"score of {self.pictures.label}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        captions, labels = self.pictures.prompts(context.store)
        given = self.pictures.beginnings(context.store, context.torch_device)
        features, each, start = list[NDArray[np.floating]](), list[Each](), 0
        for clips in self.pictures.pictures(context.store, context.torch_device):
            rows = slice(start, start := start + len(clips))
            some, numbers = self.judge.read(clips, captions[rows], labels[rows], context)
            if given is not None:
                apart = (clips[:, :, 0] - given[rows]) / 2  # of values in [0, 1]
                numbers["begins"] = np.sqrt((apart**2).mean(axis=(1, 2, 3), dtype=np.float64))
            features.append(some)
            each.append(numbers)
        found = {key: np.concatenate([part[key] for part in each]) for key in each[0]}
        np.savez(folder / "each.npz", **found)  # type: ignore[arg-type]
        said = self._distance(np.concatenate(features), self.judge.reference(context))
        for i, (key, x) in enumerate(found.items()):
            seen = x[np.isfinite(x)]
            if len(seen) > 1:
                ends = mean_interval(seen, run_seed(0, MEASURING, 1 + i))
                said |= {key: ends.value, f"{key} low": ends.low, f"{key} high": ends.high}
        return {**said, **self.pictures.evaluations(context.store)}

    def _distance(
        self, features: NDArray[np.floating], reference: NDArray[np.floating]
    ) -> dict[str, float]:
        if len(features) < features.shape[1]:  # a covariance without rank: its ends say nothing
            return {"fvd": frechet_distance(features, reference)}
        ends = frechet_interval(features, reference, run_seed(0, MEASURING, 0), draws=100)
        return {"fvd": ends.value, "fvd low": ends.low, "fvd high": ends.high}

    def ends(self, store: Store, column: Column) -> str:
        """A number with its bootstrap interval over these very clips."""
        found = self.read(store)
        low, high = (found.get(f"{column.key} {end}") for end in ("low", "high"))
        if column.key not in found or low is None or high is None:
            return MISSING
        value, *around = (
            f"{column.factor * x:.{column.digits}f}" for x in (found[column.key], low, high)
        )
        return f"{value} [{around[0]}, {around[1]}]"

    def each(self, store: Store) -> Each:
        """The numbers [N] of every clip, by column."""
        with np.load(store.file(self, "each.npz")) as arrays:
            return dict(arrays)

    def remarks(self, store: Store) -> tuple[str, ...]:
        return self.judge.remarks(store)
