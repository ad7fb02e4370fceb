"""The judge of paper, on waves of colour and small networks of the real classes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torchvision

from datamodules.sources.source import Records, Split
from experiments.pipeline.store import Context, Store
from experiments.scores.published import Networks, PublishedMetrics
from experiments.scores.score import Score
from experiments.stages.samples import Pictures
from experiments.tables.columns import ACCURACY, DIVERSITY, EXPERT, FID, KID, NEAREST
from metrics.frechet import frechet_distance, subset_kernel_distance
from metrics.manifold import coverage, recall
from metrics.networks.features import FDDinov2Features, InceptionFeatures
from metrics.networks.perceptual import Backbone, Lpips
from tests.helpers.checkpoints import lay_clip, lay_encoders, transformers_clip
from tests.helpers.networks import lay_inception, pictures
from tests.helpers.stages import make

CPU = torch.device("cpu")
HELD = pictures(30, 40, 40, seed=0)
SHOWN = pictures(24, 40, 40, seed=1, contrast=90)
CAPTIONS = [f"wave {i % 6} of {i % 4}" for i in range(24)]


def floats(images):
    return images.astype(np.float32) / 127.5 - 1


@dataclass(frozen=True)
class Waves:
    """Two parts of 15 pictures, held out; another split is not to be read."""

    name = "waves"
    preparation = "40px"
    image = 40
    channels = 3
    classes = 0

    def parts(self, split):
        assert split is Split.HELDOUT
        return ("a", "b")

    def batches(self, split, part, size, refused) -> Iterator[Records]:
        start = 15 * self.parts(split).index(part)
        for i in range(start, start + 15, 4):
            held = floats(HELD[i : min(i + 4, start + 15)])
            n = len(held)
            yield Records(["k"] * n, held, np.full(n, -1), ["held out"] * n)


@dataclass(frozen=True)
class Shown(Pictures):
    """The pictures in uneven batches; rows: which of them."""

    rows: tuple[int, ...] = tuple(range(24))

    def prompts(self, store):
        return [CAPTIONS[i] for i in self.rows], np.full(len(self.rows), -1)

    def pictures(self, store, device=CPU):
        chosen = floats(SHOWN[list(self.rows)])
        for start, stop in ((0, 5), (5, 6), (6, len(chosen))):
            yield chosen[start:stop]

    def evaluations(self, store):
        return {}


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    root = tmp_path_factory.mktemp("networks")
    lay_inception(root)
    lay_encoders(root)
    torch.manual_seed(0)
    squeeze = torchvision.models.squeezenet1_1().state_dict()
    torch.save(squeeze, root / "hub" / "checkpoints" / Backbone.SQUEEZE.value[1])
    clip = lay_clip(root, transformers_clip())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(root))
        yield Networks(
            InceptionFeatures(64),
            FDDinov2Features(folder=root / "dino"),
            clip,
            Lpips(Backbone.SQUEEZE),
        )


@pytest.fixture(scope="module")
def judge(networks, tmp_path_factory):
    """The judge of the first 26 of 30 held-out pictures, made; and its context."""
    context = Context(Store(tmp_path_factory.mktemp("judged")), device="cpu")
    judge = PublishedMetrics(Waves(), 26, networks)
    make(context.store, judge)
    return judge, context


def test_every_number_is_that_of_its_metric(judge, networks, tmp_path):
    """kills: batches out of step with captions, more or fewer held-out pictures than n, recall for
    precision, diversity of the pictures in place of the repeated ones."""
    judge, context = judge
    several = Shown(tuple(range(12)))
    found = Score(Shown(), judge, several).measure(tmp_path, context)
    within = json.loads((tmp_path / "within.json").read_text())
    inception, dinov2 = (
        [network.encode(images, CPU) for images in (SHOWN, HELD[:26])]
        for network in networks.features
    )
    assert found["fid"] == pytest.approx(frechet_distance(*inception), rel=1e-4)
    assert found["fd_dinov2"] == pytest.approx(frechet_distance(*dinov2), rel=1e-4)
    kid = subset_kernel_distance(*inception, 100, 24)[0]
    assert found["kid"] == pytest.approx(kid, rel=1e-3)
    assert found["recall"] == recall(dinov2[1], dinov2[0])
    assert found["coverage"] == coverage(dinov2[1], dinov2[0])
    assert found["clip"] == pytest.approx(networks.clip.scores(SHOWN, CAPTIONS, CPU).similarity)
    groups = np.array(CAPTIONS[:12])
    assert within == pytest.approx(networks.lpips.group_diversity(SHOWN[:12], groups, CPU))
    assert found["spread"] == pytest.approx(networks.lpips.diversity(SHOWN, CPU))


def test_references_are_named_by_what_they_are_of(judge):
    """kills: statistics that another data set, split, number or network would overwrite."""
    judge, context = judge
    names = {path.name for path in context.store.path(judge).glob("*_*.npz")}
    assert names == {
        "waves_heldout_n26_40px_inception64-bilinear.npz",
        "waves_heldout_n26_40px_dinov2-large.npz",
    }


def test_columns_say_which_metric_they_are(networks):
    """kills: a published name for features of another width, a digit judge's name kept."""
    judge = PublishedMetrics(Waves(), 26, networks)
    assert [column.title for column in judge.columns_for(FID)] == ["inception64-bilinear"]
    assert [c.title for c in PublishedMetrics(Waves(), 26).columns_for(FID)] == ["FID"]
    assert [c.key for c in judge.columns_for(KID)][:2] == ["kid", "fd_dinov2"]
    assert [c.title for c in judge.columns_for(ACCURACY)] == ["CLIP similarity"]
    assert "LPIPS" in judge.columns_for(DIVERSITY)[0].title
    assert judge.columns_for(NEAREST) == ()
    assert judge.columns_for(EXPERT) == (EXPERT,)
