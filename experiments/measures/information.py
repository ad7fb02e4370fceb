"""What a caption tells of the cluster that its picture is in: I(caption; cluster), in bits."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.sources.scenes import named_in
from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context, Store
from experiments.scores.score import Score
from experiments.stages.clusters import Clusters
from metrics.information import mutual_information


@dataclass(frozen=True)
class CaptionInformation(Measurement):
    """information: I(caption; cluster) of a training split of scenes, in bits.

    Captions that name the same values are one, for their wording hangs on nothing.
    """

    clusters: Clusters

    @property
    def label(self) -> str:
        return "what captions tell of clusters"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        captions, _ = self.clusters.encoded.captions(context.store)
        cluster = np.load(context.store.file(self.clusters, "assignment.npy"))
        meanings = {caption: frozenset(named_in(caption).items()) for caption in {*captions}}
        number = {meaning: i for i, meaning in enumerate({*meanings.values()})}
        said = np.array([number[meanings[caption]] for caption in captions])
        return {"information": mutual_information(said, cluster)}


@dataclass(frozen=True)
class Informed(Measurement):
    """measured.json: a score's numbers, and what captions tell of the clusters behind it."""

    score: Score
    told: CaptionInformation

    @property
    def label(self) -> str:
        return self.score.label

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        return {**self.score.read(context.store), **self.told.read(context.store)}

    def remarks(self, store: Store) -> tuple[str, ...]:
        return self.score.remarks(store)
