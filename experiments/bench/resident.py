"""The least memory of Top-2 as the number of experts grows, their weights resident or mapped."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from experiments.bench.commands.limits import Groups, forget, least
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import trained_numbers, versioned
from experiments.bench.ratios import MemoryRatio
from experiments.bench.top2 import (
    MANY,
    SMALL,
    SMALLER_SHAPE,
    STEP,
    Asked,
    answers,
    ensemble,
    evaluations,
    spread_evenly,
)
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.objectives import Velocity
from modules.schedules import Linear
from modules.selection import Top
from modules.weights.checkpoint import load_weights, map_weights, save_weights

FEW, SOME = 2, 12
PAIRS = 3
FLAT = 1.1
"""What is called flat in K."""
PLENTY, STEP_BYTES = 1 << 30, 4 << 20
"""Bytes beside the weights that are more than enough; how finely the least limit is told."""


@dataclass(frozen=True)
class Kept:
    """K experts, all of them asked; mapped: whether their weights lie in their files."""

    k: int
    mapped: bool = False

    def __str__(self) -> str:
        return f"Top-2 of {self.k}, weights {'mapped' if self.mapped else 'resident'}"


def written(folder: Path, k: int) -> list[Path]:
    """The weights of k experts, each in its own file."""
    paths = [folder / f"expert-{i}.safetensors" for i in range(k)]
    for i, path in enumerate(paths):
        if not path.exists():
            torch.manual_seed(i)
            save_weights(SMALLER_SHAPE.build(), path)
    return paths


def loaded(path: Path, mapped: bool) -> Expert:
    """The expert of a file, its weights read or mapped."""
    with torch.device("meta"):
        network = SMALLER_SHAPE.build()
    if mapped:
        map_weights(network, path)
    else:
        network.to_empty(device="cpu")
        load_weights(network, path)
    return Expert(network.eval().requires_grad_(False), Velocity(), Linear())


def field(kept: Kept, paths: Sequence[Path]) -> Ensemble:
    """Top-2 of experts from their files."""
    experts = [loaded(path, kept.mapped) for path in paths]
    return Ensemble(experts, spread_evenly(kept.k), Top(2))


def _ask(kept: Kept, paths: Sequence[Path]) -> None:
    """Load all experts and ask Top-2 of them once; the files' pages are this process's own."""
    forget(paths)
    answers(field(kept, paths), Asked.of(SMALLER_SHAPE, MANY))


def _least(kept: Kept, paths: Sequence[Path], weights: int) -> int:
    """Everything is imported, and one small answer given, before the first fork."""
    torch.set_num_threads(1)
    answers(ensemble(SMALLER_SHAPE, 2, Top(2)), Asked.of(SMALLER_SHAPE, 2))
    return least(partial(_ask, kept, paths), weights + PLENTY, STEP_BYTES, Groups.here())


def held(kept: Kept, paths: Sequence[Path], weights: int) -> int:
    """The least bytes, beyond what its imports hold, that a process needs to do nothing else.

    weights: bytes of all experts', resident.  RefusedError where no limit can be set.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_least, kept, paths, weights).result()


def _sides(ours: Kept, peer: Kept, room: Room) -> TwoSides:
    weights = 4 * trained_numbers(SMALLER_SHAPE.build())
    paths = written(room.folder, max(ours.k, peer.k))
    asked = Asked.of(SMALLER_SHAPE, MANY)
    counted = list[int]()
    for kept in (ours, peer):
        both = field(kept, paths[: kept.k])
        counted.append(evaluations(both, partial(answers, both, asked)))

    def alike(our_bytes: int, their_bytes: int) -> Sequence[Alike]:
        each = ((ours, our_bytes), (peer, their_bytes))
        resident = tuple(
            Alike(f"bytes, at least the weights': {kept}", min(bytes_, all_of_it), all_of_it)
            for kept, bytes_ in each
            if not kept.mapped and (all_of_it := kept.k * weights)
        )
        return (Alike("evaluations", *counted), *resident)

    sides = [Side(partial(held, kept, paths[: kept.k], kept.k * weights)) for kept in (ours, peer)]
    return TwoSides(sides[0], sides[1], alike)


def _row(name: str, ours: Kept, peer: Kept, goal: float | None = None) -> BenchRow:
    return BenchRow(
        name=name,
        what=str(ours),
        peer=str(peer),
        ratio=MemoryRatio(goal),
        unit=STEP,
        shapes=SMALL,
        precision="fp32",
        prepare=partial(_sides, ours, peer),
        most_pairs=PAIRS,
        warm_up=False,
    )


MEMORY = Bench(
    name="top2-memory",
    title="Least memory of Top-2",
    rows=(
        _row("top2-memory-of-64", Kept(64), Kept(FEW)),
        *(
            _row(f"top2-mapped-of-{k}", Kept(k, mapped=True), Kept(FEW, mapped=True), FLAT)
            for k in (8, 64)
        ),
        _row("top2-mapped", Kept(SOME, mapped=True), Kept(SOME)),
    ),
    notes=(
        f"Ours on both sides: {versioned('torch')}. The least limit, to {STEP_BYTES >> 20} MiB, in "
        "which a fork of a process that has imported everything loads all experts and asks them "
        "once: it is not killed, and takes at most twice the seconds that it takes in plenty. "
        "Pages of files count, and the files' are dropped from the page cache before.",
        "Mapped weights are such pages, which the kernel drops when it needs the room. What must "
        "be held are activations, and of K experts each is asked fewer rows at a time.",
    ),
)
