"""Precision, recall, density and coverage against loops, torch-fidelity and what must hold."""

import numpy as np
import pytest
import sklearn.metrics
import torch
from torch_fidelity.metric_prc import calculate_precision_recall_part

from metrics.manifold import coverage, density, precision, radii, recall


def points(seed, n, d=4, scale=1.0, shift=0.0):
    return shift + scale * np.random.default_rng(seed).normal(size=(n, d))


def distance(a, b):
    return float(np.sqrt(sum((p - q) ** 2 for p, q in zip(a, b, strict=True))))


def ball(x, i, k):
    """The reach of x[i] to its k-th nearest other."""
    return sorted(distance(x[i], x[j]) for j in range(len(x)) if j != i)[k - 1]


def looped(real, fake, k):
    """The four numbers, read off the papers' definitions point by point."""
    around_real = [ball(real, i, k) for i in range(len(real))]
    around_fake = [ball(fake, j, k) for j in range(len(fake))]
    held = [[distance(r, f) <= around_real[i] for i, r in enumerate(real)] for f in fake]
    reached = [any(distance(r, f) <= around_fake[j] for j, f in enumerate(fake)) for r in real]
    occupied = [any(row[i] for row in held) for i in range(len(real))]
    return {
        "precision": sum(map(any, held)) / len(fake),
        "recall": sum(reached) / len(real),
        "density": sum(map(sum, held)) / (k * len(fake)),
        "coverage": sum(occupied) / len(real),
    }


def found(real, fake, k):
    four = (precision, recall, density, coverage)
    return {measure.__name__: measure(real, fake, k) for measure in four}


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("sizes", [(30, 30), (40, 17), (12, 35)])
def test_each_is_a_loop_over_points(k, sizes):
    """kills: a point its own neighbour, real for fake, k off by one, the other set's balls."""
    real, fake = points(0, sizes[0]), points(1, sizes[1], scale=1.4, shift=0.5)
    expected = looped(real, fake, k)
    assert found(real, fake, k) == pytest.approx(expected, rel=1e-12)
    assert len(set(expected.values())) > 2


@pytest.mark.parametrize("k", [3, 4])
def test_precision_and_recall_are_torch_fidelitys(k):
    """kills: a reading of the definitions that only the loop above shares."""
    real, fake = points(0, 300, 8), points(1, 250, 8, scale=1.2, shift=0.3)
    theirs = calculate_precision_recall_part(torch.from_numpy(fake), torch.from_numpy(real), k)
    assert (precision(real, fake, k), recall(real, fake, k)) == pytest.approx(theirs)
    assert 0.02 < min(theirs) < max(theirs) < 0.98


def test_by_hand():
    """kills: open balls. On a line, 0 1 2 10 with k = 1 reach 1, 1, 1 and 8."""
    real = np.array([[0.0], [1.0], [2.0], [10.0]])
    fake = np.array([[3.0], [-5.0], [18.0], [1.5]])
    assert radii(real, 1).tolist() == [1, 1, 1, 8]
    # 3: in the balls of 2 and 10; -5: in none; 18: in that of 10; 1.5: in those of 1 and 2.
    assert precision(real, fake, 1) == 3 / 4
    assert density(real, fake, 1) == 5 / 4
    assert coverage(real, fake, 1) == 3 / 4


def test_of_one_distribution():
    """kills: a scale: density is 1 and coverage 1 - C(M+N-k-1, M) / C(M+N-1, M), about 1 - 2^-k."""
    real, fake = points(0, 1500, 3), points(1, 1500, 3)
    assert density(real, fake) == pytest.approx(1, abs=0.05)
    assert coverage(real, fake) == pytest.approx(1 - 2**-5, abs=0.02)


def test_a_collapse_and_a_spread_are_told_apart():
    """kills: fidelity and variety under each other's names."""
    real = points(0, 200)
    collapsed, spread = points(1, 200, scale=0.05), points(1, 200, scale=6)
    assert precision(real, collapsed) > 0.95 > 0.05 > recall(real, collapsed)
    assert recall(real, spread) > 0.9 > 0.3 > precision(real, spread)
    assert density(real, collapsed) > 1.2 > 0.1 > density(real, spread)
    assert coverage(real, collapsed) < 0.2


def test_nothing_hangs_on_order_place_scale_or_kind():
    """kills: distances by |x|² + |y|² - 2 x.y in float32, or far from the origin."""
    real, fake = points(0, 60), points(1, 50, scale=1.3)
    expected = found(real, fake, 3)
    g = np.random.default_rng(5)
    assert found(g.permutation(real), g.permutation(fake), 3) == expected
    assert found(real + 1e5, fake + 1e5, 3) == expected
    assert found(1e-3 * real, 1e-3 * fake, 3) == expected
    assert found(real.astype(np.float32), fake.astype(np.float32), 3) == expected
    assert found(real, real, 3)["precision"] == found(real, real, 3)["coverage"] == 1


def test_blocks_change_nothing(monkeypatch):
    """kills: a block lost, or a neighbour sought within its own block."""
    real, fake = points(0, 400), points(1, 300, scale=1.3)
    expected = found(real, fake, 3)
    whole = sklearn.metrics.pairwise_distances_chunked
    small = lambda x, y, working_memory: whole(x, y, working_memory=0.02)  # noqa: E731
    assert len(list(small(real, fake, 1))) > 5
    monkeypatch.setattr(sklearn.metrics, "pairwise_distances_chunked", small)
    assert found(real, fake, 3) == expected


@pytest.mark.parametrize("k", [0, 5, 6])
def test_there_must_be_neighbours(k):
    """kills: an index from the end, or the point itself as its neighbour."""
    with pytest.raises(ValueError, match=f"5 points have no {k}-th nearest"):
        radii(points(0, 5), k)
