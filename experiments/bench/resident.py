"""Peak memory of Top-2 as the number of experts grows, their weights resident or mapped."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

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
    spread_evenly,
)
from experiments.measures.clustering import WATCH, anonymous
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.objectives import Velocity
from modules.schedules import Linear
from modules.selection import Top
from modules.weights.checkpoint import load_weights, map_weights, save_weights

FEW, SOME = 2, 12
BESIDE = 100_000_000
"""Bytes that more than a few experts hold beside their weights, about: each is asked few rows."""


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


def _begun() -> int:
    """This process, everything imported and one small answer given."""
    torch.set_num_threads(1)
    answers(ensemble(SMALLER_SHAPE, 2, Top(2)), Asked.of(SMALLER_SHAPE, 2))
    return os.getpid()


def _ask(kept: Kept, paths: Sequence[Path]) -> None:
    """Load all experts and ask Top-2 of them once."""
    experts = [loaded(path, kept.mapped) for path in paths]
    answers(Ensemble(experts, spread_evenly(kept.k), Top(2)), Asked.of(SMALLER_SHAPE, MANY))


def held(kept: Kept, paths: Sequence[Path]) -> int:
    """Bytes that a process which does nothing else held at most, beyond those of its imports.

    What a file backs is not counted: the kernel drops such pages when it needs them.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        pid = pool.submit(_begun).result()
        start = most = anonymous(pid)
        running = pool.submit(_ask, kept, paths)
        while not running.done():
            most = max(most, anonymous(pid))
            wait([running], timeout=WATCH)
        running.result()
    return most - start


def _bounds(kept: Kept, bytes_: int, weights: int) -> tuple[Alike, ...]:
    """How little resident weights can take, or how much mapped ones: half of what they would
    resident. Those of a few experts would not show beside the activations."""
    if not kept.mapped:
        return (
            Alike(f"bytes, at least the weights': {kept}", min(bytes_, weights), weights, 0.02),
        )
    if kept.k <= FEW:
        return ()
    most = weights // 2 + BESIDE
    return (
        Alike(f"bytes, at most half the weights' and {BESIDE:,}: {kept}", max(bytes_, most), most),
    )


def _sides(ours: Kept, peer: Kept, room: Room) -> TwoSides:
    weights = 4 * trained_numbers(SMALLER_SHAPE.build())
    paths = written(room.folder, max(ours.k, peer.k))

    def alike(our_bytes: int, their_bytes: int) -> Sequence[Alike]:
        each = ((ours, our_bytes), (peer, their_bytes))
        return tuple(x for kept, bytes_ in each for x in _bounds(kept, bytes_, weights * kept.k))

    sides = [Side(partial(held, kept, paths[: kept.k])) for kept in (ours, peer)]
    return TwoSides(sides[0], sides[1], alike)


def _row(name: str, ours: Kept, peer: Kept) -> BenchRow:
    return BenchRow(
        name=name,
        what=str(ours),
        peer=str(peer),
        ratio=MemoryRatio(None),
        unit=STEP,
        shapes=SMALL,
        precision="fp32",
        prepare=partial(_sides, ours, peer),
    )


MEMORY = Bench(
    name="top2-memory",
    title="Peak memory of Top-2",
    rows=(
        _row("top2-memory-of-64", Kept(64), Kept(FEW)),
        *(
            _row(f"top2-mapped-of-{k}", Kept(k, mapped=True), Kept(FEW, mapped=True))
            for k in (8, 64)
        ),
        _row("top2-mapped", Kept(SOME, mapped=True), Kept(SOME)),
    ),
    notes=(
        f"Ours on both sides: {versioned('torch')}. By how much the memory that no file backs grew "
        f"at most, weights loaded and all experts asked once; seen every {1000 * WATCH:g} ms.",
        "Mapped weights are pages of their files, which the kernel drops when it needs the room. "
        "What is held then are activations, and of K experts each is asked fewer rows at a time. "
        "A count that leaves those pages out has no goal: it would be met by construction.",
    ),
)
