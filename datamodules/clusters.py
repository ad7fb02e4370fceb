"""Two-stage k-means on cosine distance.  (HDDM, §6.1)

Features are normalised and grouped into many fine centroids, then those into K coarse ones. Every
picture belongs to its nearest coarse centroid. Features come in parts, mapped from files: except
with `Lloyd`, memory does not grow with their number.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
ROWS = 65_536
"""Features whose distances are computed at once."""


@dataclass(frozen=True)
class Partition:
    """A clustering of N features.

    assignment: [N], int64, clusters 0 to K - 1.  centroids: [K, F], coarse, of unit norm.
    fine: [M, F], the fine centroids.
    """

    assignment: NDArray[np.int64]
    centroids: Array
    fine: Array

    @property
    def sizes(self) -> list[int]:
        """Features in each of the K clusters."""
        return np.bincount(self.assignment, minlength=len(self.centroids)).tolist()


class FineMethod(Protocol):
    """A frozen value: how the fine centroids are computed."""

    def centroids(self, parts: Sequence[Array], fine: int, seed: int) -> Array:
        """Centroids [fine, F] of the features in `parts` [N_i, F]."""
        ...


@dataclass(frozen=True)
class Lloyd:
    """k-means on all features at once, which must fit into memory.

    starts: initialisations, of which the best is taken.  iterations: at most, for each.
    """

    starts: int = 4
    iterations: int = 300

    def centroids(self, parts: Sequence[Array], fine: int, seed: int) -> Array:
        """Centroids [fine, F] of the features in `parts` [N_i, F]."""
        from sklearn.cluster import KMeans

        points = unit_rows(np.concatenate(parts))
        kmeans = KMeans(fine, n_init=self.starts, max_iter=self.iterations, random_state=seed)
        return kmeans.fit(points).cluster_centers_


@dataclass(frozen=True)
class MiniBatch:
    """k-means on batches of features.  (Sculley 2010)

    It is initialised by k-means on three batches of features, drawn from all parts. A batch is a
    run of consecutive rows, since a mapped file is read in runs; the runs come in random order.

    batch: features in a batch, at least as many as centroids.  passes: times through all features.
    """

    version: ClassVar[int] = 2  # the start is drawn otherwise than at first

    batch: int = 16_384
    passes: int = 3

    def centroids(self, parts: Sequence[Array], fine: int, seed: int) -> Array:
        """Centroids [fine, F] of the features in `parts` [N_i, F]."""
        from sklearn.cluster import KMeans, MiniBatchKMeans

        batch = max(self.batch, fine)
        sample = unit_rows(_sample(parts, 3 * batch, seed))
        start = KMeans(fine, n_init=4, random_state=seed).fit(sample).cluster_centers_
        # No reassignment: a centroid may be far from every feature of a run of similar pictures.
        kmeans = MiniBatchKMeans(
            fine,
            init=start,
            n_init=1,
            batch_size=batch,
            reassignment_ratio=0.0,
            random_state=seed,
        )
        for epoch in range(self.passes):
            for rows in _runs(parts, batch, np.random.default_rng([seed, epoch])):
                kmeans.partial_fit(unit_rows(rows))
        return kmeans.cluster_centers_


@dataclass(frozen=True)
class Faiss:
    """faiss's spherical k-means on a sample of the features.

    per_centroid: features drawn for each fine centroid.
    """

    version: ClassVar[int] = 2  # the start is drawn otherwise than at first

    per_centroid: int = 256
    iterations: int = 25

    def centroids(self, parts: Sequence[Array], fine: int, seed: int) -> Array:
        """Centroids [fine, F] of the features in `parts` [N_i, F]. ImportError without faiss."""
        import faiss  # optional

        points = unit_rows(_sample(parts, fine * self.per_centroid, seed))
        kmeans = faiss.Kmeans(
            points.shape[1], fine, niter=self.iterations, seed=seed, spherical=True
        )
        kmeans.train(points)
        return kmeans.centroids


def unit_rows(x: Array) -> NDArray[np.float32]:
    """x [N, F] with rows of unit norm, whose squared distance is twice the cosine distance."""
    x = x.astype(np.float32, copy=False)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def nearest(features: Array, centroids: Array) -> NDArray[np.int64]:
    """The cluster [N] of features [N, F]: the centroid [K, F] of smallest cosine distance."""
    directions = unit_rows(centroids).T
    blocks = [features[i : i + ROWS] for i in range(0, len(features), ROWS)]
    numbers = [(unit_rows(block) @ directions).argmax(axis=1) for block in blocks]
    return np.concatenate(numbers) if numbers else np.empty(0, dtype=np.int64)


def partition(
    parts: Sequence[Array],
    fine: int,
    k: int,
    seed: int,
    method: FineMethod = Lloyd(),
    into: NDArray[np.int64] | None = None,
) -> Partition:
    """Cluster the features in `parts` [N_i, F] into `fine` groups, and those into k.

    Clusters are numbered by decreasing size, so that the numbers do not depend on the order of
    k-means' own.
    into: [N], where the assignment is written part by part, such as a mapped file.
    Raises ValueError if k or fine exceeds the features, or a cluster is empty.
    """
    from sklearn.cluster import KMeans

    n = sum(map(len, parts))
    if k > n:
        raise ValueError(f"K = {k} clusters of {n} pictures: K exceeds the data")
    if not k <= fine <= n:
        raise ValueError(f"{fine} fine centroids must lie between K = {k} and {n} pictures")
    fine_centroids = method.centroids(parts, fine, seed)
    kmeans = KMeans(k, n_init=10, random_state=seed).fit(unit_rows(fine_centroids))
    coarse = kmeans.cluster_centers_
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
    return Partition(assignment, unit_rows(coarse)[order], fine_centroids)


def assignment_file(folder: Path, n: int) -> NDArray[np.int64]:
    """A new assignment.npy [n], int64, mapped into memory."""
    return np.lib.format.open_memmap(folder / "assignment.npy", "w+", np.dtype(np.int64), (n,))


def _pieces(assignment: NDArray[np.int64], parts: Sequence[Array]) -> list[NDArray[np.int64]]:
    """The views [N_i] of the assignment [N] that belong to each part."""
    return np.split(assignment, np.cumsum([len(part) for part in parts])[:-1])


def _runs(parts: Sequence[Array], size: int, rng: np.random.Generator) -> Iterator[Array]:
    """Runs of about `size` rows [n, F] of the parts in random order; short ones are joined."""
    starts = [(p, i) for p, part in enumerate(parts) for i in range(0, len(part), size)]
    run: list[Array] = []
    for j in rng.permutation(len(starts)):
        p, i = starts[j]
        run.append(np.asarray(parts[p][i : i + size]))
        if sum(map(len, run)) >= size:
            yield np.concatenate(run)
            run = []
    if run:
        yield np.concatenate(run)


def _sample(parts: Sequence[Array], n: int, seed: int) -> Array:
    """n rows [n, F] drawn from all parts, in their order; all rows if there are fewer."""
    ends = np.cumsum([len(part) for part in parts])
    g = np.random.default_rng(seed)  # a permutation of all rows would be as long as the data
    rows = np.sort(g.choice(ends[-1], min(n, ends[-1]), replace=False, shuffle=False))
    pieces = np.split(rows, np.searchsorted(rows, ends[:-1]))
    starts = [0, *ends[:-1]]
    return np.concatenate([p[r - s] for p, r, s in zip(parts, pieces, starts, strict=True)])
