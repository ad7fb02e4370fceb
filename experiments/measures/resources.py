"""What a recipe costs, computed from its networks: parameters, FLOPs, memory, pictures, seconds.

Networks are built without memory: on the meta device for FLOPs, of fake tensors for bytes. A
multiply-add is 2 FLOPs; what is neither a matrix product nor a convolution counts nothing.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context
from experiments.scores.score import Score
from experiments.stages.corpus import Shards
from experiments.stages.experts import TrainExpert, TrainRouter
from modules.blocks import AdaLN
from modules.dit import XL, B, DiT, TextShape, count_parameters
from modules.mmdit import MMDiT
from modules.routing import RouterNetwork
from modules.text import Text
from modules.training import Optim, half

A40, A100 = 149.7e12, 312e12
"""Peak FLOP/s of dense float16 matrix products, from the vendor's data sheets."""
DAY, GB = 86_400, 1e9


class NumberFormat(Enum):
    """float32 throughout, or float16 autocast over float32 weights (HDDM, §6.2)."""

    SINGLE = "float32"
    MIXED = "float16"


def _precision(optim: Optim) -> NumberFormat:
    """bfloat16 is as wide as float16. The names of the paper's recipe are in keys: they stay."""
    return NumberFormat.SINGLE if half(optim.precision) is None else NumberFormat.MIXED


@dataclass(frozen=True)
class Recipe:
    """Training of K experts and a router. batch: of one expert; router_samples: seen by the router.

    pooled: width of the caption vector that the router reads, None for none.  pictures: in the
    training split.  averaged: whether an EMA of the weights is kept.
    """

    expert: DiT | MMDiT
    experts: int
    steps: int
    batch: int
    router: DiT
    pooled: int | None
    router_samples: int
    pictures: int
    precision: NumberFormat
    averaged: bool = True

    @classmethod
    def of(cls, experts: tuple[TrainExpert, ...], router: TrainRouter, pictures: int) -> "Recipe":
        """The recipe that stages of this suite train by, all experts by the same one."""
        one, data, asked = experts[0], router.shards, router.optim
        return cls(
            expert=one.network,
            experts=len(experts),
            steps=one.optim.steps,
            batch=one.optim.batch * one.optim.accumulate,
            router=router.network,
            pooled=data.text.pooled if router.reads_text else None,
            router_samples=asked.steps * asked.batch * asked.accumulate,
            pictures=pictures,
            precision=_precision(one.optim),
            averaged=one.optim.ema is not None,
        )


HDDM_XL = Recipe(
    expert=DiT(XL),
    experts=8,
    steps=500_000,
    batch=128,
    router=DiT(B, adaln=AdaLN.ZERO, text=None),
    pooled=None,
    router_samples=25 * 11_000_000,
    pictures=11_000_000,
    precision=NumberFormat.MIXED,
)
"""The recipe behind Table 2, as §6.2 and §6.3 print it; 25 epochs of the router, 11M pictures."""


def _blank(shape: DiT | MMDiT, batch: int, pooled: int | None) -> tuple[Tensor, Tensor, Text]:
    """(x_t, t, c) of the sizes that the network reads; their values do not matter."""
    text = shape.text or TextShape(1, 1, pooled or 1)
    x = torch.empty(batch, *shape.latent)
    tokens, summary = torch.empty(batch, text.length, text.width), torch.empty(batch, text.pooled)
    return x, torch.empty(batch), Text(tokens, summary, torch.empty(batch, dtype=torch.bool))


def _built(shape: DiT | MMDiT) -> nn.Module:
    """An expert of this shape; of a DiT over video, which is a router's trunk alone, a router."""
    if isinstance(shape, DiT) and shape.frames is not None:
        return RouterNetwork(shape, 2, None)
    return shape.build()


def _flops(build: Callable[[], nn.Module], shape: DiT | MMDiT, pooled: int | None = None) -> int:
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        build()(*_blank(shape, 1, pooled)).square().mean().backward()
    return counter.get_total_flops()


@functools.cache
def expert_flops(shape: DiT | MMDiT) -> int:
    """FLOPs of one training sample of an expert, forward and backward."""
    return _flops(shape.build, shape)


@functools.cache
def router_flops(shape: DiT, experts: int, pooled: int | None, frame: int | None = None) -> int:
    """FLOPs of one training sample, both ways; frame: width of a first frame's feature."""
    return _flops(lambda: RouterNetwork(shape, experts, pooled, frame), shape, pooled)


@functools.cache
def parameters(shape: DiT | MMDiT) -> int:
    """Parameters of an expert, counted as the papers do."""
    with torch.device("meta"):
        return count_parameters(_built(shape))


@functools.cache
def static_bytes(shape: DiT | MMDiT, averaged: bool = True) -> int:
    """float32 weights, gradients, Adam's two moments and, if so, an average: under autocast too."""
    with torch.device("meta"):
        trained = sum(p.numel() for p in _built(shape).parameters())
    return 4 * trained * (5 if averaged else 4)


@functools.cache
def saved_bytes(shape: DiT | MMDiT, batch: int, precision: NumberFormat) -> int:
    """Bytes that autograd keeps for the backward pass of one batch, beside the weights themselves.

    Attention's fused kernel keeps no scores; autocast's float16 copies of the weights are kept.
    """
    kept: dict[int, Tensor] = {}  # by storage, held so that none is counted twice

    def pack(tensor: Tensor) -> Tensor:
        return kept.setdefault(tensor.untyped_storage()._cdata, tensor)

    mixed = precision is NumberFormat.MIXED
    with FakeTensorMode(), torch.autocast("cpu", torch.float16, enabled=mixed):
        network = _built(shape)
        own = [*network.parameters(), *network.buffers()]
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            network(*_blank(shape, batch, None)).float().square().mean()
        for tensor in own:
            kept.pop(tensor.untyped_storage()._cdata, None)
        return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def checkpointed_bytes(shape: DiT | MMDiT, batch: int, precision: NumberFormat) -> int:
    """The same where each block keeps its float32 input alone and is run again going backward.

    One block's own activations are then there at a time, and what lies outside the blocks.
    """
    more = shape.tokens_past_shallowest() * 4 * batch * shape.size.width
    return saved_bytes(shape.shallowest(), batch, precision) + more


def largest_batch(shape: DiT | MMDiT, room: float, precision: NumberFormat) -> int:
    """The largest batch whose static memory and kept activations fit into `room` bytes, or 0."""
    one, two = (saved_bytes(shape, batch, precision) for batch in (1, 2))
    left = room - static_bytes(shape) - one
    return 1 + int(left // (two - one)) if left >= 0 else 0


def training_flops(recipe: Recipe) -> tuple[float, float]:
    """FLOPs of training all experts, and of training the router."""
    samples = recipe.steps * recipe.batch * recipe.experts
    router = router_flops(recipe.router, recipe.experts, recipe.pooled)
    return float(samples * expert_flops(recipe.expert)), float(recipe.router_samples * router)


def utilisation(flops: float, days: float, peak: float) -> float:
    """The share of `peak` FLOP/s that does `flops` in `days` of one device."""
    return flops / (days * DAY * peak)


def resources(recipe: Recipe) -> dict[str, float]:
    """What the recipe costs, by name: counts, FLOPs, bytes."""
    experts, router = training_flops(recipe)
    samples = recipe.steps * recipe.batch * recipe.experts
    return {
        "parameters": parameters(recipe.expert),
        "sample_flops": expert_flops(recipe.expert),
        "expert_flops": experts,
        "flops": experts + router,
        "router_share": router / (experts + router),
        "static": static_bytes(recipe.expert, recipe.averaged),
        "activations": saved_bytes(recipe.expert, recipe.batch, recipe.precision),
        "checkpointed": checkpointed_bytes(recipe.expert, recipe.batch, recipe.precision),
        "pictures": recipe.pictures,
        "seen": samples,
        "epochs": samples / recipe.pictures,
    }


@dataclass(frozen=True)
class Computed(Measurement):
    """measured.json: what a recipe costs, nothing of it run."""

    recipe: Recipe

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        return resources(self.recipe)


@dataclass(frozen=True)
class Spent(Measurement):
    """measured.json: what the recipe of trained stages costs, what it took, and its score.

    core_seconds: of all experts; router_seconds: of the router; as the store has them, hence the
    same whenever it is asked again: seconds of workers of one thread, a stack's in even shares.
    """

    experts: tuple[TrainExpert, ...]
    router: TrainRouter
    score: Score

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        store = context.store
        pictures = Shards.of(self.router.shards).pictures(store)
        seconds = [store.provenance(stage)["seconds"] for stage in self.experts]
        return {
            **resources(Recipe.of(self.experts, self.router, pictures)),
            "fid": self.score.read(store)["fid"],
            "expert_seconds": sum(seconds) / len(seconds),
            "core_seconds": sum(seconds),
            "router_seconds": store.provenance(self.router)["seconds"],
        }
