"""Metrics against closed forms, loops written by hand, and a judge that must be trustworthy."""

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance

from datamodules.sources.digits import Digits
from datamodules.sources.source import Split
from metrics.diversity import agreement, spread, within_groups
from metrics.embedded import ClassJudge, _shift, classify, train_judge
from metrics.frechet import frechet_distance, kernel_distance


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def covariance(seed, n):
    """A covariance of no special form: two of them do not commute."""
    root = random(seed, n, n)
    return root @ root.T / n + 0.1 * np.eye(n)


def exactly(mean, cov, rows, seed):
    """Rows whose sample mean and unbiased sample covariance are just these."""
    z = random(seed, rows, len(mean))
    z -= z.mean(axis=0)
    white = z @ np.linalg.inv(np.linalg.cholesky(z.T @ z / (rows - 1))).T
    return mean + white @ np.linalg.cholesky(cov).T


def closed_form(mean_a, a, mean_b, b):
    """The distance of two Gaussians, by the eigenvalues of a^1/2 b a^1/2."""
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    shared = np.sqrt(np.linalg.eigvalsh(root @ b @ root).clip(0)).sum()
    return np.square(mean_a - mean_b).sum() + np.trace(a) + np.trace(b) - 2 * shared


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rows", [(7, 7), (12, 30), (200, 9)])
def test_frechet_distance_of_known_gaussians(seed, rows):
    """kills: biased covariances, unsquared means, a root of each factor on its own."""
    mean_a, mean_b = random(seed, 2, 6)
    a, b = covariance(seed + 10, 6), covariance(seed + 20, 6)
    assert np.abs(a @ b - b @ a).max() > 0.1
    found = frechet_distance(exactly(mean_a, a, rows[0], seed), exactly(mean_b, b, rows[1], 5))
    assert found == pytest.approx(closed_form(mean_a, a, mean_b, b), rel=1e-9)


def test_frechet_distance_of_independent_features():
    """kills: variances compared in the place of deviations."""
    a = exactly(np.array([1.0, 5.0]), np.diag([4.0, 9.0]), 20, 0)
    b = exactly(np.array([-2.0, 5.0]), np.diag([25.0, 1.0]), 20, 1)
    expected = (1 + 2) ** 2 + (2 - 5) ** 2 + (3 - 1) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-10)


@pytest.mark.filterwarnings("ignore:Matrix is singular")
def test_frechet_distance_with_fewer_rows_than_features():
    """kills: a ridge on the singular covariances of a small sample."""
    a, b = random(0, 20, 64), 0.5 * random(1, 32, 64) + 1
    a[:, :10] = 0
    expected = closed_form(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rows", [(40, 60), (5, 60)])
def test_frechet_distance_is_a_distance_of_sets(rows):
    """kills: a reference side treated otherwise, rows paired with each other, a residue at 0."""
    a, b = random(0, rows[0], 12), 2 * random(1, rows[1], 12) + 0.3
    found = frechet_distance(a, b)
    g = np.random.default_rng(2)
    assert frechet_distance(b, a) == pytest.approx(found, rel=1e-6)
    assert frechet_distance(g.permutation(a), g.permutation(b)) == pytest.approx(found, rel=1e-6)
    assert frechet_distance(a, g.permutation(a)) == pytest.approx(0, abs=1e-5)
    assert frechet_distance(a, a + 3) == pytest.approx(12 * 9, rel=1e-6)


def test_frechet_distance_counts_in_float64():
    """kills: moments of float32 features taken in float32."""
    a = (random(0, 500, 8) + 2000).astype(np.float32)
    b = (random(1, 500, 8) * 1.1 + 2000).astype(np.float32)
    expected = frechet_distance(a.astype(np.float64) - 2000, b.astype(np.float64) - 2000)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(bad):
    """kills: minutes of a matrix root that ends in LinAlgError, or a distance of NaN in a table."""
    a = random(0, 50, 5)
    b = a.copy()
    b[7, 2] = b[9, 0] = bad
    with pytest.raises(ValueError, match="2 of 50 rows of features are not finite"):
        frechet_distance(a, b)


def test_frechet_distance_is_pytorch_fids():
    """kills: a formula of our own that published numbers do not share."""
    a, b = random(0, 50, 5), random(1, 70, 5) @ covariance(3, 5)
    moments = [m for x in (a, b) for m in (x.sum(0) / len(x), np.cov(x.T))]
    assert frechet_distance(a, b) == pytest.approx(calculate_frechet_distance(*moments), rel=1e-12)


@pytest.mark.parametrize("rows", [(1, 9), (9, 1), (0, 9), (1, 1)])
def test_frechet_distance_needs_two_rows(rows):
    """kills: nan for a set that has no covariance."""
    with pytest.raises(ValueError, match=f"not {rows[0]} and {rows[1]}"):
        frechet_distance(random(0, rows[0], 3), random(1, rows[1], 3))


def mmd(a, b):
    """The unbiased MMD^2 under (x.y / F + 1)^3, one pair after the other."""

    def k(x, y):
        return (float(np.dot(x, y)) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    aa = sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    bb = sum(k(b[i], b[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return aa + bb - 2 * sum(k(x, y) for x in a for y in b) / (n * m)


@pytest.mark.parametrize("rows", [(15, 15), (8, 15), (15, 8)])
def test_kernel_distance_is_a_loop_over_pairs(rows):
    """kills: the diagonal kept, another kernel, or one set's size used for both."""
    a, b = random(0, rows[0], 6), 1.5 * random(1, rows[1], 6) + 0.4
    assert kernel_distance(a, b) == pytest.approx(mmd(a, b), rel=1e-9)
    assert kernel_distance(b, a) == pytest.approx(mmd(a, b), rel=1e-9)


def test_kernel_distance_of_one_distribution_is_zero_on_average():
    """kills: the biased estimate, which no set size makes zero; its bias is 50 errors here."""
    g = np.random.default_rng(0)
    found = [kernel_distance(*g.normal(size=(2, 12, 4))) for _ in range(600)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert min(found) < 0 < max(found)


def test_kernel_distance_counts_in_float64():
    """kills: kernels cubed and added in float32."""
    a, b = (30 * random(seed, 60, 8).astype(np.float32) for seed in (0, 1))
    expected = mmd(a.astype(np.float64), b.astype(np.float64))
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_diversity_is_a_loop_over_groups():
    """kills: pairs across groups, squared distances, groups weighted by their pairs, or a group's
    number under another's name."""
    features = random(0, 12, 5)
    groups = np.array([3, 7, 3, 0, 7, 3, 3, 9, 3, 3, 7, 0])  # 9 stands alone
    spreads = {}
    for group in (0, 3, 7):
        rows = [i for i in range(12) if groups[i] == group]
        pairs = [(i, j) for i in rows for j in rows if i < j]
        distances = [np.sqrt(np.square(features[i] - features[j]).sum()) for i, j in pairs]
        spreads[str(group)] = sum(distances) / len(pairs)
    found = within_groups(features, groups)
    assert found == pytest.approx(spreads, rel=1e-12)
    assert spread(features[groups == 3]) == pytest.approx(spreads["3"], rel=1e-12)


def test_singletons_say_nothing_of_diversity():
    """kills: nan or zero, which would read as a collapsed model."""
    assert within_groups(random(0, 4, 3), np.arange(4)) == {}
    assert within_groups(np.ones((4, 3)), np.array(["a", "a", "b", "c"])) == {"a": 0}


def test_agreement_is_a_share():
    """kills: a count, an error rate, or a comparison of sets."""
    named = np.array([1, 2, 3, 4, 1])
    assert agreement(np.array([1, 3, 2, 4, 1]), named) == pytest.approx(0.6)
    assert agreement(named, named) == 1
    assert agreement(named + 1, named) == 0


@pytest.fixture(scope="module")
def hasty():
    """A judge of twenty steps, and the pictures that it learned from."""
    split = Digits(200, 100, 100).read(Split.JUDGE)
    return train_judge(split.images, split.labels, 20, seed=3), split


def test_the_judge_is_a_function_of_its_seed(hasty):
    """kills: weights, order, shifts or noise from the global generator, or that one reseeded."""
    judge, split = hasty
    torch.manual_seed(77)
    again = train_judge(split.images, split.labels, 20, seed=3)
    after = torch.rand(3)
    torch.manual_seed(77)
    assert torch.equal(after, torch.rand(3))
    other = train_judge(split.images, split.labels, 20, seed=4)
    for p, q, r in zip(judge.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
        assert not torch.equal(p, r)


def test_what_is_judged_does_not_depend_on_the_batch(hasty):
    """kills: a judge left in training mode, a last batch lost, or classes out of order."""
    judge, split = hasty
    features, classes = classify(judge, split.images)
    assert (features.shape, classes.shape) == ((100, 64), (100,))
    for batch in (1, 7, 99, 100, 101):
        f, c = classify(judge, split.images, batch)
        np.testing.assert_allclose(f, features, rtol=1e-4, atol=1e-5)
        assert np.array_equal(c, classes)
    logits = judge(torch.from_numpy(split.images)).numpy()
    assert np.array_equal(logits.argmax(axis=1), classes)
    weight, bias = (p.numpy() for p in judge.head.parameters())
    np.testing.assert_allclose(features.clip(0) @ weight.T + bias, logits, rtol=1e-4, atol=1e-4)


def test_a_shift_moves_by_at_most_a_pixel_over_no_ink():
    """kills: a border of grey, pixels wrapped around, shifts along one axis or along both alike."""
    x = torch.from_numpy(np.random.default_rng(0).uniform(-0.9, 1, (900, 1, 8, 8)))
    shifted = _shift(x, torch.Generator().manual_seed(0)).numpy()
    moves = {}
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            moved = np.full((900, 1, 8, 8), -1.0)
            for r in range(max(0, down), min(8, 8 + down)):
                for c in range(max(0, right), min(8, 8 + right)):
                    moved[:, 0, r, c] = x[:, 0, r - down, c - right]
            moves[down, right] = int((moved == shifted).all(axis=(1, 2, 3)).sum())
    assert sum(moves.values()) == 900
    assert min(moves.values()) > 60  # 100 each, give or take 10


@pytest.mark.slow
def test_the_judge_recognises_held_out_digits():
    """kills: a judge too weak to judge: labels torn from pictures, no shifts, a rate that fails."""
    digits = Digits()
    split, heldout = digits.read(Split.JUDGE), digits.read(Split.HELDOUT)
    judge = train_judge(split.images, split.labels, 600, seed=0)
    assert isinstance(judge, ClassJudge)
    assert not any(p.requires_grad for p in judge.parameters())
    assert agreement(classify(judge, heldout.images)[1], heldout.labels) >= 0.97
