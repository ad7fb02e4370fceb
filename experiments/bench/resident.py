"""Peak memory of Top-2 as the number of experts grows, their weights being resident."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import torch

from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import trained_numbers, versioned
from experiments.bench.ratios import MemoryRatio
from experiments.bench.top2 import MANY, SMALL, SMALLER_SHAPE, STEP, Asked, answers, ensemble
from modules.selection import Top


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


def grown_alone(k: int) -> int:
    """The same in a process that does nothing else: a peak never falls again."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as pool:
        return pool.submit(_grown, k).result()


def _sides(k: int, fewer: int, room: Room) -> TwoSides:
    numbers = trained_numbers(SMALLER_SHAPE.build())

    def alike(ours: int, peer: int) -> Sequence[Alike]:
        held = 4 * numbers * fewer  # at least the weights are there
        return (Alike("bytes at least those of the weights", min(peer, held), held),)

    return TwoSides(Side(partial(grown_alone, k)), Side(partial(grown_alone, fewer)), alike)


MEMORY = Bench(
    name="top2-memory",
    title="Peak memory of Top-2",
    rows=tuple(
        BenchRow(
            name=f"top2-memory-of-{k}",
            what=f"Top-2 of {k}",
            peer="Top-2 of 2",
            ratio=MemoryRatio(None),
            unit=STEP,
            shapes=SMALL,
            precision="fp32",
            prepare=partial(_sides, k, 2),
        )
        for k in (8, 64)
    ),
    notes=(
        f"Ours on both sides: {versioned('torch')}. By how much the resident memory of a process "
        "grew at most, networks built and asked once. All weights are resident: it grows with K.",
    ),
)
