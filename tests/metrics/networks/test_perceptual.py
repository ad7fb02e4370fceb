"""LPIPS against torchmetrics, with the real SqueezeNet where it is, else random networks."""

import os
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torchmetrics.functional.image.lpips import learned_perceptual_image_patch_similarity

from metrics.networks import perceptual
from metrics.networks.perceptual import Backbone, Lpips
from tests.helpers.files import ROOT
from tests.helpers.networks import pictures

CPU = torch.device("cpu")
ASSETS = Path(os.environ.get("DDM_ASSETS", ROOT.parent / "shared" / "assets"))
MODELS = {
    Backbone.ALEX: torchvision.models.alexnet,
    Backbone.VGG: torchvision.models.vgg16,
    Backbone.SQUEEZE: torchvision.models.squeezenet1_1,
}


@pytest.fixture
def real(monkeypatch):
    """TORCH_HOME with the SqueezeNet that ImageNet trained."""
    home = ASSETS / "torch-home"
    if not (home / "hub" / "checkpoints" / Backbone.SQUEEZE.value[1]).exists():
        pytest.skip(f"no SqueezeNet in {home}: set DDM_ASSETS")
    monkeypatch.setenv("TORCH_HOME", str(home))
    perceptual._network.cache_clear()
    yield
    perceptual._network.cache_clear()


VGG = pytest.param(Backbone.VGG, marks=pytest.mark.longest)  # half a gigabyte of weights


@pytest.fixture(scope="module", params=[Backbone.ALEX, VGG, Backbone.SQUEEZE])
def drawn(request, tmp_path_factory):
    """A backbone whose weights are random, and lie where torchvision's would."""
    home = tmp_path_factory.mktemp("torch")
    (home / "hub" / "checkpoints").mkdir(parents=True)
    torch.manual_seed(0)
    weights = MODELS[request.param]().state_dict()
    torch.save(weights, home / "hub" / "checkpoints" / request.param.value[1])
    perceptual._network.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(home))
        yield Lpips(request.param)
    perceptual._network.cache_clear()


def signed(images):
    return torch.from_numpy(images).float() / 127.5 - 1


def theirs(a, b, net="squeeze"):
    return learned_perceptual_image_patch_similarity(a, b, net_type=net, reduction="none")


@pytest.mark.usefixtures("real")
def test_the_example_that_torchmetrics_prints():
    """kills: other weights, another version's scaling layer, pictures in another range."""
    g = torch.Generator().manual_seed(42)
    a, b = (torch.rand(2, 3, 100, 100, generator=g) * 2 - 1 for _ in range(2))
    found = Lpips(Backbone.SQUEEZE).pairs(a.numpy(), b.numpy(), CPU)
    assert found.round(4).tolist() == [0.1024, 0.0938]


def test_pairs_are_torchmetrics(drawn):
    """kills: one backbone under another's name, dropout left on, uint8 read as [0, 1]."""
    a, b = pictures(5, 64, 72, seed=0), pictures(5, 64, 72, seed=1, contrast=100)
    expected = theirs(signed(a), signed(b), drawn.backbone.value[0]).detach().numpy()
    assert expected.std() > 1e-3 * expected.mean() > 0
    np.testing.assert_allclose(drawn.pairs(a, b, CPU, batch=2), expected, rtol=1e-4)
    floats = (signed(a).numpy(), signed(b).numpy().astype(np.float64))
    np.testing.assert_allclose(drawn.pairs(*floats, CPU), expected, rtol=1e-4)


def test_among_is_the_mean_of_all_pairs(drawn):
    """kills: n for n - 1, weights not divided by the positions, a layer left out."""
    x = pictures(6, 64, 72, seed=2)
    i, j = np.array(list(combinations(range(6), 2))).T
    expected = drawn.pairs(x[i], x[j], CPU).mean()
    for batch in (1, 4, 50):
        assert drawn.diversity(x, CPU, batch) == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("real")
def test_diversity_is_torchmetrics_over_pairs():
    """kills: pairs across prompts, a prompt's number under another's name, one picture as 0."""
    x = pictures(10, 64, 64, seed=3, contrast=90)
    groups = np.array(["b", "a", "b", "c", "a", "b", "b", "a", "d", "a"])
    lpips = Lpips(Backbone.SQUEEZE)

    def mean(rows):
        i, j = np.array(list(combinations(rows, 2))).T
        return float(theirs(signed(x[i]), signed(x[j])).mean())

    expected = {"a": mean([1, 4, 7, 9]), "b": mean([0, 2, 5, 6])}
    assert lpips.group_diversity(x, groups, CPU) == pytest.approx(expected, rel=1e-4)
    assert lpips.diversity(x, CPU) == pytest.approx(mean(range(10)), rel=1e-4)


@pytest.mark.usefixtures("real")
def test_equal_pictures_do_not_differ():
    """kills: a variance that is the difference of two large numbers."""
    lpips, x = Lpips(Backbone.SQUEEZE), pictures(1, 64, 64, seed=4).repeat(5, axis=0)
    assert lpips.pairs(x, x, CPU).tolist() == [0] * 5
    assert lpips.diversity(x, CPU, batch=2) == pytest.approx(0, abs=1e-10)


@pytest.mark.usefixtures("real")
def test_no_batch_changes_a_pair():
    """kills: a batch lost, or one that shares its statistics. Stated: 1e-5 of the distance."""
    a, b = pictures(7, 50, 50, seed=5), pictures(7, 50, 50, seed=6)
    lpips = Lpips(Backbone.SQUEEZE)
    expected = lpips.pairs(a, b, CPU)
    for batch in (1, 3, 7):
        np.testing.assert_allclose(lpips.pairs(a, b, CPU, batch), expected, rtol=1e-5)


@pytest.mark.usefixtures("real")
def test_what_is_no_picture_is_refused():
    """kills: [0, 255] floats, grey pictures, unequal shapes broadcast, a lone picture's nan."""
    lpips, x = Lpips(Backbone.SQUEEZE), pictures(3, 50, 50, seed=5)
    for bad in (x.astype(np.float32), np.full((2, 3, 50, 50), np.nan)):
        with pytest.raises(ValueError, match=r"in \[-1, 1\]"):
            lpips.diversity(bad, CPU)
    with pytest.raises(ValueError, match=r"\[N, 3, H, W\]"):
        lpips.diversity(x[:, :1], CPU)
    with pytest.raises(ValueError, match="of one shape"):
        lpips.pairs(x, x[:1], CPU)
    with pytest.raises(ValueError, match="needs two pictures"):
        lpips.diversity(x[:1], CPU)
