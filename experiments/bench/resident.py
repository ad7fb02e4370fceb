"""The least memory of Top-2 as the number of experts grows, their weights resident or mapped."""

import itertools
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from experiments.bench.commands.memory import Groups, forget, least
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import trained_numbers, versioned
from experiments.bench.ratios import MemoryRatio
from experiments.bench.top2 import SMALLER, SMALLER_SHAPE, Asked, answers, evaluations
from experiments.bench.top2 import ensemble as drawn
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.objectives import Velocity
from modules.schedules import Linear
from modules.selection import Top
from modules.text import Text
from modules.weights.checkpoint import load_weights, map_weights, save_weights

FEW, SOME = 2, 12
ROWS, CALLS, BRIEF = 2, 128, 16
"""Rows of an answer; answers, in which each of 64 experts is asked four times."""
PAIRS = 2
FLAT = 1.1
"""What is called flat in K."""
PLENTY, STEP_BYTES, SLOWER = 1 << 28, 4 << 20, 2.0
"""Bytes beside the weights that are more than enough; how finely the least limit is told; how many
times the seconds of plenty it may take."""


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


@dataclass(frozen=True)
class InTurns:
    """A posterior that sends all rows to the same two of K experts, in each answer to the next.

    However many there are, an answer is the same work.
    """

    experts: int
    calls: Iterator[int] = field(default_factory=itertools.count)

    def __call__(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        first = next(self.calls) % self.experts
        p = torch.full((len(x), self.experts), 0.01)
        p[:, first], p[:, (first + 1) % self.experts] = 3.0, 2.0
        return p / p.sum(1, keepdim=True)


def ensemble_of(kept: Kept, paths: Sequence[Path]) -> Ensemble:
    """Top-2 of experts from their files."""
    experts = [loaded(path, kept.mapped) for path in paths]
    return Ensemble(experts, InTurns(kept.k), Top(2))


def ask(kept: Kept, paths: Sequence[Path], calls: int) -> None:
    """Load all experts and have so many answers; the files' pages are this process's own.

    RuntimeError unless two experts were asked about each row.
    """
    forget(paths)
    ensemble, asked = ensemble_of(kept, paths), Asked.of(SMALLER_SHAPE, ROWS)

    def every() -> Tensor:
        return torch.stack([answers(ensemble, asked) for _ in range(calls)])

    count = evaluations(ensemble, every)
    if count != 2 * ROWS * calls:
        raise RuntimeError(f"{count} evaluations for {2 * ROWS * calls}")


def _least(kept: Kept, paths: Sequence[Path], calls: int, weights: int) -> int:
    """Everything is imported, and a small answer given, before the first fork."""
    torch.set_num_threads(1)
    answers(drawn(SMALLER_SHAPE, 2, Top(2)), Asked.of(SMALLER_SHAPE, ROWS))
    work = partial(ask, kept, paths, calls)
    return least(work, weights + PLENTY, STEP_BYTES, Groups.here(), SLOWER, weights)


def needed(kept: Kept, paths: Sequence[Path], calls: int, weights: int) -> int:
    """The least bytes, beyond what its imports hold, that a process needs to ask so often.

    weights: bytes of all experts', resident.  RefusedError where no limit can be set.
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_least, kept, paths, calls, weights).result()


def _sides(ours: Kept, peer: Kept, room: Room) -> TwoSides:
    calls = room.amount(CALLS, BRIEF)
    weights = 4 * trained_numbers(SMALLER_SHAPE.build())
    paths = written(room.folder, max(ours.k, peer.k))

    def side(kept: Kept) -> Side:
        return Side(partial(needed, kept, paths[: kept.k], calls, kept.k * weights), calls)

    def alike(our_bytes: int, their_bytes: int) -> Sequence[Alike]:
        each = ((ours, our_bytes), (peer, their_bytes))
        bounds = ((kept, bytes_, weights * (1 if kept.mapped else kept.k)) for kept, bytes_ in each)
        return tuple(
            Alike(f"bytes, at least {fewest:,}: {kept}", min(bytes_, fewest), fewest)
            for kept, bytes_, fewest in bounds
        )

    return TwoSides(side(ours), side(peer), alike)


def _row(name: str, ours: Kept, peer: Kept, goal: float | None = None) -> BenchRow:
    return BenchRow(
        name=name,
        what=str(ours),
        peer=str(peer),
        ratio=MemoryRatio(goal),
        unit="answer, no gradients, each of the next two experts",
        shapes=f"DiT {SMALLER.width} wide, {SMALLER.depth} deep, 64 tokens, 77 text tokens, "
        f"{ROWS} rows an answer, {CALLS} answers",
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
        f"Ours on both sides: {versioned('torch')}. The least limit, to {STEP_BYTES >> 20} MiB and "
        "without swap, in which a fork of a process that has imported everything loads all "
        "experts and has its answers: it is not killed, and takes at most "
        f"{SLOWER:g} times the seconds of {PLENTY >> 20} MiB beside all weights. Pages of files "
        "count; they are dropped from the page cache before, and that all were read is checked.",
        "Mapped weights are such pages, which the kernel drops when it needs the room, and reads "
        "again. Each answer asks two experts, in turns: the same work whatever K is.",
    ),
)
