"""What clustering mapped features costs, and how near its centroids come to full k-means.

A clustering runs in a process of its own, which this one watches. What it holds is its anonymous
memory: mapped pages belong to the files and go when the system wants them.
"""

import multiprocessing
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.clusters import ROWS, FineMethod, assignment_file, partition, unit_rows
from experiments.pipeline.launch import local
from experiments.pipeline.stage import Measurement, Stage
from experiments.pipeline.store import Context, Store

WATCH = 0.005
"""Seconds between two looks at the memory of the process that clusters."""
Array = NDArray[np.floating]


@dataclass(frozen=True)
class Planted(Stage):
    """00000.npy, … [rows, width] in float16: features around directions of unequal weight.

    `groups` directions at random; around them, `spread` away, `directions` finer ones, whose
    weights fall as rank^-1/2; around those the features, `noise` away. Part i is the same however
    many there are.
    """

    parts: int
    rows: int
    width: int
    directions: int
    groups: int
    spread: float
    noise: float
    seed: int

    @property
    def centres(self) -> Array:
        """The finer directions [directions, width], by falling weight."""
        g = np.random.default_rng(self.seed)
        groups = unit_rows(g.normal(size=(self.groups, self.width)))
        around = unit_rows(g.normal(size=(self.directions, self.width)))
        return unit_rows(groups[np.arange(self.directions) % self.groups] + self.spread * around)

    def make(self, folder: Path, context: Context) -> None:
        centres, weight = self.centres, np.arange(1, self.directions + 1) ** -0.5
        for i in range(self.parts):
            g = np.random.default_rng([self.seed, i])
            features = centres[g.choice(self.directions, self.rows, p=weight / weight.sum())]
            away = g.standard_normal(features.shape, dtype=np.float32) / np.sqrt(self.width)
            np.save(folder / f"{i:05d}.npy", (features + self.noise * away).astype(np.float16))

    def paths(self, store: Store, parts: int) -> list[Path]:
        return [store.file(self, f"{i:05d}.npy") for i in range(parts)]


@dataclass(frozen=True)
class Clustered(Measurement):
    """measured.json: core-seconds and bytes of clustering the first `parts`, and how well it did.

    fine, coarse: mean cosine distance of a feature to the nearest of its `fine` and `k` centroids;
    fine_ratio, coarse_ratio: over those of `full`, a clustering of the same features.
    balance: the largest cluster over the smallest.  bytes: not there where the system tells none.
    """

    planted: Planted
    parts: int
    fine: int
    k: int
    method: FineMethod
    seed: int
    full: "Clustered | None" = None

    @property
    def label(self) -> str:
        return f"{type(self.method).__name__}, {self.parts * self.planted.rows:,} features"

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        paths = self.planted.paths(context.store, self.parts)
        task = (paths, self.fine, self.k, self.seed, self.method, folder)
        clusters, held = watched(task)
        parts = mapped(paths)
        numbers = {
            "seconds": clusters.seconds,
            "fine": distance(parts, clusters.fine),
            "coarse": distance(parts, clusters.coarse),
            "balance": max(clusters.sizes) / min(clusters.sizes),
            **({} if held is None else {"bytes": held}),
        }
        if self.full is not None:
            full = self.full.read(context.store)
            numbers |= {f"{name}_ratio": numbers[name] / full[name] for name in ("fine", "coarse")}
        return numbers


Task = tuple[list[Path], int, int, int, FineMethod, Path]
"""Paths of the parts, fine, k, seed, method, and the folder for the assignment."""


@dataclass(frozen=True)
class ClusteringResult:
    """What the process that clusters sends back: nothing as long as the data."""

    seconds: float
    fine: Array
    coarse: Array
    sizes: list[int]


def mapped(paths: Sequence[Path]) -> list[Array]:
    return [np.load(path, mmap_mode="r") for path in paths]


def distance(parts: Sequence[Array], centroids: Array) -> float:
    """The mean cosine distance of the features in `parts` to their nearest centroid."""
    towards = unit_rows(centroids).T
    blocks = (part[i : i + ROWS] for part in parts for i in range(0, len(part), ROWS))
    near = sum((unit_rows(block) @ towards).max(axis=1).sum(dtype=np.float64) for block in blocks)
    return float(1 - near / sum(map(len, parts)))


def watched(task: Task) -> tuple[ClusteringResult, int | None]:
    """What a process of its own finds, and the most bytes it held above those at its start."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, local.follow_parent) as pool:
        pid = pool.submit(_begun, task).result()
        start = most = anonymous(pid)
        running = pool.submit(_clustered, task)
        while not running.done():
            most = max(most, anonymous(pid))
            wait([running], timeout=WATCH)
        clusters = running.result()
    return clusters, most - start if most else None


def anonymous(pid: int) -> int:
    """Bytes of a process that no file backs; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    held = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.M)
    return 1024 * int(held[1]) if held else 0


def _begun(task: Task) -> int:
    """This process, everything that clusters imported, the task's method too, and used once."""
    partition([np.eye(8)], 4, 2, 0)
    return os.getpid()


def _clustered(task: Task) -> ClusteringResult:
    paths, fine, k, seed, method, folder = task
    parts, started = mapped(paths), time.process_time()  # a busy machine adds nothing
    assigned = assignment_file(folder, sum(map(len, parts)))
    clusters = partition(parts, fine, k, seed, method, assigned)
    seconds = time.process_time() - started
    return ClusteringResult(seconds, clusters.fine, clusters.centroids, clusters.sizes)
