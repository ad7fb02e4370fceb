"""Judges beside the held-out samples of some clusters alone, for experts that know no other.

Beside all of them, samples of one cluster are judged by what their experts never saw: FID would
mostly say how far that cluster is from the rest.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.source import Split
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.scores.classifier import BATCH, ClassifierJudge
from experiments.scores.judge import FeatureRows, Judge, Reading, SetReading, Wrong
from experiments.scores.published import PublishedMetrics
from experiments.scores.scenes import ScenesJudge
from experiments.scores.squeezenet import NETWORK, SqueezeNetJudge
from experiments.stages.clusters import Encoded
from experiments.stages.samples import Images, Pictures
from experiments.tables.columns import Column
from metrics.frechet import frechet_distance, kernel_distance


@dataclass(frozen=True)
class WithinClusters(Judge):
    """rows.npy: which of the judge's held-out samples are of these clusters.

    judge: who reads.  places: the cluster of each held-out sample.
    ValueError, as it is made, if fewer than two are of them.
    """

    judge: Judge
    places: Encoded
    clusters: tuple[int, ...]

    @property
    def label(self) -> str:
        return f"held-out samples of clusters {','.join(map(str, self.clusters))}"

    @abstractmethod
    def keys(self, store: Store) -> Sequence[str]:
        """The keys of the held-out samples that the judge compares with."""

    @abstractmethod
    def width(self, store: Store) -> int:
        """How many numbers the judge's features have, at most."""

    @abstractmethod
    def beside(self, features: FeatureRows, context: Context) -> dict[str, float]:
        """The numbers of samples' features beside those of the held-out samples in `rows`."""

    def make(self, folder: Path, context: Context) -> None:
        cluster = np.load(context.store.file(self.places, "cluster.npy"))
        parts = self.places.encoded.parts(context.store)
        placed = [key for part in parts for key in part.about["keys"]]
        inside = {k for k, c in zip(placed, cluster, strict=True) if c in self.clusters}
        rows = [i for i, key in enumerate(self.keys(context.store)) if key in inside]
        if len(rows) < 2:
            raise ValueError(f"{len(rows)} {self.label}: too few to compare with")
        np.save(folder / "rows.npy", np.array(rows))

    def rows(self, store: Store) -> NDArray[np.int64]:
        """Which of `keys` are of these clusters."""
        return np.load(store.file(self, "rows.npy"))

    def inputs(self) -> tuple[Stage, ...]:
        """The split too, whose keys are read."""
        return (self.judge, self.places, self.places.encoded)

    def columns_for(self, column: Column) -> tuple[Column, ...]:
        return self.judge.columns_for(column)

    def read(
        self, samples: Images, captions: Sequence[str], labels: NDArray[np.int64], context: Context
    ) -> Reading:
        return self.judge.read(samples, captions, labels, context)

    def read_set(
        self, features: FeatureRows, drawn: Pictures, several: Pictures, context: Context
    ) -> SetReading:
        whole = self.judge.read_set(features, drawn, several, context)
        return replace(whole, numbers={**whole.numbers, **self.beside(features, context)})

    def wrong(self, store: Store, images: Images, labels: NDArray[np.int64]) -> Wrong:
        return self.judge.wrong(store, images, labels)

    def remarks(self, store: Store) -> tuple[str, ...]:
        which = " and ".join(map(str, self.clusters))
        n, width = len(self.rows(store)), self.width(store)
        few = (
            f". So few give a covariance of {width} features no full rank: what FID adds for it "
            "depends on their number, and differences are told between samples beside the same "
            "pictures alone"
        )
        return (
            *self.judge.remarks(store),
            f"FID, KID and their like of samples of cluster {which} compare with its own "
            f"{n} of those pictures{few if n <= width else ''}.",
        )


@dataclass(frozen=True)
class TrainedWithin(WithinClusters):
    """Beside held-out samples that are read again: those of small data, by a judge trained here."""

    classifies: ClassVar[bool] = True
    batch: ClassVar[int | None] = BATCH
    judge: ClassifierJudge | ScenesJudge

    def keys(self, store: Store) -> Sequence[str]:
        return self.judge.source.read(Split.HELDOUT).keys

    def width(self, store: Store) -> int:
        return self.judge.load(store).head.in_features

    def beside(self, features: FeatureRows, context: Context) -> dict[str, float]:
        held, rows = self.judge.source.read(Split.HELDOUT), self.rows(context.store)
        captions = [held.captions[i] for i in rows]
        reference = self.judge.read(held.images[rows], captions, held.labels[rows], context)
        ((network, own),) = features.items()
        real = reference.features[network]
        return {"fid": frechet_distance(own, real), "kid": kernel_distance(own, real)}


@dataclass(frozen=True)
class PublishedWithin(WithinClusters):
    """Beside those rows of the features that the published metrics' reference has."""

    judge: PublishedMetrics

    def keys(self, store: Store) -> Sequence[str]:
        return self.judge.keys(store)

    def width(self, store: Store) -> int:
        return max(x.shape[1] for x in self.judge.reference(store).values())

    def beside(self, features: FeatureRows, context: Context) -> dict[str, float]:
        rows = self.rows(context.store)
        real = {name: x[rows] for name, x in self.judge.reference(context.store).items()}
        return self.judge.distances(features, real)


@dataclass(frozen=True)
class SqueezeNetWithin(WithinClusters):
    """Beside those rows of the features that SqueezeNet's judge keeps."""

    judge: SqueezeNetJudge

    def keys(self, store: Store) -> Sequence[str]:
        return self.judge.keys(store)

    def width(self, store: Store) -> int:
        return int(self.judge.reference(store).shape[1])

    def beside(self, features: FeatureRows, context: Context) -> dict[str, float]:
        real = self.judge.reference(context.store)[self.rows(context.store)]
        return self.judge.distances(features[NETWORK], real)
