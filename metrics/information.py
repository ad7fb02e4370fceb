"""Discrete distributions: how far two are apart, and what one variable tells of another."""

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def total_variation(p: NDArray[np.floating], q: NDArray[np.floating]) -> float:
    """Half the sum of |p - q|: the greatest difference of probability that any event has."""
    return float(np.abs(p - q).sum() / 2)


def shares(values: Numbers, n: int) -> NDArray[np.float64]:
    """The share [n] of each of n values in values [N]."""
    return np.bincount(values, minlength=n) / len(values)


def mutual_information(a: Numbers, b: Numbers) -> float:
    """I(a; b) in bits of paired values [N], with Miller and Madow's correction of its bias.

    The plug-in estimate of independent variables is above zero by (A - 1)(B - 1) / 2N nats, where A
    and B values occur; the corrected one may be a little below zero.
    """
    (_, first), (_, second) = (np.unique(x, return_inverse=True) for x in (a, b))
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    joint = table / table.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    met = joint > 0
    nats = float((joint[met] * np.log(joint[met] / apart[met])).sum())
    rows, columns = table.shape
    bias = (met.sum() - rows - columns + 1) / (2 * table.sum())
    return float((nats - bias) / np.log(2))


def entropy(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """The entropy [...] in bits of distributions p [..., K]; 0 log 0 is 0."""
    p = np.asarray(p, dtype=np.float64)
    return -np.where(p > 0, p * np.log2(np.where(p > 0, p, 1)), 0).sum(-1)


def in_use(weights: NDArray[np.floating]) -> float:
    """As how many values of equal shares those of distributions [N, K] are: 2 to the entropy of
    their mean, from 1 where it is a single one to K."""
    return float(2 ** entropy(np.asarray(weights, dtype=np.float64).mean(0)))
