"""Two-stage k-means on cosine distance.  (HDDM, §6.1)

Features on the unit sphere are grouped into many fine centroids, those into K coarse ones, and
every picture goes to its nearest coarse centroid. Features come in parts, mapped rather than read:
but for `Lloyd`, what is held does not grow with their number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans, MiniBatchKMeans

Array = NDArray[np.floating]
ROWS = 65_536
"""Features whose distances are held at once."""


@dataclass(frozen=True)
class Partition:
    """assignment [N] in 0 … K-1, the coarse centroids [K, F] of unit norm, and the fine ones."""

    assignment: NDArray[np.int64]
    centroids: Array
    fine: Array

    @property
    def sizes(self) -> list[int]:
        return np.bincount(self.assignment, minlength=len(self.centroids)).tolist()


class FineMethod(Protocol):
    """How the fine centroids are found: a frozen value."""

    def centroids(self, parts: Sequence[Array], fine: int, seed: int) -> Array:
        """`fine` centroids [fine, F] of the features in `parts`."""
        ...


@dataclass(frozen=True)
class Lloyd:
    """k-means on all features at once, for those that fit into memory: the best of `starts`."""

    starts: int = 4
    iterations: int = 300

    def centroids(self, parts: Sequence[Array], fine: int, seed: int) -> Array:
        points = unit(np.concatenate(parts))
        found = KMeans(fine, n_init=self.starts, max_iter=self.iterations, random_state=seed)
        return found.fit(points).cluster_centers_


@dataclass(frozen=True)
class MiniBatch:
    """k-means on a batch of features after another (Sculley 2010), `passes` times through them.

    It begins with k-means on features drawn from all parts, three batches of them. Batches are runs
    of consecutive features in random order, shuffled: image-text shards come in no order of their
    own, and a mapped file is read in runs.
    """

    version: ClassVar[int] = 2  # the start is drawn otherwise than at first

    batch: int = 16_384
    passes: int = 3

    def centroids(self, parts: Sequence[Array], fine: int, seed: int) -> Array:
        batch = max(self.batch, fine)
        drawn = unit(_drawn(parts, 3 * batch, seed))
        start = KMeans(fine, n_init=4, random_state=seed).fit(drawn).cluster_centers_
        # No centroid is thrown away for being absent from a run of similar pictures.
        found = MiniBatchKMeans(
            fine,
            init=start,
            n_init=1,
            batch_size=batch,
            reassignment_ratio=0.0,
            random_state=seed,
        )
        for epoch in range(self.passes):
            for rows in _runs(parts, batch, np.random.default_rng([seed, epoch])):
                found.partial_fit(unit(rows))
        return found.cluster_centers_


@dataclass(frozen=True)
class Faiss:
    """faiss's spherical k-means on a sample of `per_centroid` features for each fine centroid."""

    version: ClassVar[int] = 2  # the start is drawn otherwise than at first

    per_centroid: int = 256
    iterations: int = 25

    def centroids(self, parts: Sequence[Array], fine: int, seed: int) -> Array:
        import faiss  # not among the suite's own requirements

        points = unit(_drawn(parts, fine * self.per_centroid, seed))
        kmeans = faiss.Kmeans(
            points.shape[1], fine, niter=self.iterations, seed=seed, spherical=True
        )
        kmeans.train(points)
        return kmeans.centroids


def unit(x: Array) -> NDArray[np.float32]:
    """Rows on the unit sphere, where squared Euclidean distance is twice the cosine distance."""
    x = x.astype(np.float32, copy=False)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def nearest(features: Array, centroids: Array) -> NDArray[np.int64]:
    """The cluster [N] of features [N, F]: the centroid [K, F] of smallest cosine distance."""
    towards = unit(centroids).T
    blocks = [features[i : i + ROWS] for i in range(0, len(features), ROWS)]
    found = [(unit(block) @ towards).argmax(axis=1) for block in blocks]
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def partition(
    parts: Sequence[Array],
    fine: int,
    k: int,
    seed: int,
    method: FineMethod = Lloyd(),
    into: NDArray[np.int64] | None = None,
) -> Partition:
    """Cluster the features in `parts` [N_i, F] into `fine` groups and those into k.

    Clusters are numbered by falling size, so that a number means the same after a reshuffle.
    into: where the assignment [N] is written, a part at a time: a mapped file need not be held.
    Raises ValueError if k or fine exceeds what there is to cluster, or a cluster comes out empty.
    """
    n = sum(map(len, parts))
    if k > n:
        raise ValueError(f"K = {k} clusters of {n} pictures: K exceeds the data")
    if not k <= fine <= n:
        raise ValueError(f"{fine} fine centroids must lie between K = {k} and {n} pictures")
    found = method.centroids(parts, fine, seed)
    coarse = KMeans(k, n_init=10, random_state=seed).fit(unit(found)).cluster_centers_
    assignment = np.empty(n, dtype=np.int64) if into is None else into
    for part, piece in zip(parts, _pieces(assignment, parts), strict=True):
        piece[:] = nearest(part, coarse)
    sizes = np.bincount(assignment, minlength=k)
    if sizes.min() == 0:
        raise ValueError(f"K = {k} leaves a cluster empty (sizes {sizes.tolist()}): lower K")
    order = np.argsort(-sizes, kind="stable")
    number = np.argsort(order)
    for piece in _pieces(assignment, parts):
        piece[:] = number[piece]
    return Partition(assignment, unit(coarse)[order], found)


def assignment_file(folder: Path, n: int) -> NDArray[np.int64]:
    """assignment.npy [n], mapped: what is written into it need not be held."""
    return np.lib.format.open_memmap(folder / "assignment.npy", "w+", np.dtype(np.int64), (n,))


def _pieces(assignment: NDArray[np.int64], parts: Sequence[Array]) -> list[NDArray[np.int64]]:
    """The views [N_i] of what belongs to each part."""
    return np.split(assignment, np.cumsum([len(part) for part in parts])[:-1])


def _runs(parts: Sequence[Array], size: int, rng: np.random.Generator) -> Iterator[Array]:
    """Runs of up to `size` rows of the parts, short ones joined, all in random order."""
    starts = [(p, i) for p, part in enumerate(parts) for i in range(0, len(part), size)]
    held: list[Array] = []
    for j in rng.permutation(len(starts)):
        p, i = starts[j]
        held.append(np.asarray(parts[p][i : i + size]))
        if sum(map(len, held)) >= size:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)


def _drawn(parts: Sequence[Array], n: int, seed: int) -> Array:
    """n rows drawn from all parts, or all rows if there are fewer, in their order."""
    ends = np.cumsum([len(part) for part in parts])
    g = np.random.default_rng(seed)  # a permutation of all rows would be as long as the data
    rows = np.sort(g.choice(ends[-1], min(n, ends[-1]), replace=False, shuffle=False))
    pieces = np.split(rows, np.searchsorted(rows, ends[:-1]))
    starts = [0, *ends[:-1]]
    return np.concatenate([p[r - s] for p, r, s in zip(parts, pieces, starts, strict=True)])
