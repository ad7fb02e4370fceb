"""From a scale to stages: the data, the experts, the routers and the scores that tables share.

Two tables that name the same expert share it, since a stage is known by its config.
"""

from collections.abc import Sequence

from datamodules.encoders import PixelFeatures, PixelLatents, TinyClipText
from experiments.evaluation import Judge, Real, Score
from experiments.samples import Sample
from experiments.scales import Scale
from experiments.stages import Clusters, Features, Shards, TrainExpert, TrainRouter
from modules.blocks import AdaLN
from modules.denoising import DenoisingExpert
from modules.dit import DiT, TextShape
from modules.schedules import Linear
from modules.selection import Selection
from modules.training import Optim

ROUTER_WEIGHT_DECAY = 1e-2
"""HDDM, §6.3."""


class ScaleError(RuntimeError):
    """A scale that this version cannot run."""


def shards(scale: Scale) -> Shards:
    """The clustered, encoded training split. ScaleError where there is no source to read."""
    if scale.source is None:
        raise ScaleError(
            "scale paper states the recipe, but this version reads no image-text shards yet: "
            "run SCALE=small or SCALE=smoke"
        )
    clusters = Clusters(Features(scale.source, PixelFeatures()), scale.fine, scale.clusters)
    return Shards(clusters, PixelLatents(), TinyClipText(), scale.per_shard)


def _network(scale: Scale, data: Shards) -> DiT:
    text = TextShape(data.text.length, data.text.width, data.text.pooled)
    source = data.source
    return DiT(
        scale.size, source.image, source.channels, scale.patch, text=text, text_std=scale.text_std
    )


def _optim(scale: Scale, batch: int) -> Optim:
    return Optim(
        steps=scale.steps,
        batch=batch,
        lr=scale.lr,
        warmup=scale.warmup,
        final_lr=scale.final_lr,
        ema=scale.ema,
        ema_start=scale.ema_start,
    )


def monolith(scale: Scale, module: type[DenoisingExpert], seed: int) -> TrainExpert:
    """One network on all clusters, at the batch that spends what the experts spend together."""
    return _train(scale, module, tuple(range(scale.clusters)), scale.batch, seed)


def expert(scale: Scale, module: type[DenoisingExpert], cluster: int, seed: int) -> TrainExpert:
    """One network on one cluster."""
    return _train(scale, module, (cluster,), scale.batch // scale.clusters, seed)


def _train(
    scale: Scale, module: type[DenoisingExpert], clusters: tuple[int, ...], batch: int, seed: int
) -> TrainExpert:
    data = shards(scale)
    return TrainExpert(
        shards=data,
        clusters=clusters,
        module=module,
        schedule=module.default_schedule,
        network=_network(scale, data),
        optim=_optim(scale, batch),
        text_dropout=scale.text_dropout,
        seed=seed,
    )


def router(scale: Scale, reads_text: bool, seed: int) -> TrainRouter:
    """p(k | x_t, t), or p(k | x_t, t, c) if it reads text."""
    data = shards(scale)
    source = data.source
    return TrainRouter(
        shards=data,
        reads_text=reads_text,
        schedule=Linear(),
        network=DiT(
            scale.router, source.image, source.channels, scale.patch, AdaLN.ZERO, text=None
        ),
        optim=Optim(
            steps=scale.router_steps,
            batch=scale.router_batch,
            accumulate=scale.router_accumulate,
            lr=scale.router_lr,
            final_lr=scale.router_final_lr,
            weight_decay=ROUTER_WEIGHT_DECAY,
        ),
        text_dropout=scale.text_dropout if reads_text else 0.0,
        seed=seed,
    )


def real(scale: Scale, seed: int) -> Score:
    """The score of training pictures that show what the prompts name: the data's own."""
    source = shards(scale).source
    return Score(Real(source, scale.samples, seed), Judge(source, scale.judge_steps))


def score(
    scale: Scale,
    experts: Sequence[TrainExpert],
    routed_by: TrainRouter | None,
    selection: Selection,
    seed: int,
) -> Score:
    """The score of samples drawn from experts under a router, if need be, and a selection."""
    sample = Sample(
        experts=tuple(experts),
        router=routed_by,
        selection=selection,
        n=scale.samples,
        batch=scale.sample_batch,
        steps=scale.solver_steps,
        guidance=scale.guidance,
        seed=seed,
    )
    return Score(sample, Judge(sample.shards.source, scale.judge_steps))
