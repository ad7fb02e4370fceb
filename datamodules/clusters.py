"""Two-stage k-means on cosine distance.  (HDDM, §6.1)

Features on the unit sphere are grouped into many fine centroids, those into K coarse ones, and
every picture goes to its nearest coarse centroid.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Partition:
    """assignment [N] in 0 … K-1, and the coarse centroids [K, F] of unit norm."""

    assignment: NDArray[np.int64]
    centroids: Array

    @property
    def sizes(self) -> list[int]:
        return np.bincount(self.assignment, minlength=len(self.centroids)).tolist()


def unit(x: Array) -> Array:
    """Rows on the unit sphere, where squared Euclidean distance is twice the cosine distance."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def nearest(features: Array, centroids: Array) -> NDArray[np.int64]:
    """The cluster [N] of features [N, F]: the centroid [K, F] of smallest cosine distance."""
    return (unit(features) @ unit(centroids).T).argmax(axis=1)


def partition(features: Array, fine: int, k: int, seed: int) -> Partition:
    """Cluster features [N, F] into `fine` groups and those into k.

    Clusters are numbered by falling size, so that a number means the same after a reshuffle.
    Raises ValueError if k or fine exceeds what there is to cluster, or a cluster comes out empty.
    """
    if k > len(features):
        raise ValueError(f"K = {k} clusters of {len(features)} pictures: K exceeds the data")
    if not k <= fine <= len(features):
        raise ValueError(
            f"{fine} fine centroids must lie between K = {k} and {len(features)} pictures"
        )
    points = unit(features)
    fine_centroids = KMeans(fine, n_init=4, random_state=seed).fit(points).cluster_centers_
    coarse = KMeans(k, n_init=10, random_state=seed).fit(unit(fine_centroids)).cluster_centers_
    found = nearest(points, coarse)
    sizes = np.bincount(found, minlength=k)
    if sizes.min() == 0:
        raise ValueError(f"K = {k} leaves a cluster empty (sizes {sizes.tolist()}): lower K")
    order = np.argsort(-sizes, kind="stable")
    return Partition(np.argsort(order)[found].astype(np.int64), unit(coarse)[order])
