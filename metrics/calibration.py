"""How far a classifier's probabilities can be believed."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

Probabilities = NDArray[np.floating]
Labels = NDArray[np.int64]


def calibration_error(p: Probabilities, labels: Labels, bins: int = 15) -> float:
    """The expected calibration error: |accuracy - confidence| averaged over bins of confidence.

    p [N, K], labels [N]; equal-width bins weighed by their share.  (Guo et al. 2017, Eq. 3)
    """
    confidence, hit = p.max(axis=1), p.argmax(axis=1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        (which == b).mean() * abs(hit[which == b].mean() - confidence[which == b].mean())
        for b in np.unique(which)
    ]
    return float(sum(gaps))


def log_loss(p: Probabilities, labels: Labels) -> float:
    """-log p of the true label, averaged, in nats; a probability of 0 counts as the least float."""
    chosen = p[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


def temperature(p: Probabilities, labels: Labels) -> float:
    """The T in [0.05, 20] for which p^(1/T), normalised, has the least log loss on labels."""
    logits = np.log(np.maximum(p.astype(np.float64), np.finfo(np.float64).tiny))

    def loss(log_t: float) -> float:
        scaled = log_softmax(logits / np.exp(log_t), axis=1)
        return float(-scaled[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))
