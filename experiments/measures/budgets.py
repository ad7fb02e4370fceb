"""What an ensemble and a monolith are trained on: clips, FLOPs and parameters, computed."""

from collections.abc import Sequence

from experiments.measures.resources import expert_flops, parameters, router_flops
from experiments.stages.experts import TrainExpert, TrainRouter
from modules.training import Optim


def samples_seen(optim: Optim) -> int:
    """Samples that a training sees."""
    return optim.steps * optim.batch * optim.accumulate


def flops(stage: TrainExpert | TrainRouter) -> float:
    """Of a whole training, forward and backward."""
    if isinstance(stage, TrainExpert):
        return float(samples_seen(stage.optim)) * expert_flops(stage.network)
    pooled = stage.shards.text.pooled if stage.reads_text else None
    each = router_flops(stage.network, stage.shards.k, pooled, stage.frame_feature)
    return float(samples_seen(stage.optim)) * each


def summary(
    experts: Sequence[TrainExpert], monolith: TrainExpert, router: TrainRouter
) -> tuple[str, str]:
    """Both sides of an equal budget, and what it leaves out: parameters and the router."""
    together, alone = sum(map(flops, experts)), flops(monolith)
    clips, size = sum(samples_seen(x.optim) for x in experts), parameters(monolith.network)
    many = sum(parameters(expert.network) for expert in experts)
    return (
        f"Trained on: monolith {samples_seen(monolith.optim):,} clips, {alone:.4g} FLOPs; "
        f"{len(experts)} experts {clips:,} clips, {together:.4g} FLOPs, {together / alone:.3f} of "
        f"the monolith's, in as many optimiser steps each ({monolith.optim.steps:,}).",
        f"Not equal: parameters, {size:,} against {many:,}; and the router's {flops(router):.3g} "
        f"FLOPs, {flops(router) / alone:.1%} on top.",
    )
