"""Sampling and Top-2 on the device: guided sampling, experts resident and off-loaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from experiments.bench import guided_sampling
from experiments.bench.gpu.device import Place
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import pixart, trained_numbers, versioned
from experiments.bench.ratios import Clock, MemoryRatio, RateRatio, Ratio, TimeRatio
from experiments.bench.top2 import evaluations, spread_evenly
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.objectives import Velocity
from modules.schedules import Linear
from modules.selection import Only, Selection, Top
from modules.text import Text
from modules.weights.offloading import Offloaded

K, ROWS, PICTURES = 8, 32, 8


def experts(place: Place, k: int, offloaded: bool) -> list[Expert]:
    """K velocity experts on the device, or brought there when they are asked."""
    made = []
    for i in range(k):
        torch.manual_seed(i)
        network = place.shape.build().eval().requires_grad_(False)
        nn.init.normal_(network.final.linear.weight, std=0.02)
        own = Offloaded(network) if offloaded else place.put(network)
        made.append(Expert(own, Velocity(), Linear()))
    return made


def mixed(made: Sequence[Expert], selection: Selection) -> Ensemble:
    """The experts under a posterior that asks each equally often."""
    even = spread_evenly(len(made))

    def router(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        return even(x, t, c).to(x.device)

    return Ensemble(made, router, selection)


def asking(place: Place, field: Ensemble, n: int) -> Callable[[], Tensor]:
    """One answer of the field for n samples, in bf16 autocast."""
    x, t, c, _ = place.asked(n)

    def ask() -> Tensor:
        with torch.no_grad(), torch.autocast(place.device.type, torch.bfloat16):
            u = field(x, t, c)
        place.settle()
        return u

    return ask


def _agree(ours: Tensor, peer: Tensor) -> Sequence[Alike]:
    size = peer.norm().item()
    return (Alike("u, but for", size + (ours - peer).norm().item(), size, 1e-3),)


def _against_one(place: Place, room: Room) -> TwoSides:
    made, n = experts(place, K, offloaded=False), place.amount(ROWS, 8)
    fields = [mixed(made, choice) for choice in (Top(2), Only(0))]
    top, one = (asking(place, field, n) for field in fields)
    counted = evaluations(fields[0], top), evaluations(fields[1], one)

    def alike(ours: Tensor, peer: Tensor) -> Sequence[Alike]:
        return (
            Alike("evaluations, halved in Top-2", counted[0] / 2, counted[1]),
            Alike("numbers drawn", ours.numel(), peer.numel()),
        )

    return TwoSides(Side(top), Side(one), alike)


def _against_resident(place: Place, room: Room) -> TwoSides:
    n = place.amount(ROWS, 8)
    both = (asking(place, mixed(experts(place, K, off), Top(2)), n) for off in (True, False))
    ours, peer = both
    return TwoSides(Side(ours), Side(peer), _agree)


def _memory(place: Place, k: int, room: Room) -> int:
    """Bytes of the device that a Top-2 of k off-loaded experts held at most."""
    start = place.begin_peak()
    asking(place, mixed(experts(place, k, offloaded=True), Top(2)), place.amount(ROWS, 8))()
    return max(1, place.peak_bytes() - start)


def off_loaded(ours: int, peer: int, weights: int) -> Sequence[Alike]:
    """Of the bytes that both held: one expert's weights were there, and not those of half of K."""
    least, most = min(ours, peer, weights), max(ours, K * weights // 2)
    return (
        Alike("bytes, at least one expert's", least, weights),
        Alike(f"bytes of ours, at most {K // 2} experts'", most, K * weights // 2),
    )


def _memories(place: Place, room: Room) -> TwoSides:
    with torch.device("meta"):
        weights = 4 * trained_numbers(place.shape.build())

    def alike(ours: int, peer: int) -> Sequence[Alike]:
        return off_loaded(ours, peer, weights) if place.is_cuda else ()

    sides = [Side(partial(_memory, place, k, room)) for k in (K, 2)]
    return TwoSides(sides[0], sides[1], alike)


def _sampling(place: Place, room: Room) -> TwoSides:
    shape, steps = place.shape, place.amount(guided_sampling.STEPS, 2)
    torch.manual_seed(0)
    networks = [place.put(network).eval() for network in (shape.build(), pixart(shape))]
    numbers = [trained_numbers(network) for network in networks]
    x, _, c, _ = place.asked(place.amount(PICTURES, 2))
    draws = (
        partial(guided_sampling.ours, networks[0], x, c, steps),
        partial(guided_sampling.theirs, networks[1], x, c, torch.zeros_like(c.tokens), steps),
    )

    def drawing(draw: Callable[[], Tensor]) -> Tensor:
        with torch.autocast(place.device.type, torch.bfloat16):
            pictures = draw()
        place.settle()
        return pictures

    def alike(ours: Tensor, peer: Tensor) -> Sequence[Alike]:
        within = 0.02 if place.is_cuda else 0.5
        return (
            Alike("parameters", numbers[0], numbers[1], within),
            Alike("numbers drawn", ours.numel(), peer.numel()),
        )

    first, second = (Side(partial(drawing, draw), len(x)) for draw in draws)
    return TwoSides(first, second, alike)


@dataclass(frozen=True)
class OnDevice:
    """A row's own part: its name, both sides, the ratio, what prepares them, and a call's work."""

    name: str
    what: str
    peer: str
    ratio: Ratio
    prepare: Callable[[Place, Room], TwoSides]
    unit: str

    def row(self, place: Place) -> BenchRow:
        return BenchRow(
            name=self.name,
            what=self.what,
            peer=self.peer,
            ratio=self.ratio,
            unit=self.unit,
            shapes=f"{place.shape.size}, {place.shape.tokens} tokens",
            precision="bf16 autocast",
            prepare=partial(self.prepare, place),
            clock=Clock.WALL,
        )


def inference(place: Place) -> tuple[Bench, Bench]:
    """The rows of sampling, and those of Top-2, on a device."""
    top, answer = f"Top-2 of {K}", f"one evaluation of {place.amount(ROWS, 8)} samples"
    sampling = OnDevice(
        "gpu-sampling",
        f"{guided_sampling.STEPS} guided Euler steps with one network",
        versioned("diffusers", "FlowMatchEulerDiscreteScheduler over PixArtTransformer2DModel"),
        RateRatio(1.5),
        _sampling,
        f"picture, {place.amount(PICTURES, 2)} at once",
    )
    one, off, memory = (
        OnDevice("gpu-top2-one", f"{top}, resident", "one expert", TimeRatio(2.1),
                 _against_one, answer),
        OnDevice("gpu-top2-offloaded", f"{top}, off-loaded", f"{top}, resident", TimeRatio(None),
                 _against_resident, answer),
        OnDevice("gpu-top2-memory", f"{top}, off-loaded", "Top-2 of 2, off-loaded",
                 MemoryRatio(1.1), _memories, answer),
    )  # fmt: skip
    even = "Rows are spread evenly among the experts by a posterior that is given."
    rows = tuple(each.row(place) for each in (one, off, memory))
    return (
        Bench("gpu-sampling", "Guided sampling on a GPU", (sampling.row(place),), place.notes()),
        Bench("gpu-top2", "Top-2 of K experts on a GPU", rows, (even, *place.notes())),
    )
