"""What a stage takes: FLOPs, disk and memory, computed from its config, nothing of it run.

Counted are matrix products and convolutions of networks; reading and decoding files and clustering
features are processor time beside them.
"""

import math
from dataclasses import dataclass
from functools import singledispatch

import torch

from datamodules.sources.source import record_shape
from experiments.measures import encoding
from experiments.measures.resources import (
    NumberFormat,
    checkpointed_bytes,
    expert_flops,
    parameters,
    router_flops,
    saved_bytes,
    static_bytes,
)
from experiments.pipeline.stage import Stage
from experiments.scores.published import PublishedMetrics
from experiments.scores.real import Decoded, Real
from experiments.scores.score import Score
from experiments.scores.within import WithinClusters
from experiments.stages.clusters import Clusters, Encoded
from experiments.stages.corpus import Shards
from experiments.stages.encode import Encode
from experiments.stages.experts import TrainExpert, TrainRouter
from experiments.stages.routers import Calibrated
from experiments.stages.samples import Sample
from modules.dit import DiT
from modules.mmdit import MMDiT
from modules.training import Optim
from modules.training import Precision as Trained

TAR = 512
"""Bytes to which a tar rounds each file, and of each file's header."""
FORWARD = 1 / 3
"""A forward pass of what a forward and a backward pass take."""


@dataclass(frozen=True)
class Cost:
    """FLOPs; bytes of the artifact; bytes held at once beyond the program itself."""

    flops: float = 0.0
    disk: float = 0.0
    memory: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        """Both, one after the other: memory is that of the larger."""
        memory = max(self.memory, other.memory)
        return Cost(self.flops + other.flops, self.disk + other.disk, memory)


@singledispatch
def cost(stage: Stage, checkpointing: bool = False) -> Cost | None:
    """What a stage takes, trained with blocks run again going backward or not; None for kinds that
    are not counted: small ones, and measurements."""
    return None


def _sizes(stage: Encode) -> dict[str, float]:
    """Bytes of what is stored of a picture, by name."""
    two = 2 if encoding.encode_flops(stage.latents, stage.source.image) else 4
    text = stage.text
    embeddings = {"tokens": 2 * text.length * text.width, "pooled": 2 * text.pooled}
    return {
        "latent": two * math.prod(stage.latents.shape(record_shape(stage.source))),
        **(embeddings if text.cached else {"ids": 8 * text.length}),
    }


@cost.register
def _(stage: Encode, checkpointing: bool = False) -> Cost:
    n, source = stage.source.expected(stage.split), stage.source
    parts = max(1, len(source.parts(stage.split)))
    each = encoding.encode_flops(stage.latents, source.image)
    each += encoding.feature_flops(stage.features)
    each += encoding.text_flops(stage.text) if stage.text.cached else 0.0
    feature = 2 * encoding.WIDTH if encoding.feature_flops(stage.features) else 4 * source.image**2
    stored = sum(_sizes(stage).values()) + feature
    return Cost(n * each, n * stored, n / parts * stored)


@cost.register
def _(stage: Clusters | Encoded, checkpointing: bool = False) -> Cost:
    n = stage.encoded.source.expected(stage.encoded.split)
    return Cost(disk=8 * n, memory=8 * n)


@cost.register
def _(stage: Shards, checkpointing: bool = False) -> Cost:
    encoded = stage.clusters.encoded
    files = [*_sizes(encoded).values(), 100.0]  # and the caption
    tarred = sum(TAR + TAR * -(-size // TAR) for size in files)
    return Cost(disk=encoded.source.expected(encoded.split) * tarred)


@cost.register
def _(stage: TrainExpert, checkpointing: bool = False) -> Cost:
    text = stage.shards.text
    beside = 0.0 if text.cached else encoding.text_flops(text)
    each = expert_flops(stage.network)
    return _training(stage.network, stage.optim, each, beside, checkpointing)


@cost.register
def _(stage: TrainRouter, checkpointing: bool = False) -> Cost:
    text, pooled = stage.shards.text, stage.shards.text.pooled if stage.reads_text else None
    beside = encoding.text_flops(text) if stage.reads_text and not text.cached else 0.0
    each = router_flops(stage.network, stage.shards.k, pooled)
    return _training(stage.network, stage.optim, each, beside, checkpointing)


def _training(
    shape: DiT | MMDiT, optim: Optim, each: float, beside: float, checkpointing: bool
) -> Cost:
    """each: FLOPs of a sample, forward and backward.  beside: of its caption in the tower."""
    precision = NumberFormat.SINGLE if optim.precision is Trained.SINGLE else NumberFormat.MIXED
    kept = checkpointed_bytes if checkpointing else saved_bytes
    again = 1 + FORWARD if checkpointing else 1.0
    samples = optim.steps * optim.batch * optim.accumulate
    memory = static_bytes(shape, optim.ema is not None) + kept(shape, optim.batch, precision)
    return Cost(samples * (again * each + beside), 4 * parameters(shape), memory)


@cost.register
def _(stage: Sample, checkpointing: bool = False) -> Cost:
    text, (expert, router) = stage.shards.text, evaluation_flops(stage)
    evaluations = stage.setting.steps * (1 if stage.setting.guidance == 1 else 2)
    flops = evaluations * (asked(stage) * expert + router) + encoding.text_flops(text)
    embeddings = stage.n * 2 * (text.length * text.width + text.pooled)
    weights = 4 * sum(parameters(expert.network) for expert in stage.experts)
    return Cost(
        stage.n * flops, stage.n * 4 * math.prod(stage.shards.latent_shape), embeddings + weights
    )


def evaluation_flops(stage: Sample) -> tuple[float, float]:
    """FLOPs of one evaluation of an expert for a sample, and of its router: 0 for an untrained."""
    expert, router = expert_flops(stage.experts[0].network) * FORWARD, stage.router
    if isinstance(router, Calibrated):
        router = router.router
    if not isinstance(router, TrainRouter):
        return expert, 0.0
    pooled = stage.shards.text.pooled if router.reads_text else None
    return expert, router_flops(router.network, router.shards.k, pooled) * FORWARD


def asked(stage: Sample) -> float:
    """Experts that a selection asks on average: over times, and routers of every confidence."""
    g = torch.Generator().manual_seed(0)
    sharp = torch.logspace(-1, 1, 256)[:, None]
    p = (sharp * torch.randn(256, len(stage.experts), generator=g)).softmax(dim=1)
    t = torch.rand(256, generator=g)
    return float((stage.selection.weights(p, t) > 0).sum(dim=1).float().mean())


@cost.register
def _(stage: Score, checkpointing: bool = False) -> Cost:
    judge = stage.judge.judge if isinstance(stage.judge, WithinClusters) else stage.judge
    if not isinstance(judge, PublishedMetrics):
        return Cost()
    assert isinstance(stage.pictures, Sample | Real | Decoded)
    shards, count = stage.pictures.shards, stage.pictures.n
    if stage.repeated is not None:
        count += stage.repeated.n
    decoded = encoding.decode_flops(shards.latents, shards.source.image)
    features = 4 * (2048 + encoding.WIDTH) * count
    return Cost(count * (decoded + encoding.judging_flops()), memory=features)


@cost.register
def _(stage: PublishedMetrics, checkpointing: bool = False) -> Cost:
    features = 4 * (2048 + encoding.WIDTH) * stage.n
    return Cost(stage.n * encoding.judging_flops(), features, features)


@cost.register
def _(stage: Real, checkpointing: bool = False) -> Cost:
    size = stage.n * stage.shards.source.channels * stage.shards.source.image**2
    return Cost(disk=size, memory=size)


@cost.register
def _(stage: Decoded, checkpointing: bool = False) -> Cost:
    shards = stage.shards
    size = 2.0 * stage.n * math.prod(shards.latents.shape(record_shape(shards.source)))
    each = encoding.encode_flops(shards.latents, shards.source.image)
    return Cost(stage.n * each, size, 2 * size)  # of batches, and joined
