"""Top-2 of K experts against one expert, every expert, the router, and Top-2 of fewer.

Rows are spread evenly among the experts by a posterior that is given, where the router's own time
is no part of the row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from experiments.bench.dit_steps import shape_of
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import batch, versioned
from experiments.bench.ratios import TimeRatio
from modules.blocks import AdaLN, Size
from modules.dit import DiT, S
from modules.ensemble import Ensemble, Posterior, counting
from modules.expert import Expert
from modules.guidance import Field
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


def answers(field: Field, asked: Asked) -> Tensor:
    with torch.no_grad():
        return field(asked.x, asked.t, asked.c)


def _asking(field: Field, asked: Asked) -> Side:
    return Side(partial(answers, field, asked))


def masked(field: Ensemble) -> Field:
    """The naive row: every expert asked about every sample, then weighted, mostly by zero."""

    def every(x: Tensor, t: Tensor, c: Text | None) -> Tensor:
        w = field.weights(x, t, c)
        each = [expert.velocity(x, t, c) for expert in field.experts]
        return sum((expand(w[:, i], u) * u for i, u in enumerate(each)), torch.zeros_like(x))

    return every


def evaluations(field: Ensemble, ask: Callable[[], Tensor]) -> int:
    """Single-sample evaluations of the field's experts in one answer, which `ask` asks for."""
    networks = [expert.network for expert in field.experts]
    with counting([n for n in networks if isinstance(n, torch.nn.Module)]) as count:
        ask()
        return count()


def _against_one(room: Room) -> TwoSides:
    top = ensemble(shape_of(S), K, Top(2))
    one = Ensemble(top.experts, top.router, Only(0))
    asked = Asked.of(shape_of(S), ROWS)
    counted = (
        evaluations(top, partial(answers, top, asked)),
        evaluations(one, partial(answers, one, asked)),
    )

    def alike(_: Tensor, __: Tensor) -> Sequence[Alike]:
        return (Alike("evaluations, halved in Top-2", counted[0] / 2, counted[1]),)

    return TwoSides(_asking(top, asked), _asking(one, asked), alike)


def _against_every(room: Room) -> TwoSides:
    top = ensemble(shape_of(S), K, Top(2))
    asked = Asked.of(shape_of(S), ROWS)

    def alike(ours: Tensor, naive: Tensor) -> Sequence[Alike]:
        scale = naive.norm().item()
        return (Alike("u, but for", scale + (ours - naive).norm().item(), scale, 1e-5),)

    return TwoSides(_asking(top, asked), _asking(masked(top), asked), alike)


def _routing(room: Room) -> TwoSides:
    shape = shape_of(S)
    torch.manual_seed(0)
    trunk = DiT(S, shape.image, shape.channels, shape.patch, AdaLN.ZERO, text=None)
    network = RouterNetwork(trunk, K, None).eval()
    for drawn in network.head[-1].parameters():
        torch.nn.init.normal_(drawn, std=0.1)  # or all rows would go to the same two experts

    def router(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        return network(x, t, c).softmax(1)

    field, asked = ensemble(shape, K, Top(2), router), Asked.of(shape, ROWS)
    count = evaluations(field, partial(answers, field, asked))

    def alike(p: Tensor, u: Tensor) -> Sequence[Alike]:
        return (
            Alike("samples routed and evaluated twice", 2 * len(p), count),
            Alike("blocks of router and expert", S.depth, len(network.trunk.blocks)),
        )

    return TwoSides(_asking(router, asked), _asking(field, asked), alike)


def _among(k: int, fewer: int, room: Room) -> TwoSides:
    many, few = (ensemble(SMALLER_SHAPE, n, Top(2)) for n in (k, fewer))
    asked = Asked.of(SMALLER_SHAPE, MANY)
    counted = (
        evaluations(many, partial(answers, many, asked)),
        evaluations(few, partial(answers, few, asked)),
    )

    def alike(_: Tensor, __: Tensor) -> Sequence[Alike]:
        return (Alike("evaluations", counted[0], counted[1]),)

    return TwoSides(_asking(many, asked), _asking(few, asked), alike)


STEP = "one evaluation of the field, fp32, no gradients"
LARGE = f"DiT S/2, 256 tokens, 77 text tokens of 768, batch {ROWS}"
SMALL = f"DiT {SMALLER.width} wide, {SMALLER.depth} deep, 64 tokens, 77 text tokens, batch {MANY}"


def _row(
    name: str, what: str, peer: str, ratio: TimeRatio, shapes: str, prepare: partial
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
    ),
    notes=(f"Ours on both sides: {versioned('torch')}. Rows are spread evenly among the experts.",),
)
