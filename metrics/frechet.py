"""Distances between two sets of features: Fréchet and kernel."""

import numpy as np
from numpy.typing import NDArray
from pytorch_fid.fid_score import calculate_frechet_distance
from sklearn.metrics.pairwise import polynomial_kernel

Features = NDArray[np.floating]


def frechet_distance(a: Features, b: Features) -> float:
    """|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^1/2) of features [N, F] and [M, F], in float64.

    pytorch-fid's formula on unbiased covariances.  (Heusel et al. 2017, Eq. 6)
    Raises ValueError for fewer than two rows, which have no covariance.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a Fréchet distance needs two rows a side, not {len(a)} and {len(b)}")
    moments = []
    for x in (a.astype(np.float64), b.astype(np.float64)):
        moments += [x.mean(axis=0), np.cov(x, rowvar=False)]
    return float(calculate_frechet_distance(*moments))


def kernel_distance(a: Features, b: Features) -> float:
    """The unbiased MMD^2 of [N, F] and [M, F] under (x.y / F + 1)^3.  (Binkowski et al. 2018)

    KID as published averages this over random subsets; with every row used once it has no seed.
    torchmetrics' function divides all three sums by N, which is right for M = N alone.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    within = [
        (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
        for k in (polynomial_kernel(x), polynomial_kernel(y))
    ]
    return float(sum(within) - 2 * polynomial_kernel(x, y).mean())
