"""Top-2 of K experts against one expert, every expert, the router, and Top-2 of fewer.

Rows are spread evenly among the experts by a posterior that is given, where the router's own time
is no part of the row.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from experiments.bench.dit_steps import shape_of
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import batch, trained_numbers, versioned
from experiments.bench.ratios import MemoryRatio, TimeRatio
from modules.blocks import AdaLN, Size
from modules.dit import DiT, S
from modules.ensemble import Ensemble, Posterior, counting
from modules.expert import Expert
from modules.objectives import Velocity
from modules.routing import RouterNetwork
from modules.schedules import Linear, expand
from modules.selection import Only, Selection, Top
from modules.text import Text

K, ROWS = 8, 8
SMALLER, SIDE, MANY = Size(256, 4, 4), 16, 64
SMALLER_SHAPE = DiT(SMALLER, SIDE)


@dataclass(frozen=True)
class Asked:
    """A question: (x [B, C, H, W], t [B], c)."""

    x: Tensor
    t: Tensor
    c: Text

    @classmethod
    def of(cls, shape: DiT, n: int) -> "Asked":
        return cls(*batch(shape, n)[:3])


def spread_evenly(experts: int) -> Posterior:
    """Row i most probably of expert i mod K, then of the next: each is asked equally often."""

    def posterior(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        first = torch.arange(len(x)) % experts
        p = torch.full((len(x), experts), 0.01)
        p[torch.arange(len(x)), first] = 3.0
        p[torch.arange(len(x)), (first + 1) % experts] = 2.0
        return p / p.sum(1, keepdim=True)

    return posterior


def ensemble(shape: DiT, k: int, selection: Selection, router: Posterior | None = None) -> Ensemble:
    """K velocity experts; head and modulation are drawn, so that no two experts answer alike."""
    experts = []
    for i in range(k):
        torch.manual_seed(i)
        network = shape.build().eval()
        torch.nn.init.normal_(network.final.linear.weight, std=0.02)
        experts.append(Expert(network.requires_grad_(False), Velocity(), Linear()))
    return Ensemble(experts, router or spread_evenly(k), selection)


def answers(field: Callable[[Tensor, Tensor, Text | None], Tensor], asked: Asked) -> Tensor:
    with torch.no_grad():
        return field(asked.x, asked.t, asked.c)


def masked(field: Ensemble) -> Callable[[Tensor, Tensor, Text | None], Tensor]:
    """The naive row: every expert asked about every sample, then weighted, mostly by zero."""

    def every(x: Tensor, t: Tensor, c: Text | None) -> Tensor:
        w = field.weights(x, t, c)
        each = [expert.velocity(x, t, c) for expert in field.experts]
        return sum((expand(w[:, i], u) * u for i, u in enumerate(each)), torch.zeros_like(x))

    return every


def evaluations(field: Ensemble, asked: Asked) -> int:
    """Single-sample evaluations of experts in one answer."""
    networks = [expert.network for expert in field.experts]
    with counting([n for n in networks if isinstance(n, torch.nn.Module)]) as count:
        answers(field, asked)
        return count()


def _against_one(room: Room) -> TwoSides:
    top = ensemble(shape_of(S), K, Top(2))
    one = Ensemble(top.experts, top.router, Only(0))
    asked = Asked.of(shape_of(S), ROWS)
    counted = evaluations(top, asked), evaluations(one, asked)

    def alike(_: Tensor, __: Tensor) -> Sequence[Alike]:
        return (Alike("evaluations, halved in Top-2", counted[0] / 2, counted[1]),)

    sides = [Side(partial(answers, field, asked)) for field in (top, one)]
    return TwoSides(*sides, alike)


def _against_every(room: Room) -> TwoSides:
    top = ensemble(shape_of(S), K, Top(2))
    asked = Asked.of(shape_of(S), ROWS)

    def alike(ours: Tensor, naive: Tensor) -> Sequence[Alike]:
        scale = naive.norm().item()
        return (Alike("u, but for", scale + (ours - naive).norm().item(), scale, 1e-5),)

    sides = [Side(partial(answers, field, asked)) for field in (top, masked(top))]
    return TwoSides(*sides, alike)


def _routing(room: Room) -> TwoSides:
    shape = shape_of(S)
    torch.manual_seed(0)
    trunk = DiT(S, shape.image, shape.channels, shape.patch, AdaLN.ZERO, text=None)
    network = RouterNetwork(trunk, K, None).eval()
    torch.nn.init.normal_(network.head[3].weight, std=0.1)

    def router(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        return network(x, t, c).softmax(1)

    field, asked = ensemble(shape, K, Top(2), router), Asked.of(shape, ROWS)
    count = evaluations(field, asked)

    def alike(p: Tensor, u: Tensor) -> Sequence[Alike]:
        return (
            Alike("samples routed and evaluated twice", 2 * len(p), count),
            Alike("blocks of router and expert", S.depth, len(network.trunk.blocks)),
        )

    return TwoSides(
        Side(partial(answers, router, asked)), Side(partial(answers, field, asked)), alike
    )


def _among(k: int, fewer: int, room: Room) -> TwoSides:
    many, few = (ensemble(SMALLER_SHAPE, n, Top(2)) for n in (k, fewer))
    asked = Asked.of(SMALLER_SHAPE, MANY)
    counted = evaluations(many, asked), evaluations(few, asked)

    def alike(_: Tensor, __: Tensor) -> Sequence[Alike]:
        return (Alike("evaluations", counted[0], counted[1]),)

    return TwoSides(*(Side(partial(answers, f, asked)) for f in (many, few)), alike)


def _kib(name: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(x.split()[1]) for x in lines if x.startswith(f"{name}:"))


def _grown(k: int) -> int:
    """Bytes by which this process's resident memory grew at most, building and asking Top-2."""
    torch.set_num_threads(1)
    before = _kib("VmRSS")
    answers(ensemble(SMALLER_SHAPE, k, Top(2)), Asked.of(SMALLER_SHAPE, MANY))
    return 1024 * (_kib("VmHWM") - before)


def _alone(k: int) -> int:
    """The same in a process that does nothing else: a peak never falls again."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(_grown, k).result()


def _memory(k: int, fewer: int, room: Room) -> TwoSides:
    numbers = trained_numbers(SMALLER_SHAPE.build())

    def alike(ours: int, peer: int) -> Sequence[Alike]:
        held = 4 * numbers * fewer  # at least the weights are there
        return (Alike("bytes at least those of the weights", min(peer, held), held),)

    return TwoSides(Side(partial(_alone, k)), Side(partial(_alone, fewer)), alike)


STEP = "one evaluation of the field, fp32, no gradients"
LARGE = f"DiT S/2, 256 tokens, 77 text tokens of 768, batch {ROWS}"
SMALL = f"DiT {SMALLER.width} wide, {SMALLER.depth} deep, 64 tokens, 77 text tokens, batch {MANY}"


def _row(
    name: str, what: str, peer: str, ratio: TimeRatio | MemoryRatio, shapes: str, prepare: partial
) -> BenchRow:
    return BenchRow(name, what, peer, ratio, STEP, shapes, "fp32", prepare)


TOP2 = Bench(
    name="top2",
    title="Top-2 of K experts",
    rows=(
        _row(
            "top2-one", f"Top-2 of {K}", "one expert", TimeRatio(2.1), LARGE, partial(_against_one)
        ),
        _row(
            "top2-naive",
            f"Top-2 of {K}",
            f"all {K} evaluated, masked",
            TimeRatio(None),
            LARGE,
            partial(_against_every),
        ),
        _row(
            "routing",
            "the router, as large as an expert",
            f"a Top-2 step of {K}, router included",
            TimeRatio(0.1),
            LARGE,
            partial(_routing),
        ),
        *(
            _row(
                f"top2-of-{k}",
                f"Top-2 of {k}",
                "Top-2 of 2",
                TimeRatio(1.5),
                SMALL,
                partial(_among, k, 2),
            )
            for k in (8, 64)
        ),
        *(
            _row(
                f"top2-memory-of-{k}",
                f"Top-2 of {k}, weights resident",
                "Top-2 of 2",
                MemoryRatio(None),
                SMALL,
                partial(_memory, k, 2),
            )
            for k in (8, 64)
        ),
    ),
    notes=(
        f"Ours on both sides: {versioned('torch')}. Rows are spread evenly among the experts.",
        "Memory: by how much a process's resident memory grew at most, networks built and asked "
        "once. Weights are resident, so that it grows with K.",
    ),
)
