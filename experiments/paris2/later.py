"""Later stages of the experts, each begun with the one before.  (The card's Stages 2 and 3)"""

from dataclasses import replace

from experiments.recipes import experts
from experiments.recipes.scale import turned
from experiments.recipes.video import VideoScale
from experiments.stages.experts import Start, TrainExpert


def last(scale: VideoScale) -> VideoScale:
    """The scale of what the last stage of the experts sees, and of who routes and judges it."""
    later = scale.study.later
    return turned(scale, {"data.source": later[-1].source}) if later else scale


def later(scale: VideoScale, stage: TrainExpert) -> TrainExpert:
    """An expert's last stage; itself where there are no more."""
    share = len(stage.clusters) / scale.data.clusters
    for number, recipe in enumerate(scale.study.later, start=1):
        optim = replace(
            scale.train,
            steps=recipe.steps,
            batch=round(recipe.batch * share),
            lr=recipe.lr,
            warmup=0,
            ema_start=min(scale.train.ema_start, recipe.steps // 2),
        )
        stage = replace(
            stage,
            shards=experts.corpus(scale, recipe.source),
            network=experts.network(scale, recipe.source, given_frame=recipe.given_share > 0),
            optim=optim,
            start=Start(stage),
            given_share=recipe.given_share,
            later=number,
        )
    return stage
