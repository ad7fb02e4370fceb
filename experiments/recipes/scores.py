"""From a scale to what it measures: the judge, the setting of samples, and scores of them."""

import functools
from collections.abc import Sequence
from typing import Any

from datamodules.sources.source import DrawingSource, Split
from experiments.recipes.experts import encoded, shards
from experiments.recipes.scale import Scale
from experiments.scores.judge import Judge
from experiments.scores.real import Decoded, Real, RealClips
from experiments.scores.score import Score
from experiments.stages.experts import TrainExpert
from experiments.stages.prompts import Heldout, InClusters, Prompts
from experiments.stages.routers import Routing
from experiments.stages.samples import Sample
from experiments.stages.setting import Setting
from modules.guidance import Within
from modules.selection import Only, Selection


@functools.cache
def judge(scale: Scale[Any]) -> Judge:
    """Who scores. ValueError for a source that the scale's judge cannot read."""
    return scale.judge.stage(scale.data.source, scale.data.seed)


@functools.cache
def _judge_within(scale: Scale[Any], clusters: tuple[int, ...]) -> Judge:
    """The same beside the held-out samples of these clusters alone."""
    data = scale.data
    return scale.judge.within(data.source, data.seed, encoded(scale, Split.HELDOUT), clusters)


def real(scale: Scale[Any], seed: int) -> Score:
    """The score of training samples of what the prompts name: the data's own."""
    source, n = scale.data.source, scale.draw.samples
    if isinstance(source, DrawingSource):
        return Score(RealClips(source, n, seed), judge(scale))
    return Score(Real(shards(scale), n, seed), judge(scale))


def decoded(scale: Scale[Any], seed: int) -> Score:
    """The score of the same pictures, encoded and decoded."""
    return Score(Decoded(Real(shards(scale), scale.draw.samples, seed)), judge(scale))


def default(scale: Scale[Any]) -> Setting:
    """The scale's own solver steps and guidance."""
    return setting(scale, scale.draw.steps, scale.draw.guidance)


def setting(scale: Scale[Any], steps: int, guidance: float) -> Setting:
    """So many solver steps and so much guidance, else as the scale draws."""
    draw, low, high = scale.draw, scale.draw.guided_from, scale.draw.guided_to
    always = guidance == 1 or (low, high) == (0, 1)
    within = guidance if always else Within(guidance, low, high)
    return Setting(steps, within, precision=scale.train.precision, router_every=draw.router_every)


def score(
    scale: Scale[Any],
    experts: Sequence[TrainExpert],
    routed_by: Routing | None,
    selection: Selection,
    seed: int,
    setting: Setting | None = None,
    asked: Prompts | InClusters | None = None,
    first: bool = False,
    clusters: tuple[int, ...] | None = None,
) -> Score:
    """The score of samples drawn from experts under a router, if need be, and a selection.

    asked: the prompts; held-out captions where none are given.  first: each clip is given the first
    frame of the held-out clip whose caption it is asked for.  clusters: those whose held-out
    captions are asked and whose held-out samples are compared with; None for all.
    """
    how = default(scale) if setting is None else setting
    n = scale.draw.samples
    own = Heldout(n) if clusters is None else InClusters(clusters, n)
    prompts = own if asked is None else asked
    sample = Sample(
        tuple(experts), routed_by, selection, prompts, scale.draw.batch, seed, how, first
    )
    return Score(sample, judge(scale) if clusters is None else _judge_within(scale, clusters))


def alone(
    scale: Scale[Any],
    stage: TrainExpert,
    seed: int,
    setting: Setting | None = None,
    clusters: tuple[int, ...] | None = None,
) -> Score:
    """The score of one network's own samples; clusters: as of `score`."""
    return score(scale, [stage], None, Only(0), seed, setting, clusters=clusters)
