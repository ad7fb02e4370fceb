"""A training step of XL/2 on the device, as a share of its stated peak: model FLOP utilisation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.bench.gpu.device import Place
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import counted_flops, training_flops, versioned
from experiments.bench.ratios import Clock, RateRatio, Ratio, Timed
from modules.dit import DiTNetwork

BATCH, STEPS, SIDE = 128, 10, 8192
GOAL = 0.55


@dataclass(frozen=True)
class ShareOfPeak:
    """FLOP/s of ours over a stated peak; the goal is the least of it."""

    peak: float
    goal: float | None
    title = "model FLOP/s / the device's stated peak"

    def of(self, ours: Timed, peer: Timed, clock: Clock) -> float:
        return ours.amount / ours.seconds(clock) / self.peak

    def met(self, ratio: float) -> bool | None:
        return None if self.goal is None else ratio >= self.goal


def training_steps(place: Place, network: DiTNetwork, n: int, count: int) -> Callable[[], Tensor]:
    """`count` steps of n samples: bf16 autocast, clipping, fused AdamW; nothing waits in between.

    Returns the last loss, on the device.
    """
    x, t, c, target = place.asked(n)
    weights = list(network.parameters())
    optimizer = torch.optim.AdamW(weights, 1e-4, fused=True)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(place.device.type, torch.bfloat16):
            loss = F.mse_loss(network(x, t, c).float(), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0, foreach=True)
        optimizer.step()
        return loss.detach()

    def steps() -> Tensor:
        last = [step() for _ in range(count)][-1]
        place.settle()
        return last

    return steps


def products(place: Place, side: int, count: int) -> Callable[[], Tensor]:
    """`count` matrix products [side, side] in bfloat16."""
    a, b = (torch.randn(side, side, device=place.device).bfloat16() for _ in range(2))

    def run() -> Tensor:
        last = [a @ b for _ in range(count)][-1]
        place.settle()
        return last

    return run


def _sides(place: Place, room: Room) -> TwoSides:
    shape, n, side = place.shape, place.amount(BATCH, 2), place.amount(SIDE, 64)
    torch.manual_seed(0)
    network = shape.build()
    place.put(network)
    network.trunk.checkpoint(place.checkpointing)
    if place.is_cuda:
        network.trunk.compile_blocks()
    blank, count = shape.build(), room.amount(STEPS, 1)
    flops = training_flops(blank, blank, shape, n)
    product = counted_flops(products(place, side, 1))

    def alike(loss: Tensor, _: Tensor) -> Sequence[Alike]:
        finite = float(torch.isfinite(loss))
        return (
            Alike("FLOPs of the matrix product", product, 2 * side**3),
            Alike("losses that are finite", finite, 1),
        )

    return TwoSides(
        Side(training_steps(place, network, n, count), count * flops),
        Side(products(place, side, count), count * product),
        alike,
    )


def training(place: Place) -> Bench:
    """The rows of training on a device."""
    ratio: Ratio = RateRatio(None) if place.peak is None else ShareOfPeak(place.peak, GOAL)
    again = ", blocks run again" if place.checkpointing else ""
    batch = place.amount(BATCH, 2)
    return Bench(
        name="gpu-training",
        title="A training step of DiT XL/2 on a GPU",
        rows=(
            BenchRow(
                name="gpu-xl2-step",
                what="training steps: forward, backward, clipping, AdamW (fused), compiled by "
                f"block{again}",
                peer=versioned("torch", f"matrix product [{SIDE}, {SIDE}] @ [{SIDE}, {SIDE}]"),
                ratio=ratio,
                unit="FLOP",
                shapes=f"{place.shape.size}, {place.shape.tokens} tokens, batch {batch}",
                precision="bf16 autocast, weights and moments float32",
                prepare=partial(_sides, place),
                clock=Clock.WALL,
            ),
        ),
        notes=(
            "Model FLOPs: matrix products and convolutions, forward and backward, a multiply-add "
            "being 2, attention's included, counted by torch's FlopCounterMode. Blocks that are "
            "run again, AdamW and clipping are not counted.",
            *place.notes(),
        ),
    )
