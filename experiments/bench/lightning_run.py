"""Training at `small` through the whole Lightning run, against bare loops of the same network.

An expert of pictures and one of video, as the recipes make them, over fewer steps.
"""

import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import versioned
from experiments.bench.ratios import TimeRatio
from experiments.pipeline import build
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import Scale
from experiments.recipes.video import VIDEO_SCALES
from experiments.stages.experts import TrainExpert
from modules.denoising import DenoisingExpert, FlowMatchingExpert
from modules.together import Together
from modules.training import Batch

STEPS, VIDEO_STEPS, BRIEF = 400, 150, 10
AGREED = 50
"""Steps after which both must have the same weights. A stack rounds otherwise than the bare loop:
that is 4e-5 of their norm then, and a quarter of it after 400, at the rate of `small`. A loop of
the stack itself gives the same bits."""
Weights = dict[str, Tensor]
Loop = Callable[[TrainExpert, Store], Weights]
"""Trains a stage whose shards are there, and gives its averaged weights."""


def expert(scale: Scale[Any], steps: int) -> TrainExpert:
    """Expert 0 of a scale by its recipe, over fewer steps: warm-up and average keep their share."""
    whole = experts.expert(scale, FlowMatchingExpert, 0, 0)
    return replace(whole, optim=experts.shortened(whole.optim, steps))


@dataclass(frozen=True)
class WholeRun:
    """The stage made, each time in a folder of its own: nothing is resumed."""

    stage: TrainExpert
    folder: Path
    context: Context

    def __call__(self) -> Weights:
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
        self.stage.make(folder, self.context)
        return load_file(folder / "weights.safetensors")


def _batches(stage: TrainExpert, store: Store, trained: DenoisingExpert) -> Iterator[Batch]:
    read = stage.shards.loader(store, stage.clusters, stage.optim, trained.seed)
    return (read.on_after_batch_transfer(batch, 0) for batch in read.train_dataloader())


def bare(stage: TrainExpert, store: Store) -> Weights:
    """The same draws, loss, clipping, AdamW, schedule and average, and nothing else.

    The network itself: neither `Together`'s stack nor its flat row of weights, no captions shared.
    """
    trained, recipe = stage.begun(store), stage.optim
    weights: list[Tensor] = list(trained.network.parameters())
    optimizer = torch.optim.AdamW(weights, recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate)
    average = copy.deepcopy(trained.network)
    averaged: list[Tensor] = list(average.parameters())
    for step, batch in enumerate(_batches(stage, store, trained)):
        loss = trained.loss(batch["x0"], *trained.draw(batch))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, recipe.clip or torch.inf)
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            if step == recipe.ema_start:
                torch._foreach_copy_(averaged, weights)
            elif step > recipe.ema_start:
                torch._foreach_lerp_(averaged, weights, 1 - (recipe.ema or 0.0))
    return dict(average.state_dict())


def together(stage: TrainExpert, store: Store) -> Weights:
    """`Together` of the one expert, step by step as Lightning calls it, and without Lightning."""
    trained, recipe = stage.begun(store), stage.optim
    whole = Together([trained], torch.device("cpu"))
    optimizer = torch.optim.AdamW(
        [whole.flat.weights], recipe.lr, weight_decay=recipe.weight_decay, fused=True
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate)
    for step, batch in enumerate(_batches(stage, store, trained)):
        loss = whole.training_step([batch], step)
        whole.zero_grad()
        loss.backward()
        whole.configure_gradient_clipping(optimizer)
        optimizer.step()
        scheduler.step()
        whole._take_into_average(step)
    whole.finish()
    return dict(trained.network.state_dict())


def _sides(scale: Scale[Any], steps: int, loop: Loop, room: Room) -> TwoSides:
    stage, store = expert(scale, room.amount(steps, BRIEF)), Store(room.folder / "store")
    context = Context(store, device="cpu")
    for data in build.behind([stage.shards]):
        store.make(data, context)

    run, within = WholeRun(stage, room.folder, context), 0.0 if loop is together else 1e-3

    def alike(ours: Weights, peer: Weights) -> Sequence[Alike]:
        names = [name for name in peer if name in ours]
        short = replace(run, stage=expert(scale, room.amount(AGREED, BRIEF)))
        early = short(), loop(short.stage, store)
        flat = [torch.cat([w[n].flatten() for n in names]).double() for w in early]
        whole, apart = flat[1].norm().item(), (flat[0] - flat[1]).norm().item()
        return (
            Alike("tensors of weights", len(ours), len(peer)),
            Alike("tensors of the same names", len(names), len(peer)),
            Alike(f"averaged weights after {AGREED} steps, but for", whole + apart, whole, within),
        )

    return TwoSides(Side(run), Side(partial(loop, stage, store)), alike)


def _shapes(stage: TrainExpert) -> str:
    shape, text = stage.network, stage.network.text
    words = 0 if text is None else text.length
    return (
        f"{type(shape).__name__} {shape.size}, {shape.tokens} tokens, {words} text tokens, "
        f"batch {stage.optim.batch}"
    )


def _row(
    name: str, scale: Scale[Any], steps: int, loop: Loop, peer: str, goal: float | None
) -> BenchRow:
    return BenchRow(
        name=name,
        what="an expert at `small`: data, draws, steps, average, log and checkpoints",
        peer=versioned("torch", f"{peer}: the same data, draws, steps and average"),
        ratio=TimeRatio(goal),
        unit=f"run of {steps} steps",
        shapes=_shapes(expert(scale, steps)),
        precision="fp32",
        prepare=partial(_sides, scale, steps, loop),
    )


PLAIN = "a bare loop of the plain network, without what makes ours faster"
LIGHTNING = Bench(
    name="lightning",
    title="A whole Lightning run against a bare loop",
    rows=(
        _row("small-step", SCALES["small"], STEPS, bare, PLAIN, 1.1),
        _row("small-video-step", VIDEO_SCALES["small"], VIDEO_STEPS, bare, PLAIN, 1.1),
        _row(
            "small-step-together",
            SCALES["small"],
            STEPS,
            together,
            "a bare loop of ours, without Lightning, log and checkpoints",
            None,
        ),
    ),
    notes=(
        f"{versioned('lightning')}. Weights are compared after {AGREED} steps.",
        "The plain network's loop lacks what ours trains through: a stack of one network, whose "
        "parameters are views of one flat row that is clipped, stepped and averaged whole, and "
        "captions that rows share, read once. So its ratio is what Lightning costs less what these "
        "save; an MMDiT has the flat row alone. It averages all tensors in one call.",
        "The loop of ours has all of them: what Lightning costs, its log and checkpoints included, "
        "is the ratio of `small-step-together`.",
    ),
)
