"""What sample sets are asked for, and the diversity of a prompt's own samples."""

import numpy as np
import pytest

from datamodules.sources.digits import Digits
from datamodules.sources.source import Split
from experiments.hddm import settings
from experiments.pipeline.store import Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages.prompts import Given, Heldout, Repeated
from metrics.embedded import classify
from modules.denoising import FlowMatchingExpert
from modules.selection import Only, Top
from tests.helpers.stages import make

SMOKE = turned(SCALES["smoke"], {"train.steps": 3, "train.warmup": 1, "draw.samples": 6})
HELDOUT = Digits(64, 64, 32).read(Split.HELDOUT)
ASKED = HELDOUT.captions, HELDOUT.labels


def test_heldout_captions_go_round_in_order():
    """kills: another order, the split's end, labels of other rows."""
    captions, labels = Heldout(70).read(ASKED)
    assert captions == (HELDOUT.captions * 3)[:70]
    assert labels.tolist() == [*HELDOUT.labels, *HELDOUT.labels, *HELDOUT.labels][:70]


def test_repeated_captions_are_distinct_and_keep_their_labels():
    """kills: a caption taken twice, captions in turn where each is to be together, a count of
    captions taken for one of pictures, labels of other captions."""
    captions, labels = Repeated(5, 3).read(ASKED)
    assert len(captions) == len(labels) == Repeated(5, 3).n == 15
    assert len(set(captions)) == 5
    assert all(captions[3 * i : 3 * i + 3] == [captions[3 * i]] * 3 for i in range(5))
    named = dict(zip(HELDOUT.captions, HELDOUT.labels, strict=True))
    assert labels.tolist() == [named[caption] for caption in captions]
    assert captions[0] == HELDOUT.captions[0]


def test_prompts_that_cannot_be_asked_are_refused():
    """kills: fewer captions than the config says, a diversity of single pictures."""
    with pytest.raises(ValueError, match="held out"):
        Repeated(1000, 2).read(ASKED)
    with pytest.raises(ValueError, match="twice"):
        Repeated(4, 1)
    assert Given(("a", "b")).read(ASKED)[1].tolist() == [-1, -1]
    eight = [experts.expert(SMOKE, FlowMatchingExpert, k, 0) for k in range(8)]
    score = scores.score(SMOKE, eight, experts.oracle(SMOKE), Top(1), 0)
    with pytest.raises(ValueError, match="oracle"):
        settings.repeated(SMOKE, score)


def test_diversity_is_of_the_repeated_samples_and_the_rest_is_not(tmp_path):
    """kills: diversity of the pictures that FID is of, or FID of the repeated ones."""
    store = Store(tmp_path)
    expert = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
    plain = scores.score(SMOKE, [expert], None, Only(0), 0)
    score = settings.repeated(SMOKE, plain)
    for stage in (expert, score.judge, plain.pictures, score.repeated, plain, score):
        make(store, stage)
    features, _ = classify(score.judge.load(store), score.repeated.images(store))
    pairs = features.reshape(SMOKE.study.diversity_prompts, SMOKE.study.diversity_each, -1)
    assert SMOKE.study.diversity_each == 2
    expected = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1)
    captions = score.repeated.prompts(store)[0][::2]
    found, other = score.read(store), plain.read(store)
    assert score.within(store) == pytest.approx(
        dict(zip(captions, expected, strict=True)), rel=1e-5
    )
    assert found["diversity"] == pytest.approx(expected.mean(), rel=1e-5)
    assert {**found, "diversity": 0} == {**other, "diversity": 0}
