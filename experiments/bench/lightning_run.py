"""Training at `small` through the whole Lightning run, against a bare loop of the same network."""

import copy
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from datamodules.latents import Latents
from datamodules.shards import ClusterWriter
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import versioned
from experiments.bench.ratios import TimeRatio
from experiments.pipeline.stage import Context
from experiments.pipeline.store import Store
from experiments.training.fit import fit
from modules.denoising import FlowMatchingExpert
from modules.dit import XS, DiT, TextShape
from modules.training import Optim

TEXT = TextShape(length=10, width=64, pooled=64)
SHAPE = DiT(XS, image=8, channels=1, patch=4, text=TEXT, text_std=0.125)
SAMPLES, PER_SHARD = 180, 100
Weights = dict[str, Tensor]


def optim(steps: int) -> Optim:
    """An expert's recipe at `small`, over fewer steps."""
    start = steps // 10
    return Optim(steps, 32, 6e-3, warmup=start, final_lr=2e-4, ema=0.99, ema_start=start)


def module(steps: int) -> FlowMatchingExpert:
    torch.manual_seed(0)
    return FlowMatchingExpert(SHAPE, optim(steps))


def data(folder: Path, steps: int) -> Latents:
    return Latents([folder], optim(steps).batch, steps, seed=0)


def written(folder: Path) -> None:
    """A cluster as large as one of the digits': latents [1, 8, 8] and encoded captions."""
    rng = np.random.default_rng(0)
    with ClusterWriter(folder, 0, PER_SHARD) as writer:
        for i in range(SAMPLES):
            writer.write(
                {
                    "__key__": f"{i:06d}",
                    "latent.npy": rng.standard_normal(SHAPE.latent, np.float32),
                    "caption.txt": f"caption {i}",
                    "tokens.npy": rng.standard_normal((TEXT.length, TEXT.width), np.float32),
                    "pooled.npy": rng.standard_normal(TEXT.pooled, np.float32),
                }
            )


class WholeRun:
    """`fit`, each time in a folder of its own: nothing is resumed."""

    def __init__(self, folder: Path, shards: Path, steps: int) -> None:
        self.folder, self.shards, self.steps, self.runs = folder, shards, steps, 0

    def __call__(self) -> Weights:
        folder = self.folder / f"run-{self.runs}"
        folder.mkdir()
        self.runs += 1
        context = Context(Store(self.folder / "store"), device="cpu")
        fit(module(self.steps), data(self.shards, self.steps), folder, "bench", context)
        return load_file(folder / "weights.safetensors")


def bare(shards: Path, steps: int) -> Weights:
    """The same draws, loss, clipping, AdamW, schedule and average, and nothing else."""
    trained, recipe = module(steps), optim(steps)
    weights: list[Tensor] = list(trained.network.parameters())
    made: dict[str, object] = dict(recipe.configure(trained.network))  # type: ignore[arg-type]
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]  # type: ignore[index]
    average, read = copy.deepcopy(trained.network), data(shards, steps)
    averaged: list[Tensor] = list(average.parameters())
    for step, batch in enumerate(read.train_dataloader()):
        batch = read.on_after_batch_transfer(batch, 0)
        loss = trained.loss(batch["x0"], *trained.draw(batch))
        optimizer.zero_grad()  # type: ignore[attr-defined]
        loss.backward()
        nn.utils.clip_grad_norm_(weights, recipe.clip or torch.inf)
        optimizer.step()  # type: ignore[attr-defined]
        scheduler.step()
        with torch.no_grad():
            if step == recipe.ema_start:
                torch._foreach_copy_(averaged, weights)
            elif step > recipe.ema_start:
                torch._foreach_lerp_(averaged, weights, 1 - (recipe.ema or 0.0))
    return dict(average.state_dict())


def _sides(room: Room) -> TwoSides:
    steps, shards = room.amount(400, 20), room.folder / "shards"
    written(shards)

    def alike(ours: Weights, peer: Weights) -> Sequence[Alike]:
        names = [name for name in peer if name in ours]
        norms = [torch.cat([w[n].flatten() for n in names]).double() for w in (ours, peer)]
        whole = norms[1].norm().item()
        return (
            Alike("tensors of weights", len(ours), len(names)),
            Alike(
                "averaged weights, but for",
                whole + (norms[0] - norms[1]).norm().item(),
                whole,
                1e-4,
            ),
        )

    return TwoSides(
        Side(WholeRun(room.folder, shards, steps)), Side(partial(bare, shards, steps)), alike
    )


LIGHTNING = Bench(
    name="lightning",
    title="A whole Lightning run against a bare loop",
    rows=(
        BenchRow(
            name="small-step",
            what="an expert at `small`: data, draws, steps, average, log and checkpoints",
            peer=versioned("torch", "a bare loop: the same data, draws, steps and average"),
            ratio=TimeRatio(1.1),
            unit="run of 400 steps",
            shapes="DiT 64 wide, 4 deep, 4 tokens, 10 text tokens of 64, batch 32",
            precision="fp32",
            prepare=_sides,
        ),
    ),
    notes=(
        f"{versioned('lightning')}. Both end with the same averaged weights. The bare loop "
        "averages all tensors in one call.",
    ),
)
