"""Distances between two sets of features, Fréchet and kernel, in float64."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Moments:
    """The mean [F] and the unbiased covariance [F, F] of features, in float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def of(cls, features: Features) -> "Moments":
        """The moments of features [N, F]. ValueError for fewer than two rows, or for numbers that
        are not finite."""
        if len(features) < 2:
            raise ValueError(f"a covariance needs two rows, not {len(features)}")
        if bad := int((~np.isfinite(features)).any(axis=1).sum()):
            raise ValueError(f"{bad} of {len(features)} rows of features are not finite")
        x = features.astype(np.float64)
        return cls(x.mean(axis=0), np.cov(x, rowvar=False))


def moments_distance(a: Moments, b: Moments) -> float:
    """|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^1/2), pytorch-fid's formula in float64.

    (Heusel et al. 2017, Eq. 6)  Raises ValueError if the widths F differ.
    """
    from pytorch_fid.fid_score import calculate_frechet_distance

    if a.mean.shape != b.mean.shape:
        raise ValueError(
            f"features of {a.mean.size} and {b.mean.size} numbers cannot be compared: "
            "they come from different networks or layers"
        )
    return float(calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance))


def frechet_distance(a: Features, b: Features) -> float:
    """The Fréchet distance of features [N, F] and [M, F].  (Heusel et al. 2017, Eq. 6)

    Raises ValueError for fewer than two rows, or if the widths F differ.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a Fréchet distance needs two rows a side, not {len(a)} and {len(b)}")
    return moments_distance(Moments.of(a), Moments.of(b))


def kernel_distance(a: Features, b: Features) -> float:
    """The unbiased MMD² of features [N, F] and [M, F], kernel (x.y / F + 1)³.

    (Binkowski et al. 2018)  Published KIDs average this over random subsets; here all rows are used
    and there is no seed. torchmetrics divides all three sums by N, which is right for M = N only.
    """
    from sklearn.metrics.pairwise import polynomial_kernel

    x, y = a.astype(np.float64), b.astype(np.float64)
    within = [
        (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
        for k in (polynomial_kernel(x), polynomial_kernel(y))
    ]
    return float(sum(within) - 2 * polynomial_kernel(x, y).mean())


def subset_kernel_distance(
    a: Features, b: Features, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> tuple[float, float]:
    """KID as papers print it: mean and deviation of kernel_distance over random subsets.

    a, b: features [N, F] and [M, F].  size: rows of a subset; ValueError for sets with fewer.
    The subsets and defaults are torch-fidelity's, so the same seed gives the same subsets. The mean
    has the expectation of kernel_distance, whose kernels do not fit into memory for 50,000 rows.
    """
    if size > min(len(a), len(b)):
        raise ValueError(f"subsets of {size} rows cannot be drawn from {len(a)} and {len(b)}")
    rng = np.random.RandomState(seed)
    distances = [
        kernel_distance(*(x[rng.choice(len(x), size, replace=False)] for x in (a, b)))
        for _ in range(subsets)
    ]
    return float(np.mean(distances)), float(np.std(distances))
