"""From a scale of video to stages: the data, the experts, the routers and the scores of clips."""

import functools
from collections.abc import Sequence
from dataclasses import replace

from datamodules.sources.moving_digits import MovingDigits
from datamodules.sources.source import Split, VideoSource
from experiments.recipes.video import VideoScale
from experiments.scores.clips import ClipJudging, ClipScore
from experiments.scores.moving_digits import MovingDigitsJudge
from experiments.scores.published_clips import PublishedClips
from experiments.scores.real import Real, RealClips
from experiments.stages.clusters import Clusters
from experiments.stages.corpus import Corpus, Shards, Streamed
from experiments.stages.encode import Encode
from experiments.stages.experts import Start, TrainExpert, TrainRouter
from experiments.stages.prompts import Heldout, InClusters, Prompts
from experiments.stages.routers import Routing
from experiments.stages.samples import Sample, Setting
from modules.blocks import AdaLN
from modules.denoising import FlowMatchingExpert
from modules.dit import DiT, TextShape
from modules.mmdit import MMDiT
from modules.schedules import Linear
from modules.selection import Only, Selection
from modules.training import Optim

ROUTER_WEIGHT_DECAY = 1e-2
"""HDDM's, §6.3; Paris 2.0 does not say."""


def corpus(scale: VideoScale, source: VideoSource) -> Corpus:
    """What experts are trained on: clips drawn without end, or encoded and clustered on disk."""
    if isinstance(source, MovingDigits):
        return Streamed(source, scale.latents, scale.features, scale.text)
    first = _clusters(scale, scale.source)
    clusters = first if source == scale.source else replace(_clusters(scale, source), of=first)
    return Shards(clusters, scale.per_shard, frame_features=True)


def _clusters(scale: VideoScale, source: VideoSource) -> Clusters:
    encoded = Encode(source, Split.TRAIN, scale.latents, scale.features, scale.text)
    return Clusters(encoded, scale.fine, scale.clusters, scale.clustering)


def network(scale: VideoScale, source: VideoSource, first: bool = False) -> MMDiT:
    """The shape of every expert and of the monolith; first: one that may be given a frame."""
    data = corpus(scale, source)
    channels, frames, side, _ = data.latent_shape
    text = TextShape(data.text.length, data.text.width, data.text.pooled)
    return MMDiT(scale.size, channels, frames, side, scale.patch, text, first)


def monolith(scale: VideoScale, seed: int) -> TrainExpert:
    """One network on all clusters, at the batch that spends what the experts spend together."""
    return _first(scale, tuple(range(scale.clusters)), scale.batch, seed)


def experts(scale: VideoScale, seed: int) -> list[TrainExpert]:
    """One network on each cluster: a Kth of the data and of the FLOPs each.  (Paris 2.0, §4.1)"""
    batch = scale.batch // scale.clusters
    return [_first(scale, (k,), batch, seed) for k in range(scale.clusters)]


def _first(scale: VideoScale, clusters: tuple[int, ...], batch: int, seed: int) -> TrainExpert:
    optim = Optim(
        steps=scale.steps,
        batch=batch,
        accumulate=scale.accumulate,
        lr=scale.lr,
        warmup=scale.warmup,
        final_lr=scale.final_lr,
        ema=scale.ema,
        ema_start=scale.ema_start,
        precision=scale.precision,
    )
    return TrainExpert(
        shards=corpus(scale, scale.source),
        clusters=clusters,
        module=FlowMatchingExpert,
        schedule=Linear(),
        network=network(scale, scale.source),
        optim=optim,
        text_dropout=scale.text_dropout,
        seed=seed,
        start=None if scale.pretrained is None else Start(scale.pretrained),
        times=scale.times,
    )


def last(scale: VideoScale) -> VideoScale:
    """The scale of what the last stage of the experts sees, and of who routes and judges it."""
    return replace(scale, source=scale.later[-1].source) if scale.later else scale


def later(scale: VideoScale, stage: TrainExpert) -> TrainExpert:
    """An expert's last stage, each begun with the one before; itself where there are no more."""
    share = len(stage.clusters) / scale.clusters
    for number, ahead in enumerate(scale.later, start=1):
        optim = Optim(
            steps=ahead.steps,
            batch=round(ahead.batch * share),
            accumulate=scale.accumulate,
            lr=ahead.lr,
            final_lr=scale.final_lr,
            ema=scale.ema,
            ema_start=min(scale.ema_start, ahead.steps // 2),
            precision=scale.precision,
        )
        stage = TrainExpert(
            shards=corpus(scale, ahead.source),
            clusters=stage.clusters,
            module=stage.module,
            schedule=stage.schedule,
            network=network(scale, ahead.source, first=ahead.first_share > 0),
            optim=optim,
            text_dropout=scale.text_dropout,
            seed=stage.seed,
            start=Start(stage),
            first_share=ahead.first_share,
            times=scale.times,
            later=number,
        )
    return stage


@functools.cache
def router(scale: VideoScale, seed: int) -> TrainRouter:
    """p(k | x_t, t, pooled caption, first frame's feature), or without one.  (Paris 2.0, §3.2)"""
    data = corpus(scale, scale.source)
    channels, frames, side, _ = data.latent_shape
    return TrainRouter(
        shards=data,
        clusters=tuple(range(scale.clusters)),
        reads_text=True,
        schedule=Linear(),
        network=DiT(
            scale.router, side, channels, scale.patch, AdaLN.ZERO, text=None, frames=frames
        ),
        optim=Optim(
            steps=scale.router_steps,
            batch=scale.router_batch,
            accumulate=scale.router_accumulate,
            lr=scale.router_lr,
            final_lr=scale.router_final_lr,
            weight_decay=ROUTER_WEIGHT_DECAY,
            precision=scale.precision,
        ),
        text_dropout=scale.text_dropout,
        seed=seed,
        look=scale.look,
        first_share=scale.look_share,
    )


@functools.cache
def judge(scale: VideoScale) -> ClipJudging:
    """The published metrics, or a judge of the scale's own."""
    if scale.judge is not None:
        return PublishedClips(scale.source, scale.reference, scale.judge, scale.flow)
    if not isinstance(scale.source, MovingDigits):
        raise ValueError(f"no judge of {scale.source.name}: --scale paper has the published ones")
    return MovingDigitsJudge(scale.source, scale.judge_steps, scale.flow)


def setting(scale: VideoScale) -> Setting:
    """Euler, 50 steps at guidance 7.5 in the paper.  (Paris 2.0, §4.1)"""
    return Setting(scale.solver_steps, scale.guidance, precision=scale.precision)


def score(
    scale: VideoScale,
    drawn_by: Sequence[TrainExpert],
    routed_by: Routing | None,
    selection: Selection,
    seed: int,
    asked: Prompts | InClusters | None = None,
    first: bool = False,
) -> ClipScore:
    """The score of clips drawn by experts under a router, if need be, and a selection.

    first: each given the first frame of the held-out clip whose caption it is asked for.
    """
    prompts = Heldout(scale.samples) if asked is None else asked
    sample = Sample(
        tuple(drawn_by), routed_by, selection, prompts, scale.sample_batch, seed,
        setting(scale), first,
    )  # fmt: skip
    return ClipScore(sample, judge(scale))


def alone(scale: VideoScale, stage: TrainExpert, seed: int) -> ClipScore:
    """The score of one network's own clips."""
    return score(scale, [stage], None, Only(0), seed)


def real(scale: VideoScale, seed: int) -> ClipScore:
    """The score of real clips of the training split."""
    if isinstance(scale.source, MovingDigits):
        return ClipScore(RealClips(scale.source, scale.samples, seed), judge(scale))
    data = Shards.of(corpus(scale, scale.source))
    return ClipScore(Real(data, scale.samples, seed), judge(scale))
