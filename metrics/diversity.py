"""How samples differ: within a prompt, from the training set, and from the prompt's class."""

import numpy as np
from numpy.typing import NDArray


def within_groups(features: NDArray[np.floating], groups: NDArray) -> dict[str, float]:
    """The mean pairwise Euclidean distance of features [N, F] in each group, by its name.

    groups: the group [N] of each row. Groups of one row are left out.
    """
    return {
        str(group): spread(features[groups == group])
        for group in np.unique(groups)
        if (groups == group).sum() > 1
    }


def spread(features: NDArray[np.floating]) -> float:
    """The mean pairwise Euclidean distance of all features [N, F], N >= 2."""
    from scipy.spatial.distance import pdist

    return float(pdist(features).mean())


def nearest(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """The median over a [N, ...] of the Euclidean distance to the nearest row of b [M, ...]."""
    from sklearn.metrics import pairwise_distances_argmin_min

    flat = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
    return float(np.median(pairwise_distances_argmin_min(*flat)[1]))


def agreement(predicted: NDArray[np.int64], named: NDArray[np.int64]) -> float:
    """The share of pictures whose predicted class [N] is the class [N] named by the prompt."""
    return float((predicted == named).mean())
