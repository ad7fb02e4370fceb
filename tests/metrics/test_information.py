"""Distances and information of discrete variables, against closed forms."""

import numpy as np
import pytest

from metrics.information import entropy, in_use, mutual_information, shares, total_variation
from metrics.nearest import nearest_distances


def test_total_variation_is_half_the_differences():
    """kills: the whole sum, the greatest difference of one value."""
    p, q = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.2, 0.3, 0.1, 0.4])
    assert total_variation(p, q) == pytest.approx(0.4)
    assert total_variation(p, p) == 0
    assert total_variation(np.eye(2)[0], np.eye(2)[1]) == 1
    assert shares(np.array([2, 0, 2, 2]), 4).tolist() == [0.25, 0, 0.75, 0]


def test_entropy_is_in_bits_and_of_each_distribution():
    """kills: nats for bits, NaN of a probability 0, a sum over rows."""
    p = np.array([[[0.5, 0.5, 0, 0], [0.25] * 4], [[1, 0, 0, 0], [0.5, 0.25, 0.125, 0.125]]])
    np.testing.assert_allclose(entropy(p), [[1, 2], [0, 1.75]], atol=1e-12)


def test_as_many_are_in_use_as_share_the_mean():
    """kills: the mean of entropies, in which experts that take turns are one."""
    assert in_use(np.eye(4)) == pytest.approx(4)
    assert in_use(np.eye(4)[[2, 2, 2]]) == pytest.approx(1)
    assert in_use(np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]])) == pytest.approx(2)


def test_information_of_a_function_is_its_entropy():
    """kills: nats for bits, a correction with another sign or of another size."""
    a = np.arange(8_000) % 8
    assert mutual_information(a, a) == pytest.approx(3 + 7 / (16_000 * np.log(2)))
    halves = mutual_information(a, a // 4)
    assert halves == pytest.approx(1 + 1 / (16_000 * np.log(2)))


def test_information_of_independent_variables_is_none():
    """kills: the plug-in's bias, which is far above zero here."""
    rng = np.random.default_rng(0)
    found = [mutual_information(*rng.integers(0, 16, (2, 2_000))) for _ in range(40)]
    biased = 15 * 15 / (2 * 2_000 * np.log(2))
    assert np.mean(found) == pytest.approx(0, abs=0.1 * biased)


def test_nearest_is_over_all_batches():
    """kills: the last batch alone, squares for distances, a norm left out."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 3, 4, 4)), rng.normal(size=(50, 3, 4, 4))
    b[31] = a[2]
    apart = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=(2, 3, 4))).min(axis=1)
    found = nearest_distances(a, (b[i : i + 20] for i in range(0, 50, 20)))
    assert found == pytest.approx(apart, abs=2e-3)
    assert apart[2] == 0
