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
    for number, ahead in enumerate(scale.study.later, start=1):
        optim = replace(
            scale.train,
            steps=ahead.steps,
            batch=round(ahead.batch * share),
            lr=ahead.lr,
            warmup=0,
            ema_start=min(scale.train.ema_start, ahead.steps // 2),
        )
        stage = replace(
            stage,
            shards=experts.corpus(scale, ahead.source),
            network=experts.network(scale, ahead.source, given_frame=ahead.given_share > 0),
            optim=optim,
            start=Start(stage),
            given_share=ahead.given_share,
            later=number,
        )
    return stage
