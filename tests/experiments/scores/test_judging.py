"""Who judges at which scale, and what its columns are called; the classifier beyond digits."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from datamodules.sources.classed import FashionMNIST
from datamodules.sources.source import Split
from experiments.hddm import settings
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.scores.classifier import ClassifierJudge
from experiments.scores.published import PublishedMetrics
from experiments.scores.real import Decoded, Real
from experiments.stages.samples import decoded
from experiments.tables.columns import ACCURACY, DIVERSITY, FID, SPREAD
from metrics.embedded import ClassJudge, classify, train_judge
from metrics.networks.perceptual import Backbone, Lpips
from tests.helpers.files import asset
from tests.helpers.imagetexts import source, write_five


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (16, 3), (32, 1), (64, 3)])
def test_the_judge_reads_pictures_of_its_side_and_no_other(side, channels):
    """kills: features of another width at a larger side, channels that are not the source's."""
    judge = ClassJudge(5, channels, side)
    x = torch.zeros(2, channels, side, side)
    assert judge.features(x).shape == (2, 64)
    assert judge(x).shape == (2, 5)
    with pytest.raises(RuntimeError):
        judge(torch.zeros(2, channels, 2 * side, 2 * side))


@pytest.mark.parametrize("side", [4, 12, 28])
def test_other_sides_are_refused(side):
    """kills: a stem that halves to another size than 8."""
    with pytest.raises(ValueError, match=f"not {side}"):
        ClassJudge(10, 1, side)


def test_the_digits_judge_is_what_it_was():
    """kills: another network, or another draw of its weights, for the committed results."""
    torch.manual_seed(0)
    kinds = [type(module).__name__ for module in ClassJudge().body]
    assert kinds == [*["Conv2d", "ReLU"] * 2, "MaxPool2d", "Conv2d", "ReLU", "Flatten", "Linear"]
    assert sum(p.numel() for p in ClassJudge().parameters()) == 121_994


def test_names_say_who_judged():
    """kills: a published name for embedded features, digits' features named at another source."""
    digits, fashion = scores.judge(SCALES["small"]), scores.judge(SCALES["medium"])
    assert digits.columns_for(FID) == (FID,)
    assert digits.columns_for(DIVERSITY) == (DIVERSITY,)
    assert fashion.columns_for(FID)[0].title == "FID (fashion-mnist classifier features)"
    assert fashion.columns_for(DIVERSITY)[0].title == "Diversity (LPIPS, squeeze)"
    assert fashion.columns_for(SPREAD)[0].title == "All-pairs diversity (LPIPS, squeeze)"
    assert fashion.columns_for(ACCURACY) == (ACCURACY,)
    paper = scores.judge(settings.matched(SCALES["paper"]))
    assert isinstance(paper, PublishedMetrics)
    assert paper.source == SCALES["paper"].study.matched.source


def test_lpips_is_in_the_key_where_it_measures():
    """kills: digits' scores with another key, or medium's without what measured diversity."""
    plain = ClassifierJudge(FashionMNIST(), 10)
    assert plain.key == ClassifierJudge(FashionMNIST(), 10, lpips=None).key
    other = replace(plain, lpips=Lpips(Backbone.SQUEEZE))
    assert len({plain.key, other.key, replace(plain, lpips=Lpips()).key}) == 3


@pytest.mark.slow
def test_the_judge_learns_fashion():
    """kills: pooling that loses the picture, a border in another value than the background."""
    data = FashionMNIST(2, 4000, 1000, str(asset("data")))
    split, heldout = data.read(Split.JUDGE), data.read(Split.HELDOUT)
    judge = train_judge(split.images, split.labels, 400, 0, data.classes)
    assert (classify(judge, heldout.images)[1] == heldout.labels).mean() > 0.75


def test_real_pictures_without_labels_are_read_a_part_at_a_time(tmp_path):
    """kills: the whole split in memory, pictures of another split, floats that lost their level."""
    data = source(write_five(tmp_path), judge=1, heldout=1)
    shards = experts.shards(turned(SCALES["smoke"], {"data.source": data}))
    store, real = Store(tmp_path / "store"), Real(shards, 25, 0)
    store.make(real, Context(store))
    stored = np.load(store.path(real) / "images.npy")
    assert stored.dtype == np.uint8
    levels = {int(image.flat[0]) for image in stored}
    assert len(levels) == 25
    assert levels <= set(range(30))  # the shards of the training split
    np.testing.assert_allclose((real.images(store) + 1) * 127.5, stored, atol=1e-4)
    said, _ = real.prompts(store)
    assert said == [f"caption {image.flat[0]}" for image in stored]  # their own


@dataclass(frozen=True)
class Mirrored:
    """Latents are the pictures mirrored; what is decoded is darker by a tenth."""

    pixels = False

    def shape(self, picture):
        return picture

    def encode(self, images, device):
        return np.flip(images, axis=-1).astype(np.float16)

    def decode(self, latents, device):
        assert len(latents) <= 4  # on a CPU
        return np.flip(latents, axis=-1).astype(np.float32) - 0.1


def test_what_is_decoded_is_each_real_picture_after_the_autoencoder(tmp_path, monkeypatch):
    """kills: pictures that no autoencoder has seen, latents shown as they are, the last few of a
    batch lost, or a batch after the first, captions of other pictures."""
    monkeypatch.setattr("experiments.scores.real.BATCH", 10)
    data = source(write_five(tmp_path), judge=1, heldout=1)
    dials = {"data.source": data, "data.latents": Mirrored()}
    real = Real(experts.shards(turned(SCALES["smoke"], dials)), 25, 0)
    store, back = Store(tmp_path / "store"), Decoded(real)
    for stage in (real, back):
        store.make(stage, Context(store))
    np.testing.assert_allclose(back.images(store), real.images(store) - 0.1, atol=1e-3)
    assert back.prompts(store)[0] == real.prompts(store)[0]


@pytest.mark.parametrize("n", [0, 3, 4, 9])
def test_any_number_of_latents_is_decoded(n):
    """kills: no latents taken for an error, those after the last whole four lost."""
    latents = np.random.default_rng(0).uniform(size=(n, 3, 2, 2))
    shown = decoded(Mirrored(), latents, torch.device("cpu"))
    np.testing.assert_allclose(shown, np.flip(latents, axis=-1) - 0.1, atol=1e-6)
