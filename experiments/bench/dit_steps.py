"""A training step of a DiT, forward, backward and AdamW, against diffusers' PixArt.

And against the rate of one large matrix product of the same precision: what the machine can do.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import (
    CHANNELS,
    IMAGE,
    PATCH,
    Predict,
    asked,
    batch,
    counted_flops,
    pixart,
    trained_numbers,
    training_flops,
    versioned,
)
from experiments.bench.ratios import RateRatio
from modules.blocks import Size
from modules.dit import B, DiT, S
from modules.training import Precision

BATCH, SIDE = 8, 2048


def shape_of(size: Size) -> DiT:
    """A DiT of 256 tokens that reads captions of CLIP's size."""
    return DiT(size, IMAGE, CHANNELS, PATCH)


def training_step(
    network: nn.Module, predict: Predict, shape: DiT, precision: Precision
) -> Callable[[], float]:
    """A step of the network under AdamW; returns the loss before it."""
    x, t, c, target = batch(shape, BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is Precision.BF16):
            loss = F.mse_loss(predict(x, t, c).float(), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def _untrained(loss: float, shape: DiT) -> Alike:
    """Ours begins with a head of zeros: its first loss is that of the answer 0."""
    target = batch(shape, BATCH)[3]
    return Alike("loss, untrained, and of the answer 0", loss, target.square().mean().item(), 1e-5)


def _lowered(*sides: tuple[float, Callable[[], float]]) -> Alike:
    """Of (the loss before its step, a further step), untimed: each has learned."""
    fell = sum(step() < before for before, step in sides)
    return Alike("losses that a step lowered", fell, len(sides))


def _both(size: Size, precision: Precision, compiled: bool, room: Room) -> TwoSides:
    """compiled: the peer's blocks too, by diffusers' own way."""
    shape = shape_of(size)
    torch.manual_seed(0)
    networks = shape.build(), pixart(shape)
    networks[0].trunk.compile_blocks()
    if compiled:
        for block in networks[1].get_submodule("transformer_blocks").children():
            block.compile()
    predicts: tuple[Predict, Predict] = (networks[0], partial(asked, networks[1]))
    ours, peer = (
        training_step(network, predict, shape, precision)
        for network, predict in zip(networks, predicts, strict=True)
    )
    numbers = [trained_numbers(network) for network in networks]
    blank, theirs = shape.build(), pixart(shape)
    flops = [
        training_flops(blank, blank, shape, BATCH),
        training_flops(theirs, partial(asked, theirs), shape, BATCH),
    ]

    def alike(our_loss: float, their_loss: float) -> Sequence[Alike]:
        return (
            Alike("trained parameters", numbers[0], numbers[1], 0.02),
            Alike("FLOPs a step", flops[0], flops[1], 0.02),
            _untrained(our_loss, shape),
            _lowered((our_loss, ours), (their_loss, peer)),
        )

    return TwoSides(Side(ours), Side(peer), alike)


def _ceiling(size: Size, precision: Precision, room: Room) -> TwoSides:
    shape = shape_of(size)
    torch.manual_seed(0)
    network = shape.build()
    network.trunk.compile_blocks()
    step = training_step(network, network, shape, precision)
    kind = torch.bfloat16 if precision is Precision.BF16 else torch.float32
    a, b = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))

    def product() -> float:
        return float((a @ b)[0, 0])

    blank = shape.build()
    ours, peer = training_flops(blank, blank, shape, BATCH), counted_flops(product)

    def alike(loss: float, _: float) -> Sequence[Alike]:
        return (
            Alike("FLOPs of the matrix product", peer, 2 * SIDE**3),
            _untrained(loss, shape),
            _lowered((loss, step)),
        )

    # As long a timing as a step's, or the product's would be noise.
    turns = max(1, round(ours / peer))

    def products() -> float:
        return [product() for _ in range(turns)][-1]

    return TwoSides(Side(step, ours), Side(products, turns * peer), alike)


def _rows(name: str, size: Size, goals: dict[Precision, float | None]) -> tuple[BenchRow, ...]:
    rows: list[BenchRow] = []
    for precision, format_name in ((Precision.BF16, "bf16 autocast"), (Precision.SINGLE, "fp32")):
        short = f"{name.lower()}2-{'bf16' if precision is Precision.BF16 else 'fp32'}"
        row = partial(
            BenchRow,
            what="training step with compiled blocks: forward, backward, AdamW (fused)",
            shapes=f"DiT {name}/2, 256 tokens, 77 text tokens of 768, batch {BATCH}",
            precision=format_name,
        )
        peer = versioned("diffusers", "PixArtTransformer2DModel")
        square = versioned("torch", f"matrix product [{SIDE}, {SIDE}] @ [{SIDE}, {SIDE}]")
        rows += [
            row(
                name=f"{short}-pixart",
                peer=f"{peer}, as it comes",
                ratio=RateRatio(goals[precision]),
                unit="step",
                prepare=partial(_both, size, precision, False),
            ),
            row(
                name=f"{short}-compiled",
                peer=f"{peer}, its blocks compiled",
                ratio=RateRatio(None),
                unit="step",
                prepare=partial(_both, size, precision, True),
            ),
            row(
                name=f"{short}-matmul",
                peer=square,
                ratio=RateRatio(0.7),
                unit="FLOP",
                prepare=partial(_ceiling, size, precision),
            ),
        ]
    return tuple(rows)


NOTES = (
    "FLOPs are those of matrix products and convolutions, a multiply-add being 2, counted by "
    "torch's FlopCounterMode, attention's included, AdamW's not.",
    "PixArt projects captions by two layers where ours has one: hence its few more parameters.",
)
SMALLER = Bench(
    name="dit-s2",
    title="Training steps of a DiT S/2",
    rows=_rows("S", S, {Precision.BF16: 1.3, Precision.SINGLE: None}),
    notes=NOTES,
)
LARGER = Bench(
    name="dit-b2",
    title="Training steps of a DiT B/2",
    rows=_rows("B", B, {Precision.BF16: 1.15, Precision.SINGLE: None}),
    notes=NOTES,
    asked_only=True,
)
