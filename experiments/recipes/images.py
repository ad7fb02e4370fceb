"""The scales of pictures, smoke to paper, as one aligned table of dials.

small departs from the paper's recipe where two cores ask for it: patches of 4 (a digit is 8x8), one
learning rate with a cosine decay and one number of steps for monolith and experts, both chosen on
digits that no table scores (tuning.py), and guidance of 2.0 and 1.6 for the paper's 7.5 and 6, with
half its steps.
"""

import os
from dataclasses import dataclass, replace
from typing import Any, Self

from datamodules.alterations import Alterations
from datamodules.clusters import Lloyd, MiniBatch
from datamodules.encoders.autoencoders import StableDiffusionVAE
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.dinov2 import DINOv2Features
from datamodules.encoders.encoder import PixelFeatures, PixelLatents, TinyClipText
from datamodules.encoders.squeezenet import SqueezeNetClusterFeatures
from datamodules.encoders.taef2 import TAEF2
from datamodules.encoders.words import Words
from datamodules.sources.classed import FashionMNIST
from datamodules.sources.digits import Digits
from datamodules.sources.folder import Folder
from datamodules.sources.imagetext import ImageText
from datamodules.sources.scenes import Scenes
from datamodules.sources.source import Source
from experiments.recipes.beyond import EVERY, FEW, Beyond
from experiments.recipes.groups import at_least
from experiments.recipes.judges import BySqueezeNet, OwnClassifier, OwnSceneReader, Published
from experiments.recipes.scale import Scale, scale_of
from experiments.stages.starts import PretrainedDiT
from metrics.networks.perceptual import Backbone, Lpips
from modules.blocks import Size
from modules.dit import XL, XS, B, DiT, TextShape
from modules.training import Precision, Times, UniformTimes


@dataclass(frozen=True)
class ImageExpert:
    """A DiT that predicts pictures' latents.

    Args:
        size: width, depth and heads of the experts and of the monolith.
        patch: side of a token in pixels of the latent.
        text_std: deviation of the text projection's initial weights.
        text_dropout: share of captions replaced by the null embedding.
        pretrained: the checkpoint that experts are begun with (HDDM, §2.6); None where an expert of
            other clusters stands in.
        times: density of t in training.
        lr_by_batch: exponent with which the learning rate follows the batch, which is smaller for
            an expert than for the monolith: 0 not at all, 0.5 as the noise of a gradient does.
    """

    size: Size
    patch: int
    text_std: float
    text_dropout: float
    pretrained: PretrainedDiT | None
    times: Times = UniformTimes()
    lr_by_batch: float = 0.0

    def __post_init__(self) -> None:
        if self.text_std < 0:
            raise ValueError(f"expert.text_std must not be negative, not {self.text_std}")

    def network(self, latent: tuple[int, ...], text: TextShape, given_frame: bool = False) -> DiT:
        """The DiT over latents [C, H, H]; a picture has no first frame to be given."""
        channels, side, _ = latent
        return DiT(self.size, side, channels, self.patch, text=text, text_std=self.text_std)


@dataclass(frozen=True)
class Matched:
    """The setting of Table 1, where experts and monolith spend the same.  (HDDM, §3.2)

    source: the data.  size: of experts and monolith.  batch: the monolith's.
    router_steps: of the router's optimiser.
    pretrained: the checkpoint that all begin with; None from scratch.
    """

    source: Source
    size: Size
    batch: int
    router_steps: int
    pretrained: PretrainedDiT | None = None


@dataclass(frozen=True)
class OfScenes:
    """What a scale without scenes has of them, for the ablations that need them.

    source: the scenes.  text: what encodes their captions.  judge: who reads them.
    """

    source: Scenes
    text: Words
    judge: OwnSceneReader


@dataclass(frozen=True)
class HDDM:
    """What only HDDM's tables ask for.

    Args:
        matched: what Table 1 and its ablations have otherwise; None for nothing.
        init_steps: steps in which initialisations are compared (§3.2.2).
        pair: the "one data cluster" on which pairs of experts are compared (§3.3.1): a cluster, or
            several as one; None for all, where one is too small to be scored alone.
        pair_batch: batch of such an expert.
        conversion_samples, threshold_samples: samples a row where pairs are compared (§3.3.1), and
            under a sweep of thresholds (§3.3.3).
        conversion_steps, conversion_guidance: solver steps and guidance of those studies (§3.3.1).
        aligned_steps, aligned_guidance: those of Table 4's aligned rows (§3.1).
        tuned_steps, tuned_lr: shares of its own steps and learning rate that are tried for each, on
            pictures that no table scores.
        diversity_prompts, diversity_each: prompts, and pictures of each, where diversity within a
            prompt is a table's subject (§3.4.1).
        scenes: what tables of scenes have otherwise; None for nothing.
        beyond: what the ablations beyond the paper go through.
    """

    matched: Matched | None
    init_steps: int
    pair: tuple[int, ...] | None
    pair_batch: int
    conversion_samples: int
    threshold_samples: int
    conversion_steps: int
    conversion_guidance: float
    aligned_steps: int
    aligned_guidance: float
    tuned_steps: tuple[float, ...]
    tuned_lr: tuple[float, ...]
    diversity_prompts: int
    diversity_each: int
    scenes: OfScenes | None
    beyond: Beyond

    def check(self, scale: Scale[Any]) -> None:
        at_least("study", self, 1, "init_steps", "pair_batch", "conversion_steps", "aligned_steps")
        at_least("study", self, 2, "conversion_samples", "threshold_samples", "diversity_each")
        at_least("study", self, 1, "diversity_prompts")
        train, data = getattr(scale.data.source, "train", None), scale.data
        if train is not None and data.fine > train:
            raise ValueError(
                f"K = {data.clusters} by way of {data.fine} fine centroids needs as many pictures, "
                f"but the training split has {train}"
            )
        if self.pair is not None and not {*self.pair} <= {*range(data.clusters)}:
            raise ValueError(f"study.pair = {self.pair} must name clusters below {data.clusters}")

    def with_source(self, before: Source, now: Source) -> Self:
        """Another class of source is Table 1's too."""
        if self.matched is None or isinstance(now, type(before)):
            return self
        return replace(self, matched=replace(self.matched, source=now))


ImageScale = Scale[HDDM]

LAION = ImageText(
    "laion-aesthetics-11m", "{00000..01109}.tar", "data/laion", min_aesthetic=4.5,
    judge=5, heldout=5,
)  # fmt: skip
"""HDDM, §6.1: 11M pictures, aesthetic score at least 4.5; the last 50,000 are held out (§3)."""
LAION_ART = ImageText(
    "laion-art-3.9m", "{00000..00399}.tar", "data/laion-art", min_aesthetic=8.0, judge=5, heldout=5
)
"""The 3.9M of Table 1, shards of their own. Where they lie: --scale.study.matched.source.root."""

EMOJI = Folder(
    "noto-emoji", os.path.join(os.environ.get("DDM_ASSETS", ""), "data/emoji"), 128,
    judge=0.05, heldout=0.2, keywords=8, alterations=Alterations(flip=0.0, hue=0.25),
)  # fmt: skip
"""1,644 captioned pictures. Where: --scale.data.source.root, or data/emoji of DDM_ASSETS."""

_NAMES = ("smoke", "small", "scenes", "emoji", "medium", "paper")
_SQUEEZE = Lpips(Backbone.SQUEEZE)
_TABLE: dict[str, tuple[Any, ...]] = {
    #                   smoke, small                         scenes
    #                   emoji, medium                        paper, §6
    "data.source":     (Digits(64, 64, 32),  Digits(),       Scenes(),
                        EMOJI, FashionMNIST(),               LAION),
    "data.latents":    (*3 * (PixelLatents(),), TAEF2(), PixelLatents(), StableDiffusionVAE()),
    "data.features":   (*3 * (PixelFeatures(),),             SqueezeNetClusterFeatures(),
                        PixelFeatures(),                 DINOv2Features()),
    "data.text":       (*2 * (TinyClipText(),),              Words(13, 32),
                        Words(20, 64), TinyClipText(12),     ClipText()),
    "data.clustering": (*2 * (Lloyd(),),                     MiniBatch(4096),
                        Lloyd(), MiniBatch(),                MiniBatch()),
    "data.clusters":   (8,                8,        8,        8,        8,               8),
    "data.fine":       (16,               64,       64,       64,       256,             1024),
    "data.per_shard":  (8,                100,      1024,     1000,     1000,            10_000),
    "data.by_seed":    (True,             True,     True,     True,     True,            False),
    "expert.size":     (Size(16, 2, 2),   XS,       Size(96, 3, 4),
                        Size(192, 6, 6),  Size(256, 8, 4),       XL),
    "expert.patch":    (4,                4,        4,        2,        4,               2),
    "expert.text_std": (0.125,            0.125,    0.125,    0.125,    0.125,           0.02),
    "expert.text_dropout": (*6 * (0.1,),),
    "expert.pretrained": (*5 * (None,),                                           PretrainedDiT()),
    "expert.lr_by_batch": (0.0,           0.0,      0.5,      0.0,      0.0,             0.0),
    "train.steps":     (12,               600,      2000,     2000,     10_000,          500_000),
    "train.batch":     (64,               256,      128,      64,       256,             1024),
    "train.lr":        (4e-3,             1.2e-2,   1.2e-2,   4e-3,     1e-3,            1e-4),
    "train.warmup":    (2,                50,       50,       100,      200,             5_000),
    "train.final_lr":  (2e-4,             4e-4,     2e-4,     2e-4,     1e-4,            None),
    "train.ema":       (0.5,              0.99,     0.99,     0.99,     0.999,           0.9999),
    "train.ema_start": (2,                100,      200,      200,      500,             0),
    "train.precision": (*3 * (Precision.SINGLE,),             *3 * (Precision.BF16,)),
    "router.size":     (Size(16, 1, 2),   *3 * (Size(64, 2, 4),),          Size(128, 4, 4), B),
    "router.train.steps": (12,            600,      600,      600,      3_000,           1_074_000),
    "router.train.batch": (32,            256,      128,      64,       256,             64),
    "router.train.accumulate": (*5 * (1,),                                        4),
    "router.train.lr": (1e-3,             1e-3,     1e-3,     1e-3,     1e-3,            5e-5),
    "router.train.final_lr": (1e-5,       1e-5,     1e-5,     1e-5,     1e-5,            5e-7),
    "router.train.weight_decay": (*6 * (1e-2,),),
    "router.train.precision": (*3 * (Precision.SINGLE,),      *3 * (Precision.BF16,)),
    "judge":           (OwnClassifier(30), OwnClassifier(600), OwnSceneReader(2000),
                        BySqueezeNet(), OwnClassifier(4000, _SQUEEZE),
                        Published(50_000)),
    "draw.samples":    (20,               400,      400,      320,      10_000,          50_000),
    "draw.batch":      (20,               200,      200,      40,       500,             64),
    "draw.steps":      (3,                25,       25,       25,       50,              50),
    "draw.guidance":   (1.0,              1.0,      2.0,      2.0,      1.0,             7.5),
    "study.matched":   (*5 * (None,),           Matched(LAION_ART, B, 256, 380_000)),
    "study.init_steps": (12,              600,      2000,     2000,     10_000,          75_000),
    "study.pair":      (*5 * (None,),                                             (0,)),
    "study.pair_batch": (16,              128,      16,       16,       64,              128),
    "study.conversion_samples": (20,      400,      400,      320,      10_000,          5_000),
    "study.threshold_samples": (20,       400,      400,      320,      10_000,          1_000),
    "study.conversion_steps": (4,         38,       38,       38,       75,              75),
    "study.conversion_guidance": (1.6,    1.6,      1.6,      1.6,      1.6,             6.0),
    "study.aligned_steps": (3,            25,       25,       25,       50,              50),
    "study.aligned_guidance": (2.0,       2.0,      2.0,      2.0,      2.0,             7.5),
    "study.tuned_steps": ((0.5, 1.0),        *5 * ((0.5, 0.75, 1.0, 1.5, 2.5),)),
    "study.tuned_lr":  ((1.0,),              *5 * ((0.5, 1.0, 2.0),)),
    "study.diversity_prompts": (4, 40,      40,       20,       40,              100),
    "study.diversity_each": (2,   10,       10,       10,       10,              10),
    "study.scenes":    (OfScenes(Scenes(128, 32), Words(13, 32), OwnSceneReader(30)),
                        *5 * (None,)),
    "study.beyond":    (FEW,              *5 * (EVERY,)),
}  # fmt: skip

SCALES: dict[str, ImageScale] = {
    name: scale_of(_TABLE, i, ImageExpert, HDDM) for i, name in enumerate(_NAMES)
}
