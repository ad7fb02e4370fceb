"""How far samples are from the nearest of pictures that come a batch at a time."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def nearest_distances(
    a: NDArray[np.floating], batches: Iterable[NDArray[np.floating]]
) -> NDArray[np.float64]:
    """The Euclidean distance [N] of each of a [N, ...] to the nearest row of batches [M_i, ...].

    In float32 by way of scalar products: a copy is within about 1e-3 of itself.
    """
    flat = a.reshape(len(a), -1).astype(np.float32)
    least = np.full(len(a), np.inf, dtype=np.float32)
    for batch in batches:
        other = batch.reshape(len(batch), -1).astype(np.float32)
        rest = (other**2).sum(1) - 2 * (flat @ other.T)  # [N, M_i], less each row's own norm
        least = np.minimum(least, rest.min(axis=1))
    return np.sqrt(np.maximum(least + (flat**2).sum(1), 0)).astype(np.float64)
