"""Scores of clips against the numbers of each, perfect copies, and the frames that are given."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from datamodules.sources.digits import WORDS
from datamodules.sources.moving_digits import MOTIONS
from datamodules.sources.source import Split
from experiments.paris2 import later
from experiments.pipeline.store import Store
from experiments.recipes import experts, scores
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.scores.real import RealClips
from experiments.scores.score import Score
from experiments.stages.prompts import InClusters
from experiments.stages.samples import Pictures
from metrics.frechet import frechet_distance
from metrics.pixels import to_uint8
from modules.denoising import FlowMatchingExpert
from modules.selection import Full, Only
from tests.helpers.stages import make

SMOKE = VIDEO_SCALES["smoke"]
SCALE = turned(
    SMOKE, {"data.source": replace(SMOKE.data.source, held=160), "draw.samples": 9, "draw.batch": 4}
)
SCALE = turned(
    SCALE,
    {
        "train.steps": 2,
        "train.warmup": 1,
        "train.ema_start": 1,
        "router.train.steps": 1,
        "judge.steps": 3,
    },
)
JUDGE = scores.judge(SCALE)


@dataclass(frozen=True)
class Copies(Pictures):
    """The held-out clips, in two batches: what a perfect model would sample."""

    turned: bool = False

    label = "copies"

    def make(self, folder, context):
        """Nothing."""

    def _read(self):
        return SCALE.data.source.read(Split.HELDOUT)

    def prompts(self, store):
        read = self._read()
        return read.captions, read.labels

    def pictures(self, store, device=None):
        clips = self._read().images
        clips = np.ascontiguousarray(clips[:, :, ::-1]) if self.turned else clips
        yield from (clips[:100], clips[100:])

    def evaluations(self, store):
        return {"expert_evaluations": 0.0}


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A store with the judge, samples of an ensemble given first frames, and the score of each."""
    store = Store(tmp_path_factory.mktemp("judged"))
    for stage in (score(first=True), Score(Copies(), JUDGE), Score(Copies(True), JUDGE)):
        make(store, stage)
    return store


def score(first=False, selection=Full()):
    trained = [later.later(SCALE, e) for e in experts.mixed(SCALE, FlowMatchingExpert, {}, 0)]
    return scores.score(SCALE, trained, experts.router(SCALE, True, 0), selection, 0, first=first)


def test_means_are_of_each_clip(judged):
    """kills: a mean of batches' means, numbers of other columns, an order that is not the rows'."""
    for stage in (score(first=True), Score(Copies(), JUDGE)):
        found, each = stage.read(judged), stage.each(judged)
        n = len(stage.pictures.prompts(judged)[0])
        assert {len(x) for x in each.values()} == {n}
        for key, x in each.items():
            seen = x[np.isfinite(x)]
            assert found[key] == pytest.approx(seen.mean(), rel=1e-9), key
            assert found[f"{key} low"] <= found[key] + 1e-12
            assert found[key] <= found[f"{key} high"] + 1e-12


def test_each_clips_numbers_are_its_own(judged):
    """kills: captions of the first batch for the second, a digit asked for by its motion, prompts
    met by either, confidence in the digit alone, pixels past eight bits."""
    stage = Score(Copies(), JUDGE)
    each, read = stage.each(judged), SCALE.data.source.read(Split.HELDOUT)
    judge = JUDGE.load(judged)
    with torch.no_grad():
        features = judge.features(torch.from_numpy(read.images))
        seen, moves = (x.softmax(1).numpy() for x in judge.logits(features))
    words = [WORDS.index(caption.split()[1]) for caption in read.captions]
    moved = [[m.words for m in MOTIONS].index(c.split(maxsplit=2)[2]) for c in read.captions]
    for i in range(0, 160, 7):
        digit, motion = seen[i].argmax() == words[i], moves[i].argmax() == moved[i]
        assert (each["digit"][i], each["moves"][i]) == (digit, motion)
        assert each["prompt"][i] == (digit and motion)
        assert each["legible"][i] == pytest.approx(seen[i].max(), rel=1e-4)
        expected = seen[i, words[i]] * moves[i, moved[i]]
        assert each["confidence"][i] == pytest.approx(expected, rel=1e-4)
        flow = SCALE.judge.flow.scores(to_uint8(read.images[i : i + 1]))
        assert each["motion"][i] == pytest.approx(flow.speed[0])
        assert each["warping"][i] == pytest.approx(flow.warping_error[0])
    assert 0 < each["digit"].sum() < 160
    assert 0 < each["moves"].sum() < 160


def test_perfect_copies_are_at_no_distance(judged):
    """kills: a reference of another split, order or judge, or features of one batch."""
    found = Score(Copies(), JUDGE).read(judged)
    turned = Score(Copies(True), JUDGE).read(judged)
    assert found["fvd"] == pytest.approx(0, abs=1e-3)
    assert turned["fvd"] > 10 * abs(found["fvd"])
    assert found["fvd low"] <= found["fvd"] <= found["fvd high"]
    clips = np.ascontiguousarray(SCALE.data.source.read(Split.HELDOUT).images[:, :, ::-1])
    features = JUDGE.load(judged).read(clips).features
    expected = frechet_distance(features, np.load(judged.file(JUDGE, "heldout.npy")))
    assert turned["fvd"] == pytest.approx(expected, rel=1e-6)


def test_a_few_clips_have_a_distance_without_ends(judged):
    """kills: an interval from a covariance without rank."""
    found = score(first=True).read(judged)
    assert found["fvd"] > 0
    assert "fvd low" not in found


def test_row_i_is_given_its_own_held_out_frame(judged):
    """kills: frames of other rows, of the training split, or of noise; rows of the next batch."""
    sample, held = score(first=True).pictures, SCALE.data.source.read(Split.HELDOUT)
    loaded = sample.load(judged, torch.device("cpu"))
    captions, labels = sample.prompts(judged)
    assert captions == held.captions[:9]
    assert labels.tolist() == held.labels[:9].tolist()
    first = loaded.condition(range(4, 8)).first
    expected = SCALE.data.latents.encode(held.images[4:8])[:, :, :1]
    assert np.array_equal(first.latent.numpy(), expected)
    assert np.array_equal(first.feature.numpy(), SCALE.data.features.encode(held.images[4:8]))
    assert first.keep.all()
    beginnings = sample.beginnings(judged)
    np.testing.assert_allclose(beginnings, held.images[:9, :, 0], atol=1e-6)
    found = score(first=True).each(judged)["begins"]
    clips = sample.images(judged)
    apart = (clips[:, :, 0].astype(float) - held.images[:9, :, 0]) / 2
    np.testing.assert_allclose(found, np.sqrt((apart**2).mean((1, 2, 3))), rtol=1e-5)


def test_clips_without_a_frame_are_asked_for_without():
    """kills: a frame that reaches text-to-video, or keys of image-to-video for both."""
    plain, given = score().pictures, score(first=True).pictures
    assert plain._firsts(None) is None
    assert plain.key != given.key
    with pytest.raises(ValueError, match="first frames are held-out"):
        replace(given, asked=InClusters((0,), 3))


def test_one_network_alone_asks_no_router(judged):
    """kills: a router trained, or experts asked, for a single network's clips."""
    stage = scores.alone(SCALE, experts.monolith(SCALE, FlowMatchingExpert, 0), 0)
    assert stage.pictures.router is None
    assert stage.pictures.selection == Only(0)
    assert stage.pictures.n == 9


def test_evaluations_are_counted(judged):
    """kills: guidance's second half or the router left out: 3 steps of each, twice."""
    found = score(first=True).read(judged)
    assert found["expert_evaluations"] == 3 * 3 * 2
    assert found["router_evaluations"] == 3 * 2


def test_the_judge_says_how_far_it_can_be_trusted(judged):
    """kills: accuracies of the digits it learned from, or of the other answer."""
    each = Score(Copies(), JUDGE).each(judged)
    (line,) = JUDGE.remarks(judged)
    assert f"digit of {each['digit'].mean():.1%}" in line
    assert f"motion of {each['moves'].mean():.1%}" in line


def test_real_clips_are_training_digits_with_their_captions(judged):
    """kills: clips of the judge's split, captions of other rows, other clips under another name."""
    stage = RealClips(SCALE.data.source, 10, 0)
    folder = make(judged, stage)
    captions, labels = stage.prompts(judged)
    clips = stage.images(judged)
    assert clips.shape == (10, 1, 9, 12, 12)
    assert [captions[i].split()[1] for i in range(10)] == [WORDS[n // 8] for n in labels]
    assert (folder / "clips.npz").exists()
    other = replace(stage, seed=1)
    make(judged, other)
    assert not np.array_equal(other.images(judged), clips)
    assert stage.evaluations(judged)["expert_evaluations"] == 0
