"""How two sets of features overlap, by balls around points: fidelity and variety apart.

Around every point of a set lies a closed ball that reaches to its k-th nearest neighbour in the
set. Both papers' defaults for k are here: 3 and 5. Naeem's package counts a point on the surface
as outside; on continuous features the two agree.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_chunked

Features = NDArray[np.floating]
Distances = NDArray[np.float64]


def _distances(a: Features, b: Features) -> Iterator[Distances]:
    """Blocks of rows of the distances [N, M] of a [N, F] to b [M, F], in float64."""
    middle = b.astype(np.float64).mean(axis=0)  # without it |x|² + |y|² - 2 x.y loses digits
    centred = (a.astype(np.float64) - middle, b.astype(np.float64) - middle)
    yield from pairwise_distances_chunked(*centred, working_memory=256)


def radii(x: Features, k: int) -> Distances:
    """The distance [N] of each of x [N, F] to its k-th nearest other.

    Raises ValueError where there are not k others.
    """
    if not 1 <= k < len(x):
        raise ValueError(f"{len(x)} points have no {k}-th nearest neighbour")
    # The nearest of all is the point itself.
    return np.concatenate([np.partition(d, k, axis=1)[:, k] for d in _distances(x, x)])


def precision(real: Features, fake: Features, k: int = 3) -> float:
    """The share of fake [M, F] that lies in some ball around real [N, F].

    (Kynkäänniemi et al. 2019, Eqs 1-2)
    """
    reach = radii(real, k)
    return float(np.concatenate([(d <= reach).any(axis=1) for d in _distances(fake, real)]).mean())


def recall(real: Features, fake: Features, k: int = 3) -> float:
    """The share of real [N, F] that lies in some ball around fake [M, F].

    (Kynkäänniemi et al. 2019, Eqs 1-2)
    """
    return precision(fake, real, k)


def density(real: Features, fake: Features, k: int = 5) -> float:
    """How many balls around real a fake lies in, on average, over k: 1 if fake is like real.

    Unlike precision it may exceed 1, and one outlier of real cannot hold it up.
    (Naeem et al. 2020, Eq. 4)
    """
    reach = radii(real, k)
    inside = np.concatenate([(d <= reach).sum(axis=1) for d in _distances(fake, real)])
    return float(inside.mean() / k)


def coverage(real: Features, fake: Features, k: int = 5) -> float:
    """The share of the balls around real that hold some fake.  (Naeem et al. 2020, Eq. 5)"""
    nearest = np.concatenate([d.min(axis=1) for d in _distances(real, fake)])
    return float((nearest <= radii(real, k)).mean())
