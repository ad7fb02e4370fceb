"""The scales, smoke to paper, as one aligned table of dials.

small departs from the paper's recipe where two cores ask for it: patches of 4 (a digit is 8x8), one
learning rate with a cosine decay, chosen for the monolith's FID and used for the experts too, and
guidance of 2.0 and 1.6 for the paper's 7.5 and 6, with half its steps.
"""

from dataclasses import dataclass
from typing import Any

from datamodules.clusters import FineMethod, Lloyd, MiniBatch
from datamodules.encoders.autoencoders import StableDiffusionVAE
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.dinov2 import DINOv2Features
from datamodules.encoders.encoder import (
    FeatureEncoder,
    LatentEncoder,
    PixelFeatures,
    PixelLatents,
    TextEncoder,
    TinyClipText,
)
from datamodules.sources.classed import Classed, FashionMNIST
from datamodules.sources.digits import Digits
from datamodules.sources.imagetext import ImageText
from datamodules.sources.source import Source
from experiments.scores.published import Networks
from experiments.stages.starts import PretrainedDiT
from metrics.networks.perceptual import Backbone, Lpips
from modules.blocks import Size
from modules.dit import XL, XS, B
from modules.training import Precision


@dataclass(frozen=True)
class Matched:
    """The setting of Table 1, where experts and monolith spend the same.  (HDDM, §3.2)"""

    source: Source
    size: Size
    batch: int
    router_steps: int
    pretrained: PretrainedDiT | None = None


@dataclass(frozen=True)
class Scale:
    """Every dial of an image table. Each is an option of every script: --scale.steps 3000.

    Args:
        source: the pictures. Another one: --source package.module.Class.
        latents, features, text: what encodes pictures and captions.
        clustering: how the fine centroids are found.
        clusters: K, the number of clusters and experts.
        fine: fine centroids of the first stage of k-means.
        per_shard: samples in a webdataset shard.
        size: width, depth and heads of the experts and of the monolith.
        matched: what Table 1 and its ablations have otherwise; none for nothing.
        router: width, depth and heads of the router.
        patch: side of a token in pixels of the latent.
        text_std: deviation of the text projection's initial weights.
        steps: optimiser steps of the monolith and of each expert.
        batch: the monolith's batch; an expert's is batch / clusters, so that FLOPs are equal.
        lr: learning rate of the monolith and the experts.
        warmup: steps of linear warm-up.
        init_steps: steps in which initialisations are compared (HDDM, §3.2.2).
        precision: of networks, trained or asked; weights and their average are float32.
        final_lr: learning rate that a cosine falls to; none keeps it constant.
        ema: decay of the averaged weights.
        ema_start: step at which the average starts.
        text_dropout: share of captions replaced by the null embedding.
        router_steps: optimiser steps of the router.
        router_batch: batch of the router.
        router_accumulate: such batches in one of its optimiser steps.
        router_lr: learning rate of the router.
        router_final_lr: learning rate that the router's cosine falls to.
        judge: the networks that score; none for a classifier trained on a split of its own.
        judge_steps: optimiser steps of that classifier.
        reference: held-out pictures that those networks compare with, however few are sampled.
        judge_lpips: what it leaves diversity to; none for its own features.
        samples: pictures sampled for each row of a table.
        conversion_samples, threshold_samples: the same where pairs of experts are compared
            (HDDM, §3.3.1), and under a sweep of thresholds (§3.3.3).
        sample_batch: pictures sampled at once.
        diversity_prompts, diversity_each: prompts, and pictures of each, where diversity within a
            prompt is a table's subject (HDDM, §3.4.1).
        solver_steps: Euler steps.
        guidance: scale of classifier-free guidance; 1 is none.
        aligned_steps, aligned_guidance: the setting of Table 4's aligned rows (HDDM, §3.1).
        conversion_steps, conversion_guidance: that of the conversion studies (HDDM, §3.3.1).
        pair: the "one data cluster" on which pairs of experts are compared (§3.3.1): a cluster, or
            several as one; none for all, where one is too small to be scored alone.
        pair_batch: batch of such an expert.
        pretrained: the checkpoint that experts are begun with (§2.6); none where an expert of other
            clusters stands in.
    """

    source: Source
    latents: LatentEncoder
    features: FeatureEncoder
    text: TextEncoder
    clustering: FineMethod
    clusters: int
    fine: int
    per_shard: int
    size: Size
    matched: "Matched | None"
    router: Size
    patch: int
    text_std: float
    steps: int
    batch: int
    lr: float
    warmup: int
    init_steps: int
    precision: Precision
    final_lr: float | None
    ema: float
    ema_start: int
    text_dropout: float
    router_steps: int
    router_batch: int
    router_accumulate: int
    router_lr: float
    router_final_lr: float
    judge: Networks | None
    judge_steps: int
    judge_lpips: Lpips | None
    reference: int
    samples: int
    conversion_samples: int
    threshold_samples: int
    sample_batch: int
    diversity_prompts: int
    diversity_each: int
    solver_steps: int
    guidance: float
    aligned_steps: int
    aligned_guidance: float
    conversion_steps: int
    conversion_guidance: float
    pair: tuple[int, ...] | None
    pair_batch: int
    pretrained: PretrainedDiT | None

    def __post_init__(self) -> None:
        counts = (
            *("clusters", "per_shard", "patch", "judge_steps", "sample_batch", "pair_batch"),
            *("solver_steps", "aligned_steps", "conversion_steps", "init_steps", "steps", "batch"),
            *("router_steps", "router_batch", "router_accumulate", "diversity_prompts"),
        )
        for dial in counts:
            if getattr(self, dial) < 1:
                raise ValueError(f"{dial} must be at least 1, not {getattr(self, dial)}")
        if self.batch % self.clusters:
            raise ValueError(f"batch {self.batch} does not divide among {self.clusters} experts")
        if self.fine < self.clusters:
            raise ValueError(f"fine = {self.fine} centroids cannot make {self.clusters} clusters")
        if isinstance(self.source, Digits | Classed) and self.fine > self.source.train:
            raise ValueError(
                f"K = {self.clusters} by way of {self.fine} fine centroids needs as many pictures, "
                f"but the training split has {self.source.train}"
            )
        if min(self.samples, self.conversion_samples, self.threshold_samples) < 2:
            raise ValueError("samples must be at least 2: a covariance is taken of them")
        if not (0 <= self.ema < 1 and 0 <= self.text_dropout <= 1):
            raise ValueError("ema must lie in [0, 1) and text_dropout in [0, 1]")
        if not (min(self.lr, self.router_lr, self.router_final_lr) > 0 and self.text_std >= 0):
            raise ValueError("lr and the router's must be positive, text_std not negative")
        if self.pair is not None and not {*self.pair} <= {*range(self.clusters)}:
            raise ValueError(f"pair = {self.pair} must name clusters below {self.clusters}")
        if not 0 <= self.warmup <= self.steps:
            raise ValueError(f"warmup = {self.warmup} must lie between 0 and steps = {self.steps}")


LAION = ImageText(
    "laion-aesthetics-11m", "{00000..01109}.tar", "data/laion", min_aesthetic=4.5,
    judge=5, heldout=5,
)  # fmt: skip
"""HDDM, §6.1: 11M pictures, aesthetic score at least 4.5; the last 50,000 are held out (§3)."""
LAION_ART = ImageText(
    "laion-art-3.9m", "{00000..00399}.tar", "data/laion-art", min_aesthetic=8.0, judge=5, heldout=5
)
"""The 3.9M of Table 1, shards of their own. Where they lie: --scale.matched.source.root."""

_NAMES = ("smoke", "small", "medium-cpu", "medium", "paper")
_TABLE: dict[str, tuple[Any, ...]] = {
    #              smoke                small            medium-cpu  medium           paper, §6
    "source":     (Digits(64, 64, 32),  Digits(),        *2 * (FashionMNIST(),),      LAION),
    "latents":    (                     *4 * (PixelLatents(),),            StableDiffusionVAE()),
    "features":   (                     *4 * (PixelFeatures(),),                DINOv2Features()),
    "text":       (*2 * (TinyClipText(),),               *2 * (TinyClipText(12),),    ClipText()),
    "clustering": (*2 * (Lloyd(),),                      *2 * (MiniBatch(),),        MiniBatch()),
    "clusters":   (8,                   8,               8,          8,               8),
    "fine":       (16,                  64,              64,         256,             1024),
    "per_shard":  (8,                   100,             1000,       1000,            10_000),
    "size":       (Size(16, 2, 2),      XS,              XS,         Size(256, 8, 4), XL),
    "matched":    (None,                None,            None,       None,
                   Matched(LAION_ART, B, 256, 380_000)),
    "router":     (Size(16, 1, 2),      Size(64, 2, 4),  Size(64, 2, 4), Size(128, 4, 4), B),
    "patch":      (4,                   4,               4,          4,               2),
    "text_std":   (0.125,               0.125,           0.125,      0.125,           0.02),
    "steps":      (12,                  1500,            2000,       10_000,          500_000),
    "batch":      (64,                  256,             128,        256,             1024),
    "lr":         (4e-3,                6e-3,            3e-3,       1e-3,            1e-4),
    "warmup":     (2,                   50,              100,        200,             5_000),
    "init_steps": (12,                  1500,            2000,       10_000,          75_000),
    "precision":  (                     *3 * (Precision.SINGLE,),  *2 * (Precision.BF16,)),
    "final_lr":   (2e-4,                2e-4,            2e-4,       1e-4,            None),
    "ema":        (0.5,                 0.99,            0.99,       0.999,           0.9999),
    "ema_start":  (2,                   100,             200,        500,             0),
    "text_dropout": (0.1,               0.1,             0.1,        0.1,             0.1),
    "router_steps": (12,                600,             600,        3_000,           1_074_000),
    "router_batch": (32,                256,             128,        256,             64),
    "router_accumulate": (1,            1,               1,          1,               4),
    "router_lr":  (1e-3,                1e-3,            1e-3,       1e-3,            5e-5),
    "router_final_lr": (1e-5,           1e-5,            1e-5,       1e-5,            5e-7),
    "judge":      (None,                None,            None,       None,            Networks()),
    "judge_steps": (30,                 600,             2000,       4000,            1),
    "judge_lpips": (*2 * (None,),       *2 * (Lpips(Backbone.SQUEEZE),),              None),
    "reference":  (*4 * (1,),                                                         50_000),
    "samples":    (20,                  400,             200,        10_000,          50_000),
    "conversion_samples": (20,          400,             200,        10_000,          5_000),
    "threshold_samples": (20,           400,             200,        10_000,          1_000),
    "sample_batch": (20,                200,             100,        500,             64),
    "diversity_prompts": (4,            40,              20,         40,              100),
    "diversity_each": (2,               10,              10,         10,              10),
    "solver_steps": (3,                 25,              25,         50,              50),
    "guidance":   (1.0,                 1.0,             1.0,        1.0,             7.5),
    "aligned_steps": (3,                25,              25,         50,              50),
    "aligned_guidance": (2.0,           2.0,             2.0,        2.0,             7.5),
    "conversion_steps": (4,             38,              38,         75,              75),
    "conversion_guidance": (1.6,        1.6,             1.6,        1.6,             6.0),
    "pair":       (None,                None,            None,       None,            (0,)),
    "pair_batch": (16,                  64,              32,         64,              128),
    "pretrained": (*2 * (None,),        *2 * (None,),                PretrainedDiT()),
}  # fmt: skip


SCALES: dict[str, Scale] = {
    name: Scale(**{dial: values[i] for dial, values in _TABLE.items()})
    for i, name in enumerate(_NAMES)
}
