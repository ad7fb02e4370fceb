"""What is measured rather than trained on: encoded splits, their clusters, noised pictures."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from datamodules.encoders.encoder import PixelLatents
from datamodules.sources.digits import Digits
from datamodules.sources.source import Records, SourceError, Split
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages.clusters import Encoded, noised
from modules.schedules import Cosine, Linear
from tests.helpers.stages import make

SMOKE = turned(SCALES["smoke"], {"data.clusters": 4})
CLUSTERS = experts.shards(SMOKE).clusters


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with the shards and every split encoded."""
    store, data = Store(tmp_path_factory.mktemp("encoded")), experts.shards(SMOKE)
    for stage in (data, *(Encoded(CLUSTERS, split) for split in Split)):
        make(store, stage)
    return store


def loaded(store, split):
    return experts.encoded(SMOKE, split).load(store)


def test_the_training_split_lies_in_the_clusters_it_made(store):
    """kills: other features, centroids of another number, or a distance of another kind."""
    assignment = np.load(store.path(CLUSTERS) / "assignment.npy")
    assert np.array_equal(loaded(store, Split.TRAIN)["cluster"].numpy(), assignment)
    assert len(np.unique(assignment)) == 4


def test_other_pictures_lie_in_the_nearest_cluster(store):
    """kills: clusters made anew for the split, the farthest centroid, or one found by its norm."""
    centroids = np.load(store.path(CLUSTERS) / "centroids.npy")
    for split in (Split.JUDGE, Split.HELDOUT):
        images = SMOKE.data.source.read(split).images.reshape(-1, 64).astype(np.float64)
        features = images - images.mean(axis=1, keepdims=True)
        distance = cdist(features, centroids, "cosine")
        assert loaded(store, split)["cluster"].tolist() == distance.argmin(axis=1).tolist()


@pytest.mark.parametrize("split", list(Split), ids=lambda split: split.name)
def test_what_is_encoded_is_the_split_row_by_row(store, split):
    """kills: another split, rows in another order, captions of other pictures, labels lost."""
    found, records = loaded(store, split), SMOKE.data.source.read(split)
    assert np.array_equal(found["x0"].numpy(), records.images)
    assert found["labels"].tolist() == records.labels.tolist()
    tokens, pooled = experts.shards(SMOKE).text.encode(records.captions)
    assert np.array_equal(found["tokens"].numpy(), tokens)
    assert np.array_equal(found["pooled"].numpy(), pooled)
    assert {found[name].dtype for name in ("x0", "tokens", "pooled")} == {torch.float32}


def test_every_split_has_a_key_of_its_own():
    """kills: a split outside the key, so that held-out numbers are read from training pictures."""
    assert len({experts.encoded(SMOKE, split).key for split in Split}) == 3


@pytest.mark.parametrize("schedule", [Linear(), Cosine()])
@pytest.mark.parametrize("t", [None, 0.0, 0.35, 1.0])
def test_noised_pictures_lie_on_the_schedule(store, schedule, t):
    """kills: another schedule, eps that is not the one in x_t, a time that is not the one asked."""
    data = loaded(store, Split.HELDOUT)
    x, times, eps, c = noised(data, schedule, seed=3, t=t)
    assert times.shape == (len(data["x0"]),)
    alpha, sigma = (f(times)[:, None, None, None] for f in (schedule.alpha, schedule.sigma))
    torch.testing.assert_close(x, alpha * data["x0"] + sigma * eps)
    if t is not None:
        assert times.tolist() == pytest.approx([t] * len(times))
    assert c.keep.all()
    assert torch.equal(c.pooled, data["pooled"])
    assert torch.equal(c.tokens, data["tokens"])


def test_noise_is_a_function_of_the_seed_alone(store):
    """kills: draws from the global generator, one eps for all rows, or times that repeat."""
    data = loaded(store, Split.TRAIN)
    torch.manual_seed(1)
    _, times, eps, _ = noised(data, Linear(), seed=3)
    torch.manual_seed(2)
    again, other = noised(data, Linear(), seed=3), noised(data, Linear(), seed=4)
    assert torch.equal(again[1], times)
    assert torch.equal(again[2], eps)
    assert (other[2] - eps).abs().max() > 1
    assert len(times.unique()) == len(eps.flatten(1).unique(dim=0)) == len(times)


def test_times_are_uniform_and_noise_is_normal():
    """kills: times that keep away from an end, or noise of another deviation."""
    n = 4000
    data = {"x0": torch.zeros(n, 1), "tokens": torch.zeros(n, 1, 1), "pooled": torch.zeros(n, 1)}
    _, times, eps, _ = noised(data, Linear(), seed=0)
    uniform = torch.arange(n) / n
    assert float((times.sort().values - uniform).abs().max()) < 1.95 / n**0.5  # Kolmogorov, 0.1 %
    assert float(eps.var()) == pytest.approx(1, abs=0.08)


def test_a_part_without_a_picture_is_passed_over(tmp_path, monkeypatch):
    """kills: shards, clusters or splits that ask an empty part for its arrays."""
    split, real = Split.TRAIN, Digits.batches

    def batches(self, split, part, size, refused):
        return real(self, split, "digits", size, refused) if part == "digits" else iter(())

    expected = make(Store(tmp_path / "whole"), Encoded(CLUSTERS, split)) / "cluster.npy"
    monkeypatch.setattr(Digits, "parts", lambda self, split: ("none", "digits", "nothing"))
    monkeypatch.setattr(Digits, "batches", batches)
    store = Store(tmp_path / "parts")
    for stage in (experts.shards(SMOKE), Encoded(CLUSTERS, split)):
        make(store, stage)
    assert experts.shards(SMOKE).pictures(store) == SMOKE.data.source.train
    assert np.array_equal(np.load(store.path(stage) / "cluster.npy"), np.load(expected))


def _spoilt(images):
    """Latents of pictures, of which the fourth holds a NaN and the sixth an infinity."""
    latents = images.copy()
    latents[3, 0, 0, 0], latents[5, 0, 1, 1] = np.nan, np.inf
    return latents


def test_a_latent_that_is_not_finite_is_a_bad_record(tmp_path, monkeypatch):
    """kills: a NaN that is cached, sharded and trained on; its caption or label left to another."""
    stage, store = replace(CLUSTERS.encoded, split=Split.HELDOUT), Store(tmp_path)
    whole = SMOKE.data.source.read(Split.HELDOUT)
    kept = [i for i in range(len(whole)) if i not in (3, 5)]
    monkeypatch.setattr(PixelLatents, "encode", lambda self, images, device: _spoilt(images))
    make(store, stage)
    assert np.array_equal(stage.array(store, "latents"), whole.images[kept])
    captions, labels = stage.captions(store)
    assert captions == [whole.captions[i] for i in kept]
    assert labels.tolist() == whole.labels[kept].tolist()
    told = json.loads((store.path(stage) / "refused.json").read_text())
    assert told["kept"] == len(kept)
    assert told["bad"] == [[whole.keys[i], "its latents are not finite"] for i in (3, 5)]


def test_too_many_of_them_stop_the_encoding(tmp_path, monkeypatch):
    """kills: a decoder gone wrong that quietly leaves a tenth of the data."""

    def broken(self, images, device):
        latents = images.copy()
        latents[:10] = np.nan
        return latents

    monkeypatch.setattr(PixelLatents, "encode", broken)
    stage, store = replace(CLUSTERS.encoded, split=Split.HELDOUT), Store(tmp_path)
    with pytest.raises(SourceError, match="10 of 32 records are bad"):
        make(store, stage)
    assert not store.has(stage)


def test_a_killed_encoding_goes_on_with_the_next_part(tmp_path, monkeypatch):
    """kills: parts encoded again, a half-written part taken for a whole one, parts out of order."""
    split = Split.HELDOUT
    whole = SMOKE.data.source.read(split)
    thirds = np.array_split(np.arange(len(whole)), 3)

    def batches(self, split, part, size, refused):
        rows = thirds[int(part)]
        asked.append(part)
        if part == "1" and asked.count("1") == 1:
            raise KeyboardInterrupt
        refused.kept += len(rows)
        captions = [whole.captions[i] for i in rows]
        keys = [whole.keys[i] for i in rows]
        yield Records(keys, whole.images[rows], whole.labels[rows], captions)

    asked = []
    monkeypatch.setattr(Digits, "parts", lambda self, split: ("0", "1", "2"))
    monkeypatch.setattr(Digits, "batches", batches)
    store, stage = Store(tmp_path), replace(CLUSTERS.encoded, split=split)
    with pytest.raises(KeyboardInterrupt):
        make(store, stage)
    make(store, stage)
    assert asked == ["0", "1", "1", "2"]
    assert np.array_equal(stage.array(store, "latents"), whole.images)
    assert stage.captions(store)[0] == whole.captions
    assert json.loads((store.path(stage) / "refused.json").read_text())["kept"] == len(whole)
