"""Precision, recall, density and coverage: how the manifolds of two sets of features overlap.

Each point has a closed ball whose radius is the distance to its k-th nearest neighbour in its set.
The defaults for k are the papers', 3 and 5. Naeem's package uses open balls; on continuous features
the results agree.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]
Distances = NDArray[np.float64]


def _distances(a: Features, b: Features) -> Iterator[Distances]:
    """Blocks [n, M] of rows of the distances [N, M] of a [N, F] to b [M, F], in float64."""
    from sklearn.metrics import pairwise_distances_chunked

    mean = b.astype(np.float64).mean(axis=0)  # centring keeps digits of |x|² + |y|² - 2 x.y
    centred = (a.astype(np.float64) - mean, b.astype(np.float64) - mean)
    yield from pairwise_distances_chunked(*centred, working_memory=256)


def radii(x: Features, k: int) -> Distances:
    """The distance [N] of each point of x [N, F] to its k-th nearest neighbour.

    Raises ValueError for fewer than k + 1 points.
    """
    if not 1 <= k < len(x):
        raise ValueError(f"{len(x)} points have no {k}-th nearest neighbour")
    # Index 0 is the point itself.
    return np.concatenate([np.partition(d, k, axis=1)[:, k] for d in _distances(x, x)])


def precision(real: Features, fake: Features, k: int = 3) -> float:
    """The share of fake [M, F] in any ball of real [N, F].  (Kynkäänniemi et al. 2019, Eqs 1-2)"""
    radius = radii(real, k)
    return float(np.concatenate([(d <= radius).any(axis=1) for d in _distances(fake, real)]).mean())


def recall(real: Features, fake: Features, k: int = 3) -> float:
    """The share of real [N, F] in any ball of fake [M, F].  (Kynkäänniemi et al. 2019, Eqs 1-2)"""
    return precision(fake, real, k)


def density(real: Features, fake: Features, k: int = 5) -> float:
    """The mean number of balls of real [N, F] that hold a point of fake [M, F], divided by k.

    1 if fake is distributed as real. It may exceed 1, and it is robust to outliers of real.
    (Naeem et al. 2020, Eq. 4)
    """
    radius = radii(real, k)
    inside = np.concatenate([(d <= radius).sum(axis=1) for d in _distances(fake, real)])
    return float(inside.mean() / k)


def coverage(real: Features, fake: Features, k: int = 5) -> float:
    """The share of balls of real [N, F] that hold any fake [M, F].  (Naeem et al. 2020, Eq. 5)"""
    nearest = np.concatenate([d.min(axis=1) for d in _distances(real, fake)])
    return float((nearest <= radii(real, k)).mean())
