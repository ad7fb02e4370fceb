"""The measured clustering: what is planted, what is held, what is projected, all known before."""

import sys
import tracemalloc
from dataclasses import replace
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from datamodules.clusters import Lloyd, MiniBatch, _sample, assignment_file, partition
from experiments.bench import clustering
from experiments.measures import clustering as measures
from experiments.measures.clustering import Clustered, Planted, distance, mapped, watched
from experiments.pipeline.store import Context, Store
from experiments.recipes.images import SCALES
from tests.helpers.hungry import MB, Hungry

PLANTED = Planted(parts=3, rows=500, width=32, directions=4, groups=4, spread=0, noise=0.2, seed=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    found = Store(tmp_path_factory.mktemp("store"))
    found.make(PLANTED, Context(found))
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no /proc to read")
def test_what_is_held_is_seen_from_outside(tmp_path):
    """kills: mapped pages counted, the start's hundreds of MB left in, a look at the end alone."""
    paths = [tmp_path / f"{i}.npy" for i in range(10)]
    g = np.random.default_rng(0)
    for path in paths:  # 160 MiB in all
        np.save(path, g.standard_normal((2**18, 16), dtype=np.float32))
    found, held = watched((paths, 16, 8, 0, Hungry(), tmp_path))
    assert 150 * MB < held < 230 * MB  # beside it 16 MiB twice over, for a block of distances
    assert sum(found.sizes) == 10 * 2**18
    assert found.seconds > 0


def test_memory_does_not_grow_with_the_data(tmp_path, monkeypatch):
    """kills: the assignment held, a permutation of all rows, parts concatenated."""
    monkeypatch.setattr("datamodules.clusters.ROWS", 4096)
    np.save(tmp_path / "part.npy", np.random.default_rng(0).normal(size=(10_000, 8)))

    def held(parts):
        found = mapped([tmp_path / "part.npy"] * parts)
        assigned = assignment_file(tmp_path, 10_000 * parts)
        tracemalloc.start()
        partition(found, 8, 2, 0, MiniBatch(batch=2048, passes=1), assigned)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    held(1)  # imports
    assert held(16) - held(2) < 14 * 10_000  # a byte a feature


def test_a_streamed_assignment_is_the_same_file(store, tmp_path):
    """kills: another type or order in the file, old numbers left in some part."""
    parts = mapped(PLANTED.paths(store, 3))
    whole = partition([np.concatenate(parts)], 12, 4, 0)
    partition(parts, 12, 4, 0, into=assignment_file(tmp_path, 1500))
    np.save(tmp_path / "whole.npy", whole.assignment)
    assert (tmp_path / "assignment.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_drawn_rows_are_distinct_and_from_everywhere():
    """kills: rows drawn twice, of the first part alone, or more than there are."""
    parts = [np.arange(0, 30)[:, None], np.arange(30, 100)[:, None]]
    drawn = np.array([_sample(parts, 20, seed)[:, 0] for seed in range(400)])
    assert all(len(set(rows)) == 20 for rows in drawn)
    share = np.bincount(drawn.ravel(), minlength=100) / 400
    assert np.abs(share - 0.2).max() < NormalDist().inv_cdf(1 - 1e-4 / 100) * np.sqrt(0.16 / 400)
    assert np.array_equal(_sample(parts, 1000, 0)[:, 0], np.arange(100))


def test_planted_features_are_as_said(store):
    """kills: equal weights, one noise for all parts, parts that depend on how many there are."""
    parts = mapped(PLANTED.paths(store, 3))
    assert {(part.shape, part.dtype.name) for part in parts} == {((500, 32), "float16")}
    whose = cdist(np.concatenate(parts).astype(float), PLANTED.centres).argmin(axis=1)
    weight = np.arange(1, 5) ** -0.5
    np.testing.assert_allclose(np.bincount(whose) / 1500, weight / weight.sum(), atol=0.04)
    away = np.concatenate(parts) - PLANTED.centres[whose]
    assert np.linalg.norm(away, axis=1).mean() == pytest.approx(0.2, rel=0.02)
    assert not np.array_equal(parts[0], parts[1])
    fewer = replace(PLANTED, parts=1)
    store.make(fewer, Context(store))
    assert np.array_equal(mapped(fewer.paths(store, 1))[0], parts[0])


def test_the_distance_is_that_of_cosines(store, monkeypatch):
    """kills: the last block or part left out, squared distances, centroids of another norm."""
    monkeypatch.setattr(measures, "ROWS", 333)
    parts = mapped(PLANTED.paths(store, 3))
    centroids = np.random.default_rng(0).normal(size=(7, 32)) * np.arange(1, 8)[:, None]
    best = cdist(np.concatenate(parts).astype(float), centroids, "cosine").min(axis=1).mean()
    assert distance(parts, centroids) == pytest.approx(best, rel=1e-5)


def test_what_is_measured_is_what_was_planted(store, monkeypatch):
    """kills: ratios upside down or of other features, all parts where some were asked for."""
    monkeypatch.setattr(measures, "watched", lambda task: (measures._clustered(task), None))
    full = Clustered(PLANTED, 2, 4, 4, Lloyd(1, 100), 0)
    few = Clustered(PLANTED, 2, 4, 4, MiniBatch(batch=50, passes=1), 0, full)
    for stage in (full, few):
        store.make(stage, Context(store))
    best, found = full.read(store), few.read(store)
    parts = mapped(PLANTED.paths(store, 2))
    sizes = np.bincount(cdist(np.concatenate(parts).astype(float), PLANTED.centres).argmin(axis=1))
    assert best["balance"] == found["balance"] == sizes.max() / sizes.min()
    assert best["fine"] == pytest.approx(distance(parts, PLANTED.centres), rel=0.02)
    assert found["fine_ratio"] == found["fine"] / best["fine"] >= 1
    assert found["coarse_ratio"] == found["coarse"] / best["coarse"]
    assert not {"fine_ratio", "bytes"} & best.keys()  # missing, not 1 or 0


def test_the_rows_are_compared_on_the_same_features():
    """kills: a ratio over a clustering of other features, of another K or seed; N misnamed."""
    found = clustering.rows(SCALES["small"], 3)
    assert {row.names["Features"] for row in found} == {
        "131,072",
        "262,144",
        "524,288",
        "1,048,576",
    }
    for row in found:
        one = row.measured
        assert row.names["Features"] == f"{one.parts * one.planted.rows:,}"
        assert (one.fine, one.k, one.seed, one.planted.seed) == (256, 8, 3, 3)
        if row.names["Method"] != clustering.FULL:
            assert replace(one, method=one.full.method, full=None) == one.full


def test_the_projection_is_a_line_through_what_was_measured():
    """kills: width or fine centroids forgotten, the constant part scaled with N or left out."""
    rows = [
        row for row in clustering.rows(SCALES["small"], 0) if row.names["Method"] == clustering.MINI
    ]
    costs = {
        "seconds": [10 + 20 * row.measured.parts * row.measured.planted.rows / 1e6 for row in rows],
        "bytes": [50.0, 51.0, 52.0, 53.0],
    }
    part = SimpleNamespace(
        rows=[rows], mean=lambda i, column: SimpleNamespace(mean=costs[column.key][i])
    )
    seconds, held = clustering.tests(SimpleNamespace(where=lambda name, value: part))
    hours = (1024 / 64) * (1024 / 256) * (10 + 20 * 11) / 3600
    assert "are 10.0 and 20.0 a million features" in seconds
    assert f"take {hours:.1f} hours" in seconds
    assert "22.5 GB" in seconds
    assert "from 50 to 53 MB" in held
    assert f"ask for {53 * 16 / 1e3:.1f} GB" in held
    costs["bytes"] = [None] * 4
    assert len(clustering.tests(SimpleNamespace(where=lambda name, value: part))) == 1
