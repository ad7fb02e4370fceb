"""What only HDDM's tables vary of a scale: Table 1's setting, those of the conversion studies."""

from collections.abc import Sequence
from dataclasses import replace

from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES, ImageScale
from experiments.recipes.scale import turned
from experiments.scores.judge import Judge
from experiments.scores.score import Score
from experiments.stages.experts import TrainExpert
from experiments.stages.prompts import Repeated
from experiments.stages.samples import Sample
from experiments.stages.setting import Setting
from modules.denoising import DenoisingExpert
from modules.schedules import Schedule
from modules.selection import Selection

WORLDS = {name: SCALES[name] for name in ("smoke", "scenes")}
"""The scales of tables that need a world whose truth is known."""

UNADJUSTED = (
    "Intervals are of 95 %, paired by seed, and not adjusted for their number: of twenty whose "
    "difference is 0 one is expected to miss it."
)
"""What a table of many contrasts says of them all."""


def matched(scale: ImageScale) -> ImageScale:
    """The scale of Table 1 and its ablations.  (HDDM, §3.2)"""
    own = scale.study.matched
    if own is None:
        return scale
    dials = {
        "data.source": own.source,
        "expert.size": own.size,
        "expert.pretrained": own.pretrained,
        "train.batch": own.batch,
        "router.train.steps": own.router_steps,
        "study.matched": None,
    }
    return turned(scale, dials)


def scenes(scale: ImageScale) -> ImageScale:
    """The scale on scenes, where its own data are none; each seed has its own."""
    own = scale.study.scenes
    if own is None:
        return scale
    dials = {
        "data.source": own.source.divided(scale.data.seed),
        "data.text": own.text,
        "judge": own.judge,
        "study.scenes": None,
    }
    return turned(scale, dials)


def judge_of_scenes(scale: ImageScale) -> Judge:
    """Who scores where a scale is turned to scenes."""
    return scores.judge(scenes(scale))


def beyond(scale: ImageScale) -> ImageScale:
    """The scale of the questions that the paper leaves open: on scenes, if it has them."""
    scale, k = scenes(scale), scale.study.beyond.clusters
    return scale if k is None else turned(scale, {"data.clusters": k})


def conversions(scale: ImageScale) -> ImageScale:
    """The scale of the conversion studies: fewer samples.  (HDDM, §3.3.1)"""
    return turned(scale, {"draw.samples": scale.study.conversion_samples})


def thresholds(scale: ImageScale) -> ImageScale:
    """The scale of the sweep of thresholds: fewer still.  (HDDM, §3.3.3)"""
    return turned(scale, {"draw.samples": scale.study.threshold_samples})


def paired(
    scale: ImageScale, module: type[DenoisingExpert], seed: int, schedule: Schedule | None = None
) -> TrainExpert:
    """One of the experts of one cluster whose conversions and mixtures are compared (§3.3.1)."""
    pair, every = scale.study.pair, tuple(range(scale.data.clusters))
    optim = experts.of_batch(scale, scale.study.pair_batch)
    return experts.train(scale, module, every if pair is None else pair, optim, seed, schedule)


def pair_score(
    scale: ImageScale,
    trained: Sequence[TrainExpert],
    selection: Selection,
    seed: int,
    setting: Setting,
) -> Score:
    """The score of such experts, which ask no router: for captions of the cluster that they know,
    beside its held-out pictures (§3.3.1)."""
    inside = scale.study.pair
    return scores.score(scale, trained, None, selection, seed, setting, clusters=inside)


def aligned(scale: ImageScale) -> Setting:
    """CFG 7.5 and 50 steps at paper scale.  (HDDM, §3.1)"""
    study = scale.study
    return scores.setting(scale, study.aligned_steps, study.aligned_guidance)


def conversion(scale: ImageScale) -> Setting:
    """CFG 6 and 75 steps at paper scale.  (HDDM, §3.3.1)"""
    steps, guidance = scale.study.conversion_steps, scale.study.conversion_guidance
    return scores.setting(scale, steps, guidance)


def repeated(scale: ImageScale, score: Score) -> Score:
    """The same score, but for its diversity, which is that of a few prompts asked many times."""
    assert isinstance(score.pictures, Sample)
    asked = Repeated(scale.study.diversity_prompts, scale.study.diversity_each)
    return replace(score, repeated=replace(score.pictures, asked=asked))
