"""The scales of video, as one aligned table of dials.  (Paris 2.0)

small departs from the paper's recipe where two cores ask for it: clips of 12 x 12 in nine frames,
gathered as HunyuanVAE gathers them, guidance of 3 for 7.5, and half of its 50 Euler steps.
"""

from dataclasses import dataclass
from typing import Any

from datamodules.clusters import FineMethod, Lloyd, MiniBatch
from datamodules.encoders.causal import CausalPatches
from datamodules.encoders.dinov2 import DINOv2Features
from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder, PixelFeatures, TextEncoder
from datamodules.encoders.first_frame import FirstFrame
from datamodules.encoders.hunyuan import HunyuanVAE
from datamodules.encoders.t5_clip import T5ClipText
from datamodules.encoders.words import Words
from datamodules.sources.moving_digits import MovingDigits
from datamodules.sources.source import VideoSource
from datamodules.sources.videotext import VideoShards
from experiments.scores.published_clips import ClipNetworks
from experiments.stages.starts import PretrainedFlux
from metrics.networks.flow import Flow
from modules.blocks import Size
from modules.dit import B
from modules.mmdit import FLUX, MMSize
from modules.training import LogitNormal, Precision, Times


@dataclass(frozen=True)
class Later:
    """A later stage of the experts, begun with the one before.  (The card's Stages 2 and 3)

    first_share: of its clips that are given their first frame, for image-to-video.
    """

    source: VideoSource
    steps: int
    batch: int
    lr: float
    first_share: float


@dataclass(frozen=True)
class VideoScale:
    """Every dial of a video table. Each is an option of every script: --scale.steps 3000.

    Args:
        source: the clips. Another one: --source package.module.Class.
        latents, features, text: what encodes clips, their first frames and captions.
        clustering, clusters, fine, per_shard: of clips on disk; drawn ones have clusters.
        size: of the experts and of the monolith.  router: of the router's trunk.
        patch: side of a token in the latent.
        steps: optimiser steps of the monolith and of each expert.
        batch: the monolith's batch; an expert's is batch / clusters, so that FLOPs are equal.
        accumulate: such batches in an optimiser step, in later stages too.
        lr, warmup, final_lr: learning rate; steps of linear warm-up; what a cosine falls to.
        times: density of t in training.
        ema, ema_start: decay of the averaged weights, and the step at which the average starts.
        text_dropout: share of captions replaced by the empty string.
        precision: of networks, trained or asked.
        router_steps, router_batch, router_accumulate, router_lr, router_final_lr: the router's.
        look, look_share: width of the feature of a first frame, and the share of the router's clips
            that show it theirs.
        later: stages after the first, whose last one is image-to-video's.
        pretrained: the image weights that experts and monolith begin with; none from scratch.
        judge: the networks that score; none for a judge trained on a split of its own.
        judge_steps: optimiser steps of that judge.
        reference: held-out clips that those networks compare with.
        flow: what measures motion.
        samples: clips sampled for each row of a table.
        prompts, probe: prompts of the switching schedules, and of each part of the probe of
            specialisation.
        sample_batch: clips sampled at once.
        solver_steps, guidance: Euler steps, and the scale of classifier-free guidance.
    """

    source: VideoSource
    latents: LatentEncoder
    features: FeatureEncoder
    text: TextEncoder
    clustering: FineMethod
    clusters: int
    fine: int
    per_shard: int
    size: MMSize
    router: Size
    patch: int
    steps: int
    batch: int
    accumulate: int
    lr: float
    warmup: int
    final_lr: float | None
    times: Times
    ema: float
    ema_start: int
    text_dropout: float
    precision: Precision
    router_steps: int
    router_batch: int
    router_accumulate: int
    router_lr: float
    router_final_lr: float
    look: int
    look_share: float
    later: tuple[Later, ...]
    pretrained: PretrainedFlux | None
    judge: ClipNetworks | None
    judge_steps: int
    reference: int
    flow: Flow
    samples: int
    prompts: int
    probe: int
    sample_batch: int
    solver_steps: int
    guidance: float

    def __post_init__(self) -> None:
        counts = (
            *("clusters", "per_shard", "patch", "steps", "batch", "router_steps", "router_batch"),
            *("accumulate", "router_accumulate"),
            *("judge_steps", "sample_batch", "solver_steps"),
        )
        for dial in counts:
            if getattr(self, dial) < 1:
                raise ValueError(f"{dial} must be at least 1, not {getattr(self, dial)}")
        scenes = getattr(self.source, "clusters", self.clusters)
        if self.clusters != scenes or self.clusters < 2:
            said = f"clusters = {self.clusters}: {self.source.name} needs {max(2, scenes)}"
            raise ValueError(said)
        if isinstance(self.features, FirstFrame) and isinstance(
            self.features.features, PixelFeatures
        ):
            pixels = self.source.channels * self.source.image**2
            if self.look != pixels:
                raise ValueError(f"look = {self.look}: a first frame has {pixels} pixels")
        if self.batch % self.clusters:
            raise ValueError(f"batch {self.batch} does not divide among {self.clusters} experts")
        if any(ahead.batch % self.clusters for ahead in self.later):
            raise ValueError(f"a later batch does not divide among {self.clusters} experts")
        if self.guidance < 0 or (self.final_lr is not None and self.final_lr < 0):
            raise ValueError("guidance and final_lr must not be negative")
        if min(self.samples, self.prompts, self.probe) < 2:
            raise ValueError("samples, prompts and probe must be at least 2")
        if not (0 <= self.ema < 1 and 0 <= self.text_dropout <= 1 and 0 <= self.look_share <= 1):
            raise ValueError("ema must lie in [0, 1), text_dropout and look_share in [0, 1]")
        if not min(self.lr, self.router_lr, self.router_final_lr) > 0:
            raise ValueError("lr and the router's must be positive")
        if not 0 <= self.warmup <= self.steps:
            raise ValueError(f"warmup = {self.warmup} must lie between 0 and steps = {self.steps}")
        if not 0 <= self.ema_start < self.steps:
            raise ValueError(f"ema_start = {self.ema_start} must lie below steps = {self.steps}")


def _clips(name: str, root: str, side: int) -> VideoShards:
    """Shards of captioned clips; the last five held out. Where: --scale.source.root."""
    return VideoShards(name, "{00000..00999}.tar", root, image=side, judge=5, heldout=5)


_TINY, _DIGITS = MovingDigits(held=64), MovingDigits()
_LOW, _HIGH = _clips("clips-256", "data/clips-256", 256), _clips("clips-768", "data/clips-768", 768)
_NAMES = ("smoke", "small", "paper")
_TABLE: dict[str, tuple[Any, ...]] = {
    #              smoke                 small               paper; what it does not state is
    #                                                        Open-Sora 2.0's, or ours
    "source":     (_TINY,                _DIGITS,            _LOW),
    "latents":    (*2 * (CausalPatches(),),                  HunyuanVAE()),
    "features":   (*2 * (FirstFrame(PixelFeatures()),),      FirstFrame(DINOv2Features())),
    "text":       (*2 * (Words(),),                          T5ClipText()),
    "clustering": (*2 * (Lloyd(),),                          MiniBatch()),
    "clusters":   (3,                    3,                  3),
    "fine":       (16,                   64,                 1024),
    "per_shard":  (8,                    100,                1000),
    "size":       (MMSize(16, 1, 1, 1),  MMSize(96, 2, 2, 3), FLUX),
    "router":     (Size(16, 1, 2),       Size(64, 2, 4),     B),
    "patch":      (2,                    2,                  2),
    "steps":      (12,                   1000,               85_000),
    "batch":      (12,                   72,                 24),
    "accumulate": (1,                    1,                  32),
    "lr":         (3e-3,                 3e-3,               5e-5),
    "warmup":     (2,                    50,                 1_000),
    "final_lr":   (1e-4,                 1e-4,               None),
    "times":      (*3 * (LogitNormal(),),),
    "ema":        (0.5,                  0.99,               0.9999),
    "ema_start":  (2,                    300,                0),
    "text_dropout": (*3 * (0.1,),),
    "precision":  (*2 * (Precision.SINGLE,),                 Precision.BF16),
    "router_steps": (12,                 400,                100_000),
    "router_batch": (12,                 96,                 32),
    "router_accumulate": (1,             1,                  8),
    "router_lr":  (1e-3,                 1e-3,               5e-5),
    "router_final_lr": (1e-5,            1e-5,               5e-7),
    "look":       (144,                  144,                1024),
    "look_share": (*3 * (0.5,),),
    "later":      ((Later(_TINY, 8, 12, 1e-3, 0.5),), (Later(_DIGITS, 300, 72, 1e-3, 0.5),),
                   (Later(_LOW, 13_000, 24, 1e-5, 0.5), Later(_HIGH, 13_000, 12, 1e-5, 0.5))),
    "pretrained": (None,                 None,               PretrainedFlux()),
    "judge":      (None,                 None,               ClipNetworks()),
    "judge_steps": (20,                  1000,               1),
    "reference":  (1,                    1,                  2_048),
    "flow":       (*2 * (Flow(2),),                          Flow()),
    "samples":    (12,                   400,                2_048),
    "prompts":    (6,                    40,                 40),
    "probe":      (6,                    120,                512),
    "sample_batch": (12,                 200,                4),
    "solver_steps": (3,                  25,                 50),
    "guidance":   (3.0,                  3.0,                7.5),
}  # fmt: skip


VIDEO_SCALES: dict[str, VideoScale] = {
    name: VideoScale(**{dial: values[i] for dial, values in _TABLE.items()})
    for i, name in enumerate(_NAMES)
}
