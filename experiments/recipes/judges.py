"""Who scores at a scale, as a value: the stage of the judge, made of a source."""

from dataclasses import dataclass, field
from typing import Protocol

from datamodules.sources.moving_digits import MovingDigits
from datamodules.sources.scenes import Scenes
from datamodules.sources.source import Source, VideoSource, record_shape
from experiments.scores.classifier import ClassifierJudge
from experiments.scores.judge import Judge
from experiments.scores.moving_digits import MovingDigitsJudge
from experiments.scores.published import Networks, PublishedMetrics
from experiments.scores.published_clips import ClipNetworks, PublishedClips
from experiments.scores.scenes import ScenesJudge
from experiments.scores.squeezenet import SqueezeNetJudge
from experiments.scores.within import (
    PublishedWithin,
    SqueezeNetWithin,
    TrainedWithin,
    WithinClusters,
)
from experiments.stages.clusters import Encoded
from metrics.embedded import ClassJudge
from metrics.networks.flow import Flow
from metrics.networks.perceptual import Lpips


class JudgeRecipe(Protocol):
    """A frozen value that makes the judge of a source."""

    def stage(self, source: Source, seed: int) -> Judge:
        """The judge, its weights drawn by a seed if it is trained. ValueError for a source that it
        cannot judge."""
        ...

    def within(
        self, source: Source, seed: int, places: Encoded, clusters: tuple[int, ...]
    ) -> WithinClusters:
        """The same judge beside the held-out samples of these clusters alone.

        places: the cluster of each held-out sample. ValueError where nobody judges so.
        """
        ...


@dataclass(frozen=True)
class OwnClassifier:
    """A classifier trained on a split of its own, where no downloaded network is wanted; where
    pictures have no classes, SqueezeNet's features.

    steps: of its optimiser.  lpips: what measures diversity; None for its own features.
    """

    steps: int
    lpips: Lpips | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"judge.steps must be at least 1, not {self.steps}")

    def stage(self, source: Source, seed: int) -> ClassifierJudge | SqueezeNetJudge:
        if source.classes < 1:
            return BySqueezeNet().stage(source, seed)
        _check_pictures(source)
        ClassJudge(source.classes, source.channels, source.image)  # ValueError for its size
        return ClassifierJudge(source, self.steps, seed, self.lpips)

    def within(
        self, source: Source, seed: int, places: Encoded, clusters: tuple[int, ...]
    ) -> WithinClusters:
        judge = self.stage(source, seed)
        if isinstance(judge, SqueezeNetJudge):
            return SqueezeNetWithin(judge, places, clusters)
        return TrainedWithin(judge, places, clusters)


@dataclass(frozen=True)
class BySqueezeNet:
    """SqueezeNet's features, for pictures of which nothing need be known."""

    def stage(self, source: Source, seed: int) -> SqueezeNetJudge:
        _check_pictures(source)
        if source.channels not in (1, 3):
            raise ValueError(
                f"SqueezeNet reads grey or RGB pictures, not {source.channels} channels"
            )
        return SqueezeNetJudge(source)

    def within(
        self, source: Source, seed: int, places: Encoded, clusters: tuple[int, ...]
    ) -> WithinClusters:
        return SqueezeNetWithin(self.stage(source, seed), places, clusters)


def _check_pictures(source: Source) -> None:
    """ValueError for a source of clips."""
    if len(record_shape(source)) != 3:
        raise ValueError(f"no judge of {source.name} here: these are clips; see make paris2-table1")


@dataclass(frozen=True)
class Published:
    """The metrics that papers print, of pictures.

    reference: held-out pictures that they compare with, however few are sampled.
    networks: those that judge.
    """

    reference: int
    networks: Networks = field(default=Networks())

    def stage(self, source: Source, seed: int) -> PublishedMetrics:
        return PublishedMetrics(source, self.reference, self.networks)

    def within(
        self, source: Source, seed: int, places: Encoded, clusters: tuple[int, ...]
    ) -> WithinClusters:
        return PublishedWithin(self.stage(source, seed), places, clusters)


@dataclass(frozen=True)
class OwnSceneReader:
    """A judge of scenes, trained on a split of its own.

    steps: of its optimiser.
    """

    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"judge.steps must be at least 1, not {self.steps}")

    def stage(self, source: Source, seed: int) -> ScenesJudge:
        if not isinstance(source, Scenes):
            raise ValueError(f"no judge of {source.name}: it has no factors; --scale small has one")
        return ScenesJudge(source, self.steps, seed)

    def within(
        self, source: Source, seed: int, places: Encoded, clusters: tuple[int, ...]
    ) -> WithinClusters:
        return TrainedWithin(self.stage(source, seed), places, clusters)


@dataclass(frozen=True)
class OwnClipReader:
    """A judge of moving digits, trained on a split of its own.

    steps: of its optimiser.  flow: what measures motion.
    """

    steps: int
    flow: Flow

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"judge.steps must be at least 1, not {self.steps}")

    def stage(self, source: Source, seed: int) -> Judge:
        if not isinstance(source, MovingDigits):
            raise ValueError(f"no judge of {source.name}: --scale paper has the published ones")
        return MovingDigitsJudge(source, self.steps, self.flow, seed)

    def within(
        self, source: Source, seed: int, places: Encoded, clusters: tuple[int, ...]
    ) -> WithinClusters:
        raise ValueError("clips are scored beside all that are held out")


@dataclass(frozen=True)
class PublishedOfClips:
    """The metrics that papers print, of clips.

    reference: held-out clips that they compare with.  flow: what measures motion.
    networks: those that judge.
    """

    reference: int
    flow: Flow = field(default=Flow())
    networks: ClipNetworks = field(default=ClipNetworks())

    def stage(self, source: VideoSource, seed: int) -> Judge:
        return PublishedClips(source, self.reference, self.networks, self.flow)

    def within(
        self, source: Source, seed: int, places: Encoded, clusters: tuple[int, ...]
    ) -> WithinClusters:
        raise ValueError("clips are scored beside all that are held out")
