"""Who scores at a scale, as a value: the stage of the judge, made of a source."""

from dataclasses import dataclass, field
from typing import Protocol

from datamodules.sources.moving_digits import MovingDigits
from datamodules.sources.scenes import Scenes
from datamodules.sources.source import Source, VideoSource
from experiments.scores.classifier import ClassifierJudge
from experiments.scores.judge import Judge
from experiments.scores.moving_digits import MovingDigitsJudge
from experiments.scores.published import Networks, PublishedMetrics
from experiments.scores.published_clips import ClipNetworks, PublishedClips
from experiments.scores.scenes import ScenesJudge
from metrics.networks.flow import Flow
from metrics.networks.perceptual import Lpips


class JudgeRecipe(Protocol):
    """A frozen value that makes the judge of a source."""

    def stage(self, source: Source, seed: int) -> Judge:
        """The judge, its weights drawn by a seed if it is trained. ValueError for a source that it
        cannot judge."""
        ...


@dataclass(frozen=True)
class OwnClassifier:
    """A classifier trained on a split of its own, where no downloaded network is wanted.

    steps: of its optimiser.  lpips: what measures diversity; None for its own features.
    """

    steps: int
    lpips: Lpips | None = None

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"judge.steps must be at least 1, not {self.steps}")

    def stage(self, source: Source, seed: int) -> Judge:
        return ClassifierJudge(source, self.steps, seed, self.lpips)


@dataclass(frozen=True)
class Published:
    """The metrics that papers print, of pictures.

    reference: held-out pictures that they compare with, however few are sampled.
    """

    reference: int
    networks: Networks = field(default=Networks())

    def stage(self, source: Source, seed: int) -> Judge:
        return PublishedMetrics(source, self.reference, self.networks)


@dataclass(frozen=True)
class OwnSceneReader:
    """A judge of scenes, trained on a split of its own.

    steps: of its optimiser.
    """

    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"judge.steps must be at least 1, not {self.steps}")

    def stage(self, source: Source, seed: int) -> Judge:
        if not isinstance(source, Scenes):
            raise ValueError(f"no judge of {source.name}: it has no factors; --scale small has one")
        return ScenesJudge(source, self.steps, seed)


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


@dataclass(frozen=True)
class PublishedOfClips:
    """The metrics that papers print, of clips.

    reference: held-out clips that they compare with.  flow: what measures motion.
    """

    reference: int
    flow: Flow = field(default=Flow())
    networks: ClipNetworks = field(default=ClipNetworks())

    def stage(self, source: VideoSource, seed: int) -> Judge:
        return PublishedClips(source, self.reference, self.networks, self.flow)
