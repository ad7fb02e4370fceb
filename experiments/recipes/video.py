"""The scales of video, as one aligned table of dials.  (Paris 2.0)

small departs from the paper's recipe where two cores ask for it: clips of 12 x 12 in nine frames,
gathered as HunyuanVAE gathers them, guidance of 3 for 7.5, and half of its 50 Euler steps.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

from datamodules.clusters import Lloyd, MiniBatch
from datamodules.encoders.causal import CausalPatches
from datamodules.encoders.dinov2 import DINOv2Features
from datamodules.encoders.encoder import PixelFeatures
from datamodules.encoders.first_frame import FirstFrame
from datamodules.encoders.hunyuan import HunyuanVAE
from datamodules.encoders.t5_clip import T5ClipText
from datamodules.encoders.words import Words
from datamodules.sources.moving_digits import MovingDigits
from datamodules.sources.source import Source
from datamodules.sources.videotext import VideoShards
from experiments.recipes.groups import at_least
from experiments.recipes.judges import OwnClipReader, PublishedOfClips
from experiments.recipes.scale import Scale, scale_of
from experiments.stages.starts import PretrainedFlux
from metrics.networks.flow import Flow
from modules.blocks import Size
from modules.dit import B, TextShape
from modules.mmdit import FLUX, MMDiT, MMSize
from modules.training import LogitNormal, Precision, Times


@dataclass(frozen=True)
class VideoExpert:
    """An MM-DiT that predicts clips' latents.

    Args:
        size: width, blocks of two kinds and heads of the experts and of the monolith.
        patch: side of a token in the latent.
        text_dropout: share of captions replaced by the empty string.
        pretrained: the image weights that experts and monolith begin with; None from scratch.
        times: density of t in training.
        lr_by_batch: exponent with which the learning rate follows the batch.
    """

    size: MMSize
    patch: int
    text_dropout: float
    pretrained: PretrainedFlux | None
    times: Times
    lr_by_batch: float = 0.0

    def network(self, latent: tuple[int, ...], text: TextShape, given_frame: bool = False) -> MMDiT:
        """The MM-DiT over latents [C, T, H, H]."""
        channels, frames, side, _ = latent
        return MMDiT(self.size, channels, frames, side, self.patch, text, given_frame)


@dataclass(frozen=True)
class Later:
    """A later stage of the experts, begun with the one before.  (The card's Stages 2 and 3)

    source: its clips.  steps, batch, lr: of its optimiser.
    given_share: of its clips that are given their first frame, for image-to-video.
    """

    source: Source
    steps: int
    batch: int
    lr: float
    given_share: float


@dataclass(frozen=True)
class Paris2:
    """What only Paris 2.0's tables ask for.

    Args:
        later: stages after the first, whose last one is image-to-video's.
        prompts: of the switching schedules.
        probe: prompts of each part of the probe of specialisation.
    """

    later: tuple[Later, ...]
    prompts: int
    probe: int

    def check(self, scale: Scale[Any]) -> None:
        at_least("study", self, 2, "prompts", "probe")
        data, clusters = scale.data, scale.data.clusters
        scenes = getattr(data.source, "clusters", clusters)
        if clusters != scenes or clusters < 2:
            raise ValueError(
                f"data.clusters = {clusters}: {data.source.name} needs {max(2, scenes)}"
            )
        if isinstance(data.features, FirstFrame) and isinstance(
            data.features.features, PixelFeatures
        ):
            pixels, width = data.source.channels * data.source.image**2, scale.router.frame_feature
            if width != pixels:
                raise ValueError(
                    f"router.frame_feature = {width}: a first frame has {pixels} pixels"
                )
        if any(stage.batch % clusters for stage in self.later):
            raise ValueError(f"a batch of study.later does not divide among {clusters} experts")

    def with_source(self, before: Source, now: Source) -> Self:
        """Later stages have the source that took the first one's place, of their own sizes."""
        if now == before:
            return self
        sides = [
            now.image if stage.source.image == before.image else stage.source.image
            for stage in self.later
        ]
        later = [
            replace(stage, source=replace(now, image=side))  # type: ignore[type-var]
            for stage, side in zip(self.later, sides, strict=True)
        ]
        return replace(self, later=tuple(later))


VideoScale = Scale[Paris2]


def _clips(name: str, root: str, side: int) -> VideoShards:
    """Shards of captioned clips; the last five held out. Where: --scale.data.source.root."""
    return VideoShards(name, "{00000..00999}.tar", root, image=side, judge=5, heldout=5)


_TINY, _DIGITS = MovingDigits(held=64), MovingDigits()
_LOW, _HIGH = _clips("clips-256", "data/clips-256", 256), _clips("clips-768", "data/clips-768", 768)
_NAMES = ("smoke", "small", "paper")
_TABLE: dict[str, tuple[Any, ...]] = {
    #                   smoke                 small               paper; what it does not state is
    #                                                             Open-Sora 2.0's, or ours
    "data.source":     (_TINY,                _DIGITS,            _LOW),
    "data.latents":    (*2 * (CausalPatches(),),                  HunyuanVAE()),
    "data.features":   (*2 * (FirstFrame(PixelFeatures()),),      FirstFrame(DINOv2Features())),
    "data.text":       (*2 * (Words(),),                          T5ClipText()),
    "data.clustering": (*2 * (Lloyd(),),                          MiniBatch()),
    "data.clusters":   (3,                    3,                  3),
    "data.fine":       (16,                   64,                 1024),
    "data.per_shard":  (8,                    100,                1000),
    "data.by_seed":    (True,                 True,               False),
    "expert.size":     (MMSize(16, 1, 1, 1),  MMSize(96, 2, 2, 3), FLUX),
    "expert.patch":    (2,                    2,                  2),
    "expert.text_dropout": (*3 * (0.1,),),
    "expert.pretrained": (None,               None,               PretrainedFlux()),
    "expert.times":    (*3 * (LogitNormal(),),),
    "train.steps":     (12,                   1000,               85_000),
    "train.batch":     (12,                   72,                 24),
    "train.accumulate": (1,                   1,                  32),
    "train.lr":        (3e-3,                 3e-3,               5e-5),
    "train.warmup":    (2,                    50,                 1_000),
    "train.final_lr":  (1e-4,                 1e-4,               None),
    "train.ema":       (0.5,                  0.99,               0.9999),
    "train.ema_start": (2,                    300,                0),
    "train.precision": (*2 * (Precision.SINGLE,),                 Precision.BF16),
    "router.size":     (Size(16, 1, 2),       Size(64, 2, 4),     B),
    "router.frame_feature": (144,             144,                1024),
    "router.given_share": (*3 * (0.5,),),
    "router.train.steps": (12,                400,                100_000),
    "router.train.batch": (12,                96,                 32),
    "router.train.accumulate": (1,            1,                  8),
    "router.train.lr": (1e-3,                 1e-3,               5e-5),
    "router.train.final_lr": (1e-5,           1e-5,               5e-7),
    "router.train.weight_decay": (*3 * (1e-2,),),  # HDDM's, §6.3; Paris 2.0 does not say
    "router.train.precision": (*2 * (Precision.SINGLE,),          Precision.BF16),
    "judge":           (OwnClipReader(20, Flow(2)), OwnClipReader(1000, Flow(2)),
                        PublishedOfClips(2_048)),
    "draw.samples":    (12,                   400,                2_048),
    "draw.batch":      (12,                   200,                4),
    "draw.steps":      (3,                    25,                 50),
    "draw.guidance":   (3.0,                  3.0,                7.5),
    "study.later":     ((Later(_TINY, 8, 12, 1e-3, 0.5),), (Later(_DIGITS, 300, 72, 1e-3, 0.5),),
                        (Later(_LOW, 13_000, 24, 1e-5, 0.5), Later(_HIGH, 13_000, 12, 1e-5, 0.5))),
    "study.prompts":   (6,                    40,                 40),
    "study.probe":     (6,                    120,                512),
}  # fmt: skip

VIDEO_SCALES: dict[str, VideoScale] = {
    name: scale_of(_TABLE, i, VideoExpert, Paris2) for i, name in enumerate(_NAMES)
}
