"""Batches that are drawn: a function of their number, their cluster's alone, in any slicing."""

import builtins
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from datamodules.encoders.causal import CausalPatches
from datamodules.encoders.encoder import PixelFeatures
from datamodules.encoders.first_frame import FirstFrame
from datamodules.encoders.words import Words
from datamodules.sources.moving_digits import CAPTIONS, MOTIONS, MovingDigits
from datamodules.sources.source import Split
from datamodules.streams import DrawnClipData, EncodedCaptions
from experiments.recipes import experts
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.stages.corpus import Shards, Streamed
from modules.denoising import FlowMatchingExpert
from modules.training import Optim
from tests.helpers.stages import make

SCALE = VIDEO_SCALES["smoke"]
SOURCE = MovingDigits(held=12)
SAID = EncodedCaptions(*map(torch.from_numpy, Words().encode(list(CAPTIONS))))


def stream(clusters=(0, 1, 2), seed=3, rows=slice(None), accumulate=1, steps=4, source=SOURCE):
    features = FirstFrame(PixelFeatures())
    return DrawnClipData(
        source, clusters, SAID, CausalPatches(), features, 12, steps, seed, accumulate, None, rows
    )


def alike(one, two):
    assert one.keys() == two.keys()
    return all(torch.equal(one[name], two[name]) for name in one)


def test_a_batch_is_a_function_of_its_number():
    """kills: a generator that runs on, so that a resumed run would draw other clips; one batch
    again and again; a seed that changes nothing."""
    made = stream()
    one, two = made.batch_of(7), made.batch_of(8)
    assert alike(stream().batch_of(7), one)
    assert alike(made.batch_of(7), one)
    for other in (two, stream(seed=4).batch_of(7)):
        assert not torch.equal(other["x0"], one["x0"])
    assert int(one["step"]) == 7


@pytest.mark.parametrize(("accumulate", "begun", "numbers"), [(1, 0, "0123"), (2, 3, "67")])
def test_a_resumed_run_draws_on_where_it_stood(accumulate, begun, numbers):
    """kills: batches counted in optimiser steps, or from the start again."""
    made = stream(accumulate=accumulate)
    assert [int(b["step"]) for b in made.train_dataloader()] == list(range(4 * accumulate))
    made.trainer = SimpleNamespace(global_step=begun)
    found = list(made.train_dataloader())
    assert [int(b["step"]) for b in found] == [int(n) for n in numbers]
    assert alike(found[0], stream().batch_of(int(numbers[0])))


@pytest.mark.parametrize("devices", [2, 3])
def test_devices_share_out_the_batch(devices):
    """kills: the same rows on two devices, or clips that depend on how many there are."""
    whole = stream().batch_of(5)
    parts = [stream(rows=slice(r, None, devices)).batch_of(5) for r in range(devices)]
    for name in set(whole) - {"step"}:
        together = torch.empty_like(whole[name])
        for r, part in enumerate(parts):
            together[r::devices] = part[name]
        assert torch.equal(together, whole[name]), name


def test_a_row_is_one_clip_throughout():
    """kills: captions, clusters, latents or first frames of other rows."""
    g = np.random.SeedSequence([3, 5, 1]).generate_state(1, np.uint64)
    drawn = SOURCE.draw(Split.TRAIN, [0, 1, 2], 12, torch.Generator().manual_seed(int(g[0])))
    found = stream().batch_of(5)
    clips = CausalPatches().decode(found["x0"].numpy())
    np.testing.assert_allclose(clips, drawn.clips.numpy(), atol=1e-6)
    features = PixelFeatures().encode(drawn.clips[:, :, 0].numpy())
    np.testing.assert_allclose(found["frame_feature"].numpy(), features, atol=1e-6)
    tokens, pooled = Words().encode([CAPTIONS[label] for label in drawn.labels])
    assert np.array_equal(found["tokens"].numpy(), tokens)
    assert np.array_equal(found["pooled"].numpy(), pooled)
    scenes = [MOTIONS[label % len(MOTIONS)].scene for label in drawn.labels]
    assert found["cluster"].tolist() == scenes == [0, 1, 2] * 4


@pytest.fixture
def asked(monkeypatch):
    """What every draw was asked for: split and clusters."""
    real, seen = MovingDigits.draw, []

    def draw(self, split, scenes, n, g):
        seen.append((split, tuple(scenes)))
        return real(self, split, scenes, n, g)

    monkeypatch.setattr(MovingDigits, "draw", draw)
    return seen


@pytest.fixture
def opened(monkeypatch):
    """The names of files that are opened below a store."""
    real, seen = builtins.open, []

    def watched(path, *arguments, **named):
        seen.append(str(path))
        return real(path, *arguments, **named)

    monkeypatch.setattr(builtins, "open", watched)
    return seen


@pytest.mark.parametrize("k", range(3))
def test_an_expert_draws_its_own_cluster_from_training_alone(store, asked, opened, k):
    """kills: clips of another cluster, of the judge's or the held-out split; another's files."""
    stage = experts.mixed(SCALE, FlowMatchingExpert, {}, 0)[k]
    make(store, stage.shards)
    opened.clear()
    module = stage.begun(store)
    loader = stage.shards.loader(store, stage.clusters, stage.optim, module.seed)
    batches = list(loader.train_dataloader())
    assert asked == [(Split.TRAIN, (k,))] * SCALE.train.steps
    assert all((batch["cluster"] == k).all() for batch in batches)
    assert all(len(batch["x0"]) == SCALE.train.batch // SCALE.data.clusters for batch in batches)
    read = {path.rsplit("/", 1)[1] for path in opened if path.startswith(str(store.root))}
    assert {"tokens.npy", "pooled.npy"} <= read <= {
        "tokens.npy", "pooled.npy", "provenance.json", "config.json"
    }  # fmt: skip


def test_experts_and_monolith_see_as_many_clips():
    """kills: the monolith's batch for every expert, three times the FLOPs."""
    whole = experts.monolith(SCALE, FlowMatchingExpert, 0)
    parts = experts.mixed(SCALE, FlowMatchingExpert, {}, 0)
    assert [stage.clusters for stage in parts] == [(0,), (1,), (2,)]
    assert whole.clusters == (0, 1, 2)
    assert sum(stage.optim.batch for stage in parts) == whole.optim.batch == SCALE.train.batch
    assert {stage.optim.steps for stage in parts} == {whole.optim.steps}
    assert {stage.network for stage in parts} == {whole.network}
    assert sum(whole.shards.samples(None, s.clusters) for s in parts) == SCALE.data.source.clips
    assert whole.shards.samples(None, whole.clusters) == SCALE.data.source.clips


def test_two_experts_draw_other_clips_and_noise():
    """kills: one seed for all experts, so that they would see the same digits and noise."""
    seeds = {
        stage.build().seed
        for stage in (
            *experts.mixed(SCALE, FlowMatchingExpert, {}, 0),
            experts.monolith(SCALE, FlowMatchingExpert, 0),
        )
    }
    assert len(seeds) == 4


def test_a_streamed_corpus_is_its_captions(store):
    """kills: captions of another order than the source's labels, or another text encoder."""
    corpus = experts.corpus(SCALE, SCALE.data.source)
    assert isinstance(corpus, Streamed)
    folder = make(store, corpus)
    tokens, pooled = Words().encode(list(CAPTIONS))
    assert np.array_equal(np.load(folder / "tokens.npy"), tokens)
    assert np.array_equal(np.load(folder / "pooled.npy"), pooled)
    loader = corpus.loader(store, (1,), Optim(3, 6, 1e-3, accumulate=2), 9)
    assert [int(b["step"]) for b in loader.train_dataloader()] == list(range(6))
    assert corpus.latent_shape == (16, 3, 6, 6) == tuple(loader.batch_of(0)["x0"].shape[1:])


def test_what_needs_shards_says_so_of_streams():
    """kills: an attribute error in place of a line."""
    with pytest.raises(ValueError, match="Streamed has no shards"):
        Shards.of(experts.corpus(SCALE, SCALE.data.source))


def test_another_source_is_another_corpus():
    """kills: frames or sides of clips that leave the experts' key as it is."""
    longer = turned(SCALE, {"data.source": replace(SCALE.data.source, frames=5)})
    keys = {experts.mixed(scale, FlowMatchingExpert, {}, 0)[0].key for scale in (SCALE, longer)}
    assert len(keys) == 2
    assert experts.network(longer, longer.data.source).frames == 2
