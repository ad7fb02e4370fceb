"""From a scale to stages: the data, the experts, the routers and the scores that tables share.

Two tables that name the same expert share it, since a stage is known by its config.
"""

import functools
from collections.abc import Sequence
from dataclasses import fields, replace

from datamodules.sources.source import Split
from experiments.recipes.images import Scale
from experiments.scores.classifier import Judge
from experiments.scores.judge import Judging
from experiments.scores.published import PublishedMetrics
from experiments.scores.real import Real
from experiments.scores.score import Score
from experiments.stages.clusters import Clusters, Encoded
from experiments.stages.corpus import Shards
from experiments.stages.encode import Encode
from experiments.stages.experts import Start, TrainExpert, TrainRouter
from experiments.stages.prompts import Heldout, Repeated
from experiments.stages.routers import Calibrated, Known, Routing
from experiments.stages.samples import Sample, Setting
from modules.blocks import AdaLN
from modules.denoising import DenoisingExpert
from modules.dit import DiT, TextShape
from modules.schedules import Linear, Schedule
from modules.selection import Only, Selection
from modules.training import Optim

NEW = 0.02
"""Deviation of the final layer of an expert begun with a checkpoint.  (HDDM, Eq. 20 and §6.2)"""
ROUTER_WEIGHT_DECAY = 1e-2
"""HDDM, §6.3."""


def matched(scale: Scale) -> Scale:
    """The scale of Table 1 and its ablations.  (HDDM, §3.2)"""
    if scale.matched is None:
        return scale
    dials = {f.name: getattr(scale.matched, f.name) for f in fields(scale.matched)}
    return replace(scale, matched=None, **dials)


def conversions(scale: Scale) -> Scale:
    """The scale of the conversion studies: fewer samples.  (HDDM, §3.3.1)"""
    return replace(scale, samples=scale.conversion_samples)


def thresholds(scale: Scale) -> Scale:
    """The scale of the sweep of thresholds: fewer still.  (HDDM, §3.3.3)"""
    return replace(scale, samples=scale.threshold_samples)


@functools.cache
def shards(scale: Scale) -> Shards:
    """The clustered, encoded training split."""
    encoded = Encode(scale.source, Split.TRAIN, scale.latents, scale.features, scale.text)
    clusters = Clusters(encoded, scale.fine, scale.clusters, scale.clustering)
    return Shards(clusters, scale.per_shard)


@functools.cache
def encoded(scale: Scale, split: Split) -> Encoded:
    """A split's latents and captions, with the cluster that each picture is nearest to."""
    return Encoded(shards(scale).clusters, split)


def network(scale: Scale) -> DiT:
    """The shape of every expert and of the monolith."""
    data = shards(scale)
    text = TextShape(data.text.length, data.text.width, data.text.pooled)
    channels, side, _ = data.latent_shape
    return DiT(scale.size, side, channels, scale.patch, text=text, text_std=scale.text_std)


def _optim(scale: Scale, batch: int) -> Optim:
    return Optim(
        steps=scale.steps,
        batch=batch,
        lr=scale.lr,
        warmup=scale.warmup,
        final_lr=scale.final_lr,
        ema=scale.ema,
        ema_start=scale.ema_start,
        precision=scale.precision,
    )


def monolith(scale: Scale, module: type[DenoisingExpert], seed: int) -> TrainExpert:
    """One network on all clusters, at the batch that spends what the experts spend together."""
    return _train(scale, module, None, tuple(range(scale.clusters)), scale.batch, seed)


def expert(scale: Scale, module: type[DenoisingExpert], cluster: int, seed: int) -> TrainExpert:
    """One network on one cluster."""
    return _train(scale, module, None, (cluster,), scale.batch // scale.clusters, seed)


def paired(
    scale: Scale, module: type[DenoisingExpert], seed: int, schedule: Schedule | None = None
) -> TrainExpert:
    """One of the experts of one cluster whose conversions and mixtures are compared (§3.3.1)."""
    clusters = tuple(range(scale.clusters)) if scale.pair is None else scale.pair
    return _train(scale, module, schedule, clusters, scale.pair_batch, seed)


def _train(
    scale: Scale,
    module: type[DenoisingExpert],
    schedule: Schedule | None,
    clusters: tuple[int, ...],
    batch: int,
    seed: int,
) -> TrainExpert:
    shape, start = network(scale), None
    if scale.pretrained is not None:
        shape = scale.pretrained.shape(replace(shape, head_std=NEW), module.objective)
        start = Start(scale.pretrained)
    return TrainExpert(
        shards=shards(scale),
        clusters=clusters,
        module=module,
        schedule=module.default_schedule if schedule is None else schedule,
        network=shape,
        optim=_optim(scale, batch),
        text_dropout=scale.text_dropout,
        seed=seed,
        start=start,
    )


def mixed(
    scale: Scale,
    default: type[DenoisingExpert],
    others: dict[int, type[DenoisingExpert]],
    seed: int,
) -> list[TrainExpert]:
    """K experts of one objective, but for the clusters that have another."""
    clusters = range(scale.clusters)
    return [expert(scale, others.get(k, default), k, seed) for k in clusters]


@functools.cache
def router(scale: Scale, reads_text: bool, seed: int) -> TrainRouter:
    """p(k | x_t, t), or p(k | x_t, t, c) if it reads text."""
    data = shards(scale)
    channels, side, _ = data.latent_shape
    return TrainRouter(
        shards=data,
        clusters=tuple(range(scale.clusters)),
        reads_text=reads_text,
        schedule=Linear(),
        network=DiT(scale.router, side, channels, scale.patch, AdaLN.ZERO, text=None),
        optim=Optim(
            steps=scale.router_steps,
            batch=scale.router_batch,
            accumulate=scale.router_accumulate,
            lr=scale.router_lr,
            final_lr=scale.router_final_lr,
            weight_decay=ROUTER_WEIGHT_DECAY,
            precision=scale.precision,
        ),
        text_dropout=scale.text_dropout if reads_text else 0.0,
        seed=seed,
    )


def calibrated(scale: Scale, reads_text: bool, seed: int) -> Calibrated:
    """The router with its temperature, fitted on the judge's split."""
    return Calibrated(router(scale, reads_text, seed), encoded(scale, Split.JUDGE))


def oracle(scale: Scale) -> Known:
    """The cluster of the held-out picture whose caption is the prompt."""
    return Known(encoded(scale, Split.HELDOUT), scale.samples)


@functools.cache
def judge(scale: Scale) -> Judging:
    """The published metrics, or a classifier of the scale's own."""
    if scale.judge is None:
        return Judge(scale.source, scale.judge_steps, lpips=scale.judge_lpips)
    return PublishedMetrics(scale.source, scale.reference, scale.judge)


def real(scale: Scale, seed: int) -> Score:
    """The score of training pictures that show what the prompts name: the data's own."""
    return Score(Real(shards(scale), scale.samples, seed), judge(scale))


def default(scale: Scale) -> Setting:
    """The setting of Table 1."""
    return Setting(scale.solver_steps, scale.guidance, precision=scale.precision)


def aligned(scale: Scale) -> Setting:
    """CFG 7.5 and 50 steps at paper scale.  (HDDM, §3.1)"""
    return Setting(scale.aligned_steps, scale.aligned_guidance, precision=scale.precision)


def conversion(scale: Scale) -> Setting:
    """CFG 6 and 75 steps at paper scale.  (HDDM, §3.3.1)"""
    steps, guidance = scale.conversion_steps, scale.conversion_guidance
    return Setting(steps, guidance, precision=scale.precision)


def score(
    scale: Scale,
    experts: Sequence[TrainExpert],
    routed_by: Routing | None,
    selection: Selection,
    seed: int,
    setting: Setting | None = None,
) -> Score:
    """The score of samples drawn from experts under a router, if need be, and a selection."""
    how = default(scale) if setting is None else setting
    asked, batch = Heldout(scale.samples), scale.sample_batch
    sample = Sample(tuple(experts), routed_by, selection, asked, batch, seed, how)
    return Score(sample, judge(scale))


def repeated(scale: Scale, found: Score) -> Score:
    """The same score, but for its diversity, which is that of a few prompts asked many times."""
    assert isinstance(found.pictures, Sample)
    asked = Repeated(scale.diversity_prompts, scale.diversity_each)
    return replace(found, repeated=replace(found.pictures, asked=asked))


def alone(scale: Scale, stage: TrainExpert, seed: int, setting: Setting | None = None) -> Score:
    """The score of one network's own samples."""
    return score(scale, [stage], None, Only(0), seed, setting)
