"""The calibration of a classifier's probabilities."""

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating]
Labels = NDArray[np.int64]


def calibration_error(p: Probabilities, labels: Labels, bins: int = 15) -> float:
    """The expected calibration error of p [N, K] for labels [N].  (Guo et al. 2017, Eq. 3)

    The mean over equal-width bins of confidence of |accuracy - confidence|, weighted by the share
    of rows in each bin.
    """
    confidence, hit = p.max(axis=1), p.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        (which == b).mean() * abs(hit[which == b].mean() - confidence[which == b].mean())
        for b in np.unique(which)
    ]
    return float(sum(gaps))


def log_loss(p: Probabilities, labels: Labels) -> float:
    """The mean of -log p of the true label, in nats, of p [N, K] and labels [N].

    A probability of 0 counts as the smallest positive float.
    """
    chosen = p[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def temperature(p: Probabilities, labels: Labels) -> float:
    """The T in [0.05, 20] with the least log loss of p^(1/T), normalised; p [N, K], labels [N]."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    logits = np.log(np.maximum(p.astype(np.float64), np.finfo(np.float64).tiny))

    def loss(log_t: float) -> float:
        scaled = log_softmax(logits / np.exp(log_t), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    minimum = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(minimum.x))
