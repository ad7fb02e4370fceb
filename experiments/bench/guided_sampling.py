"""Sampling with one network, 50 guided Euler steps, against diffusers' own loop and PixArt."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from experiments.bench.dit_steps import shape_of
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import asked, batch, pixart, trained_numbers, versioned
from experiments.bench.ratios import RateRatio
from modules.dit import S
from modules.ensemble import Ensemble, Uniform
from modules.expert import Expert
from modules.objectives import Velocity
from modules.sampling import Field
from modules.schedules import Linear
from modules.selection import Only
from modules.solvers import Euler
from modules.text import Text

STEPS, SCALE, PICTURES = 50, 7.5, 2


def _nothing_fresh(step: int) -> Tensor:
    raise AssertionError("Euler's steps add no noise")


def ours(network: Any, x: Tensor, c: Text, steps: int) -> Tensor:
    """Samples [B, C, H, W] from noise x, as the suite draws them."""
    one = Ensemble([Expert(network, Velocity(), Linear())], Uniform(1), Only(0))
    with torch.no_grad():
        return Euler().draw(one, c, SCALE, x, steps, _nothing_fresh)


def scheduled(field: Field, x: Tensor, steps: int) -> Tensor:
    """diffusers' loop over a field u(x, t), on the grid of equal steps from 1 to 0."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    scheduler: Any = FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1.0 / steps, steps))
    for time in scheduler.timesteps:
        t = (time / scheduler.config.num_train_timesteps).expand(len(x)).to(x)
        x = scheduler.step(field(x, t), time, x, return_dict=False)[0]
    return x


def theirs(network: nn.Module, x: Tensor, c: Text, null: Tensor, steps: int) -> Tensor:
    """The loop of diffusers' pipelines: both halves of guidance in one call, then the step."""
    both = Text.of(torch.cat([null, c.tokens]), torch.cat([c.pooled, c.pooled]))

    def guided(x: Tensor, t: Tensor) -> Tensor:
        without, given = asked(network, torch.cat([x, x]), torch.cat([t, t]), both).chunk(2)
        return without + SCALE * (given - without)

    with torch.no_grad():
        return scheduled(guided, x, steps)


class RowCounter:
    """Counts the samples that a network was asked about."""

    def __init__(self, network: nn.Module) -> None:
        self.seen = 0
        network.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, network: nn.Module, inputs: tuple[Any, ...], named: Any) -> None:
        self.seen += len(inputs[0])


def same_solver(steps: int) -> Alike:
    """Both solvers over one nonlinear field, at a point of the answer."""
    x = torch.tensor([[[[1.5]]]])
    end = scheduled(lambda x, t: torch.sin(x) + t, x, steps)
    constant: Any = lambda x, t, c=None: torch.sin(x) + t[:, None, None, None]  # noqa: E731
    one = Ensemble([Expert(constant, Velocity(), Linear())], Uniform(1), Only(0))
    answer = Euler().draw(one, None, 1.0, x, steps, _nothing_fresh)
    return Alike("an answer of both solvers for one field", answer.item(), end.item(), 1e-4)


def _sides(room: Room) -> TwoSides:
    shape, steps = shape_of(S), room.amount(STEPS, 2)
    torch.manual_seed(0)
    networks = shape.build().eval(), pixart(shape).eval()
    rows = [RowCounter(network) for network in networks]
    numbers = [trained_numbers(network) for network in networks]
    x, _, c, _ = batch(shape, PICTURES)
    solver = same_solver(steps)

    def alike(drawn: Tensor, other: Tensor) -> Sequence[Alike]:
        return (
            Alike("parameters", numbers[0], numbers[1], 0.02),
            Alike("evaluations of a sample", rows[0].seen, rows[1].seen),
            Alike("numbers drawn", drawn.numel(), other.numel()),
            solver,
        )

    return TwoSides(
        Side(partial(ours, networks[0], x, c, steps), PICTURES),
        Side(partial(theirs, networks[1], x, c, torch.zeros_like(c.tokens), steps), PICTURES),
        alike,
    )


SAMPLING = Bench(
    name="sampling",
    title="Guided sampling with one network",
    rows=(
        BenchRow(
            name="sampling-euler",
            what=f"{STEPS} Euler steps with guidance {SCALE:g}",
            peer=versioned(
                "diffusers", "FlowMatchEulerDiscreteScheduler over PixArtTransformer2DModel"
            ),
            ratio=RateRatio(1.5),
            unit="picture",
            shapes=f"DiT S/2, 256 tokens, 77 text tokens of 768, {PICTURES} pictures at once",
            precision="fp32",
            prepare=_sides,
        ),
    ),
)
