"""From a scale to what it trains: the data, the experts and the routers, whichever the medium.

Two tables that name the same expert share it, since a stage is known by its config.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from datamodules.sources.source import DrawingSource, Source, Split
from experiments.recipes.scale import Scale
from experiments.stages.clusters import Clusters, Encoded
from experiments.stages.corpus import Corpus, Shards, Streamed
from experiments.stages.encode import Encode
from experiments.stages.experts import Start, TrainExpert, TrainRouter
from experiments.stages.routers import Calibrated, Known
from modules.blocks import AdaLN
from modules.denoising import DenoisingExpert
from modules.dit import DiT, TextShape
from modules.mmdit import MMDiT
from modules.schedules import Linear, Schedule
from modules.training import Optim


def clusters(scale: Scale[Any], source: Source) -> Clusters:
    """The clusters of a training split; those of the scale's own source, where it is another."""
    data = scale.data
    encoded = Encode(source, Split.TRAIN, data.latents, data.features, data.text)
    own = Clusters(
        encoded, data.fine, data.clusters, data.clustering, data.seed, stated=data.partition
    )
    return own if source == data.source else replace(own, of=clusters(scale, data.source))


@functools.cache
def shards(scale: Scale[Any]) -> Shards:
    """The clustered, encoded training split. ValueError for clips that are drawn without end."""
    return Shards.of(corpus(scale, scale.data.source))


def corpus(scale: Scale[Any], source: Source) -> Corpus:
    """What experts are trained on: drawn without end, or encoded and clustered on disk."""
    data = scale.data
    if isinstance(source, DrawingSource):
        return Streamed(source, data.latents, data.features, data.text)
    frame_features = scale.router.frame_feature is not None
    return Shards(clusters(scale, source), data.per_shard, frame_features)


@functools.cache
def encoded(scale: Scale[Any], split: Split) -> Encoded:
    """A split's latents and captions, with the cluster that each sample is nearest to."""
    return Encoded(shards(scale).clusters, split)


def network(scale: Scale[Any], source: Source, given_frame: bool = False) -> DiT | MMDiT:
    """The shape of every expert and of the monolith."""
    data = corpus(scale, source)
    text = TextShape(data.text.length, data.text.width, data.text.pooled)
    return scale.expert.network(data.latent_shape, text, given_frame)


def monolith(scale: Scale[Any], module: type[DenoisingExpert], seed: int) -> TrainExpert:
    """One network on all clusters, at the batch that spends what the experts spend together."""
    return train(scale, module, tuple(range(scale.data.clusters)), scale.train, seed)


def expert(
    scale: Scale[Any], module: type[DenoisingExpert], cluster: int, seed: int
) -> TrainExpert:
    """One network on one cluster: a Kth of the data and of the FLOPs."""
    optim = of_batch(scale, scale.train.batch // scale.data.clusters)
    return train(scale, module, (cluster,), optim, seed)


def mixed(
    scale: Scale[Any],
    default: type[DenoisingExpert],
    others: Mapping[int, type[DenoisingExpert]],
    seed: int,
) -> list[TrainExpert]:
    """K experts of one objective, but for the clusters that have another."""
    every = range(scale.data.clusters)
    return [expert(scale, others.get(k, default), k, seed) for k in every]


def of_batch(scale: Scale[Any], batch: int) -> Optim:
    """The recipe at another batch, its learning rates times a power of the ratio of batches: its
    square root keeps the noise that Adam's steps have of a gradient's.  (Malladi et al., 2022)"""
    optim, factor = scale.train, (batch / scale.train.batch) ** scale.expert.lr_by_batch
    final = None if optim.final_lr is None else optim.final_lr * factor
    return replace(optim, batch=batch, lr=optim.lr * factor, final_lr=final)


def shortened(optim: Optim, steps: int) -> Optim:
    """The recipe over fewer steps: warm-up and average keep their share."""
    share = steps / optim.steps
    warmup, start = int(share * optim.warmup), int(share * optim.ema_start)
    return replace(optim, steps=steps, warmup=warmup, ema_start=start)


def train(
    scale: Scale[Any],
    module: type[DenoisingExpert],
    clusters: tuple[int, ...],
    optim: Optim,
    seed: int,
    schedule: Schedule | None = None,
) -> TrainExpert:
    """A network on some clusters; schedule: the objective's own where none is given."""
    shape, pretrained = network(scale, scale.data.source), scale.expert.pretrained
    return TrainExpert(
        shards=corpus(scale, scale.data.source),
        clusters=clusters,
        module=module,
        schedule=module.default_schedule if schedule is None else schedule,
        network=shape if pretrained is None else pretrained.begun(shape, module.objective),
        optim=optim,
        text_dropout=scale.expert.text_dropout,
        seed=seed,
        start=None if pretrained is None else Start(pretrained),
        times=scale.expert.times,
    )


@functools.cache
def router(scale: Scale[Any], reads_text: bool, seed: int) -> TrainRouter:
    """p(k | x_t, t), or p(k | x_t, t, c) if it reads text, and a first frame if the scale's does.

    (HDDM, Eq. 2; Paris 2.0, §3.2)
    """
    data = corpus(scale, scale.data.source)
    channels, *frames, side, _ = data.latent_shape
    return TrainRouter(
        shards=data,
        clusters=tuple(range(scale.data.clusters)),
        reads_text=reads_text,
        schedule=Linear(),
        network=DiT(
            scale.router.size,
            side,
            channels,
            scale.expert.patch,
            AdaLN.ZERO,
            text=None,
            frames=frames[0] if frames else None,
        ),
        optim=scale.router.train,
        text_dropout=scale.expert.text_dropout if reads_text else 0.0,
        seed=seed,
        frame_feature=scale.router.frame_feature,
        given_share=scale.router.given_share,
    )


def calibrated(scale: Scale[Any], reads_text: bool, seed: int) -> Calibrated:
    """The router with its temperature, fitted on the judge's split."""
    return Calibrated(router(scale, reads_text, seed), encoded(scale, Split.JUDGE))


def oracle(scale: Scale[Any]) -> Known:
    """The cluster of the held-out picture whose caption is the prompt."""
    return Known(encoded(scale, Split.HELDOUT), scale.draw.samples)
