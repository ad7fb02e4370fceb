"""How well the selected experts fit the states on which they are evaluated.

"Expert-data alignment" (arXiv 2602.02685) names these measures. Its formulas were not available, so
the definitions are this suite's own. N states, K experts, d values in a state.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def _flat(x: Array) -> Array:
    """x [N, ...] as [N, d] in float64, which keeps small differences."""
    return x.reshape(len(x), -1).astype(np.float64)


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.sum(_flat(x) ** 2, axis=1))))


def sensitivity(u: Array, moved: Array, shift: Array) -> float:
    """Effective sensitivity: rms |u(x + shift) - u(x)| / rms |shift|.

    u, moved, shift: [N, ...]: u(x), u(x + shift) and the shift. For a small isotropic shift this is
    |J|_F / sqrt(d), J = du/dx of the sampled field. Changes of the router's weights count too.
    """
    return _rms(moved - u) / _rms(shift)


def refinement(start: Array, coarse: Array, fine: Array) -> float:
    """Step-refinement disagreement: rms |coarse - fine| / rms |fine - start|; 0 on straight paths.

    start, coarse, fine: [N, ...]: the state before, after one solver step, after two half steps.
    """
    return _rms(coarse - fine) / _rms(fine - start)


def cluster_distance(w: Array, features: Array, centroids: Array) -> float:
    """The mean over states of sum_k w_k (1 - cos(feature, centroid_k)).

    w: weights [N, K].  features: [N, F], of each state's picture.  centroids: [K, F].
    """
    a = _flat(features) / np.linalg.norm(_flat(features), axis=1, keepdims=True)
    b = _flat(centroids) / np.linalg.norm(_flat(centroids), axis=1, keepdims=True)
    return float(np.sum(w * (1 - a @ b.T), axis=1).mean())


def expert_errors(each: Array, target: Array) -> NDArray[np.float64]:
    """|u_k - target|² / d [N, K] of all experts' velocities [N, K, ...] and target [N, ...]."""
    n, k = each.shape[:2]
    gap = each.reshape(n, k, -1).astype(np.float64) - _flat(target)[:, None]
    return np.mean(gap**2, axis=2)


def selected_error(w: Array, errors: Array) -> float:
    """The weighted mean of errors [N, K] over states and experts, with weights w [N, K]."""
    return float(np.sum(w * errors) / np.sum(w))


def unselected_error(w: Array, errors: Array) -> float | None:
    """The mean of errors [N, K] with weights 1 - w, w [N, K]; None if all weights are 0.

    With Top-1 this is the mean over the other experts.
    """
    rest = 1 - w
    return float(np.sum(rest * errors) / np.sum(rest)) if np.sum(rest) > 0 else None


def angular_disagreement(w: Array, each: Array) -> float | None:
    """The mean angle in degrees between an expert's velocity and the mixture's.

    sum_k w_k angle(u_k, u) with u = sum_k w_k u_k, averaged over the states with more than one
    selected expert; None if there are none.
    w: weights [N, K].  each: all experts' velocities [N, K, ...].
    """
    several = (w > 0).sum(axis=1) > 1
    if not several.any():
        return None
    w, u_k = w[several], each[several].reshape(several.sum(), w.shape[1], -1).astype(np.float64)
    u = np.einsum("nk,nkd->nd", w, u_k)
    norms = np.linalg.norm(u_k, axis=2) * np.linalg.norm(u, axis=1)[:, None]
    cosine = np.einsum("nkd,nd->nk", u_k, u) / np.maximum(norms, np.finfo(np.float64).tiny)
    angle = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    return float(np.sum(w * angle, axis=1).mean())
