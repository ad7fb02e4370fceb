"""Clusters: planted directions, nearest centroids by hand, the two stages, what is refused."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from datamodules.clusters import Faiss, Lloyd, MiniBatch, nearest, partition, unit_rows

SIZES = (17, 40, 25)


def planted(seed):
    """Features around three orthogonal directions, one of them long ones; the cluster of each."""
    g = np.random.default_rng(seed)
    directions = np.linalg.qr(g.normal(size=(12, 3)))[0].T
    truth = np.repeat(np.arange(3), SIZES)
    points = directions[truth] + 0.05 * g.normal(size=(len(truth), 12))
    length = 10 ** (g.uniform(-2, 0, size=len(truth)) + 3 * (truth == 1))[:, None]
    order = g.permutation(len(truth))
    return (points * length)[order].astype(np.float32), truth[order]


def around(degrees, n):
    """n copies of a direction of the plane."""
    angle = np.deg2rad(degrees)
    return np.tile([np.cos(angle), np.sin(angle)], (n, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def cloud():
    """A cloud without clusters, where every other rule of assignment differs somewhere."""
    g = np.random.default_rng(3)
    return g.normal([1, 0, 0, 0.5, 0, 0], 1, size=(400, 6)).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("fine", [3, 12])
def test_planted_directions_are_recovered_whatever_their_norms(seed, fine):
    """kills: Euclidean distance, and clusters that are not numbered by falling size."""
    features, truth = planted(seed)
    found = partition([features], fine, 3, seed)
    number = np.array([2, 0, 1])  # of the sizes 17, 40, 25
    assert np.array_equal(found.assignment, number[truth])
    assert found.sizes == [40, 25, 17]


@pytest.mark.parametrize(("fine", "k"), [(30, 5), (5, 5), (400, 4), (7, 1)])
def test_every_picture_goes_to_its_nearest_centroid(cloud, fine, k):
    """kills: the fine centroid's cluster inherited, or centroids of unequal norm compared."""
    found = partition([cloud], fine, k, seed=1)
    distance = cdist(cloud, found.centroids, "cosine")
    best = distance.min(axis=1)
    chosen = distance[np.arange(len(cloud)), found.assignment]
    np.testing.assert_allclose(chosen, best, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, rtol=1e-5)
    assert found.assignment.dtype == np.int64


@pytest.mark.parametrize("seed", range(5))
def test_numbers_go_by_falling_size(cloud, seed):
    """kills: rising or arbitrary numbers, or sizes counted under the old numbers."""
    found = partition([cloud], 40, 6, seed)
    counted = [int((found.assignment == k).sum()) for k in range(6)]
    assert found.sizes == counted == sorted(counted, reverse=True)
    assert sum(counted) == len(cloud)


def test_the_second_stage_counts_fine_centroids_not_pictures():
    """kills: a single k-means, whose first centroid would lie at 0.4 degrees and not at 20."""
    features = np.concatenate([around(0, 100), around(40, 1), around(180, 50)])
    found = partition([features], fine=3, k=2, seed=0)
    assert found.sizes == [101, 50]
    angles = np.rad2deg(np.arctan2(found.centroids[:, 1], found.centroids[:, 0])) % 360
    assert angles == pytest.approx([20, 180], abs=0.01)


def test_the_centroids_are_those_of_the_seed(cloud):
    """kills: a k-means that draws from the global generator, or ignores its seed."""
    first = partition([cloud], 40, 6, seed=0)
    np.random.seed(123)
    again = partition([cloud], 40, 6, seed=0)
    assert np.array_equal(first.assignment, again.assignment)
    assert np.array_equal(first.centroids, again.centroids)
    other = partition([cloud], 40, 6, seed=1)
    assert not np.array_equal(first.assignment, other.assignment)


def test_the_features_are_not_written_to(cloud):
    """kills: normalisation in place, in the store's own array."""
    before = cloud.copy()
    partition([cloud], 10, 2, seed=0)
    assert np.array_equal(cloud, before)


def test_a_blank_picture_disturbs_no_other():
    """kills: a division by the zero norm of a picture of one shade."""
    features, truth = planted(0)
    found = partition([np.concatenate([features, np.zeros((1, 12), np.float32)])], 12, 3, seed=0)
    assert np.array_equal(found.assignment[:-1], np.array([2, 0, 1])[truth])
    assert np.isfinite(found.centroids).all()


@pytest.mark.parametrize(
    ("fine", "k", "message"),
    [
        (41, 41, "K = 41 clusters of 40 pictures"),
        (2, 3, "2 fine centroids must lie between K = 3 and 40"),
        (41, 3, "41 fine centroids must lie between K = 3 and 40"),
    ],
)
def test_impossible_numbers_are_refused(cloud, fine, k, message):
    """kills: an error from inside scikit-learn, or fine centroids capped in silence."""
    with pytest.raises(ValueError, match=message):
        partition([cloud[:40]], fine, k, seed=0)
    partition([cloud[:40]], 40, 40, seed=0)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_an_empty_cluster_is_refused():
    """kills: an expert left without a single picture."""
    with pytest.raises(ValueError, match="leaves a cluster empty"):
        partition([around(30, 20)], fine=2, k=2, seed=0)


def in_parts(features, sizes, folder):
    """The features as mapped files of float16, as an encoded split has them."""
    parts, start = [], 0
    for i, size in enumerate(sizes):
        np.save(folder / f"{i}.npy", features[start : start + size].astype(np.float16))
        parts.append(np.load(folder / f"{i}.npy", mmap_mode="r"))
        start += size
    return parts


def inertia(features, centroids):
    """The mean squared distance of unit features to their nearest centroid."""
    return float((cdist(unit_rows(features), centroids).min(axis=1) ** 2).mean())


@pytest.mark.parametrize("method", [Lloyd(), MiniBatch(batch=32), MiniBatch(batch=4096)], ids=repr)
def test_parts_are_clustered_as_a_whole(tmp_path, method):
    """kills: a part left out, parts clustered one by one, the order of parts lost."""
    features, truth = planted(2)
    found = partition(in_parts(features, (30, 2, 50), tmp_path), 12, 3, 0, method)
    assert np.array_equal(found.assignment, np.array([2, 0, 1])[truth])


def test_small_batches_come_near_to_the_whole(tmp_path):
    """kills: one batch seen again and again, batches of one part alone, centroids of no norm."""
    g = np.random.default_rng(0)
    centres = unit_rows(g.normal(size=(24, 16)))
    features = (np.repeat(centres, 250, 0) + 0.15 * g.normal(size=(6000, 16))).astype(np.float32)
    parts = in_parts(features, (1000,) * 6, tmp_path)  # in order of their centres: the worst case
    full = inertia(features, Lloyd().centroids(parts, 24, 0))
    few = inertia(features, MiniBatch(batch=500, passes=3).centroids(parts, 24, 0))
    assert full < 1.001 * few
    assert few < 1.25 * full
    first = inertia(features, Lloyd().centroids(parts[:1], 24, 0))
    assert first > 2 * few


def test_the_seed_alone_decides(tmp_path):
    """kills: batches from the global generator."""
    parts = in_parts(planted(1)[0], (40, 42), tmp_path)
    method = MiniBatch(batch=16)
    np.random.seed(1)
    first = method.centroids(parts, 8, 5)
    np.random.seed(2)
    assert np.array_equal(method.centroids(parts, 8, 5), first)
    assert not np.array_equal(method.centroids(parts, 8, 6), first)


def test_faiss_finds_the_planted_directions_too(tmp_path):
    """kills: another metric, or rows of other parts than were drawn."""
    pytest.importorskip("faiss", reason="faiss is not installed")
    features, truth = planted(3)
    found = partition(in_parts(features, (30, 52), tmp_path), 12, 3, 0, Faiss())
    assert np.array_equal(found.assignment, np.array([2, 0, 1])[truth])


def test_nearest_is_the_same_in_blocks(cloud, monkeypatch):
    """kills: the last block lost, or blocks out of order."""
    centroids = cloud[:5]
    whole = nearest(cloud, centroids)
    monkeypatch.setattr("datamodules.clusters.ROWS", 33)
    assert np.array_equal(nearest(cloud, centroids), whole)
    assert nearest(cloud[:0], centroids).shape == (0,)
