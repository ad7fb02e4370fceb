"""How well the experts that a selection asks suit the state they are asked about.

"Expert-data alignment" (arXiv 2602.02685) names these measures, but its formulas are not at hand:
the definitions here are this suite's own. Rows are states, and K experts stand in the columns.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def _flat(x: Array) -> Array:
    """[N, ...] -> [N, d] in float64, where small differences are safe."""
    return x.reshape(len(x), -1).astype(np.float64)


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(np.sum(_flat(x) ** 2, axis=1))))


def sensitivity(u: Array, moved: Array, shift: Array) -> float:
    """Effective sensitivity: rms |u(x + shift) - u(x)| / rms |shift|, all [N, ...].

    For a small isotropic shift this is |J|_F / sqrt(d), J = du/dx of the field as it is sampled:
    the change of the router's weights counts, so a selection that jumps is sensitive.
    """
    return _rms(moved - u) / _rms(shift)


def refinement(start: Array, coarse: Array, fine: Array) -> float:
    """Step-refinement disagreement: rms |coarse - fine| / rms |fine - start|, all [N, ...].

    coarse: the state after one solver step; fine: after two of half the size. 0 where the path is
    straight.
    """
    return _rms(coarse - fine) / _rms(fine - start)


def cluster_distance(w: Array, features: Array, centroids: Array) -> float:
    """The mean over states of sum_k w_k (1 - cos(feature, centroid_k)).

    w [N, K]; features [N, F] of the picture that the state belongs to; centroids [K, F].
    """
    a = _flat(features) / np.linalg.norm(_flat(features), axis=1, keepdims=True)
    b = _flat(centroids) / np.linalg.norm(_flat(centroids), axis=1, keepdims=True)
    return float(np.sum(w * (1 - a @ b.T), axis=1).mean())


def expert_errors(each: Array, target: Array) -> NDArray[np.float64]:
    """|u_k - target|^2 / d [N, K] of the experts' velocities each [N, K, ...], target [N, ...]."""
    n, k = each.shape[:2]
    gap = each.reshape(n, k, -1).astype(np.float64) - _flat(target)[:, None]
    return np.mean(gap**2, axis=2)


def selected_error(w: Array, errors: Array) -> float:
    """The mean error of the selected: sum w e over states and experts, w, e [N, K], w's sum N."""
    return float(np.sum(w * errors) / np.sum(w))


def unselected_error(w: Array, errors: Array) -> float | None:
    """The mean error of those not selected: each expert weighs 1 - w. None where all weigh 0.

    Under Top-1 this is the mean over the other experts; under Full an expert counts by how little
    it was listened to.
    """
    left = 1 - w
    return float(np.sum(left * errors) / np.sum(left)) if np.sum(left) > 0 else None


def angular_disagreement(w: Array, each: Array) -> float | None:
    """The mean angle in degrees between an asked expert's velocity and the mixture's.

    sum_k w_k angle(u_k, u), u = sum_k w_k u_k; w [N, K], each [N, K, ...]. Averaged over the states
    that ask more than one expert; None if no state does, since a lone expert agrees with itself.
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
