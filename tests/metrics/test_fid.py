"""FID, KID and their like against the programs that others would run on the same pictures."""

import contextlib
import functools
import io
import re
import sys

import numpy as np
import pytest
import torch
import torch_fidelity
from PIL import Image
from pytorch_fid import fid_score
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image.kid import poly_mmd

from metrics.frechet import (
    Moments,
    frechet_distance,
    kernel_distance,
    moments_distance,
    subset_kernel_distance,
)
from metrics.manifold import precision, recall
from metrics.networks.features import FDDinov2Features, InceptionFeatures
from metrics.pixels import Resize
from metrics.reference import ReferenceSet, StatisticsError, load_moments, save_moments
from tests.helpers.networks import lay_inception, pictures

CPU = torch.device("cpu")
A = pictures(40, 52, 44, seed=0)
B = pictures(36, 52, 44, seed=1, contrast=90)


def random(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """TORCH_HOME, and beside it the same pictures in two folders of png."""
    folder = tmp_path_factory.mktemp("fid")
    lay_inception(folder)
    for name, images in (("a", A), ("b", B)):
        (folder / name).mkdir()
        for i, image in enumerate(images):
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / name / f"{i:03}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(folder))
        yield folder


def cli(*arguments):
    """What `python -m pytorch_fid` prints, in this process: TORCH_HOME is set by `home`."""
    options = ["pytorch_fid", "--device", "cpu", "--num-workers", "0", *map(str, arguments)]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
        patch.setattr(sys, "argv", options)
        fid_score.main()
    return said.getvalue()


@functools.cache
def ours(width):
    judge = InceptionFeatures(width)
    return judge.encode(A, CPU), judge.encode(B, CPU)


@pytest.mark.parametrize(("width", "batch"), [(64, 50), (192, 7)])
def test_fid_is_that_of_pytorch_fids_command(home, width, batch):
    """kills: another filter, layer, channel order, covariance or root than published numbers."""
    said = cli(home / "a", home / "b", "--dims", width, "--batch-size", batch)
    theirs = float(re.search(r"FID:\s+(\S+)", said)[1])
    found = frechet_distance(*ours(width))
    assert found > 1e-3
    assert found == pytest.approx(theirs, rel=1e-4)


@pytest.mark.slow
def test_statistics_of_the_published_width_are_theirs(home, tmp_path):
    """kills: another layer, filter, channel order or covariance at 2048, where their own root, by
    which we go too, takes a minute."""
    cli("--save-stats", home / "b", tmp_path / "b.npz", "--dims", 2048)
    theirs = load_moments(tmp_path / "b.npz")
    found = Moments.of(InceptionFeatures(2048).encode(B, CPU))
    np.testing.assert_allclose(found.mean, theirs.mean, rtol=1e-3)
    scale = np.abs(theirs.covariance).max()
    np.testing.assert_allclose(found.covariance, theirs.covariance, atol=1e-4 * scale)


def test_statistics_pass_both_ways(home, tmp_path):
    """kills: a format of our own: published statistics unusable here, ours elsewhere."""
    a, b = ours(64)
    save_moments(Moments.of(b), tmp_path / "b.npz")
    said = cli(home / "a", tmp_path / "b.npz", "--dims", 64)
    theirs = float(re.search(r"FID:\s+(\S+)", said)[1])
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-4)
    cli("--save-stats", home / "a", tmp_path / "a.npz", "--dims", 64)
    found = moments_distance(load_moments(tmp_path / "a.npz"), load_moments(tmp_path / "b.npz"))
    assert found == pytest.approx(theirs, rel=1e-4)


class Ours(FeatureExtractorBase):
    """Our features, as torch-fidelity asks for features."""

    def __init__(self, name, features_list, **_):
        super().__init__(name, features_list)

    def forward(self, x):
        return (torch.from_numpy(InceptionFeatures(192).encode(x.numpy(), CPU)),)

    @staticmethod
    def get_provided_features_list():
        return ("ours",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric):
        return "ours"

    @staticmethod
    def can_be_compiled():
        return False


def test_all_scores_are_torch_fidelitys_on_the_same_folders(home):
    """kills: real and generated swapped, a neighbour miscounted, biased kernels, other subsets."""
    torch_fidelity.register_feature_extractor("ours", Ours)
    theirs = torch_fidelity.calculate_metrics(
        input1=str(home / "a"),
        input2=str(home / "b"),
        feature_extractor="ours",
        fid=True,
        kid=True,
        prc=True,
        kid_subsets=10,
        kid_subset_size=20,
        cuda=False,
        cache=False,
        verbose=False,
        batch_size=16,
    )
    a, b = ours(192)
    mean, deviation = subset_kernel_distance(a, b, subsets=10, size=20)
    # Their moments are counted in float32, their root is one of eigenvalues.
    assert frechet_distance(a, b) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-4)
    assert deviation == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-4)
    assert 0 < theirs["precision"] < 1
    assert precision(real=b, fake=a) == pytest.approx(theirs["precision"])
    assert recall(real=b, fake=a) == pytest.approx(theirs["recall"])


def test_frechet_distance_is_torch_fidelitys():
    """kills: a formula of our own; theirs takes eigenvalues where pytorch-fid takes a root."""
    a, b = Moments.of(random(0, 90, 8)), Moments.of(1.3 * random(1, 70, 8) + 0.2)
    theirs = fid_statistics_to_metric(
        *({"mu": m.mean, "sigma": m.covariance} for m in (a, b)), verbose=False
    )
    expected = theirs["frechet_inception_distance"]
    assert moments_distance(a, b) == pytest.approx(expected, rel=1e-10)


def test_kernel_distance_is_the_others():
    """kills: a kernel, a scale or an estimator of our own; subsets drawn with repetition."""
    a, b = random(0, 60, 9), 1.2 * random(1, 60, 9) + 0.1
    tensors = [torch.from_numpy(x) for x in (a, b)]
    assert kernel_distance(a, b) == pytest.approx(float(poly_mmd(*tensors)), rel=1e-10)
    theirs = kid_features_to_metric(*tensors, kid_subsets=7, kid_subset_size=25, verbose=False)
    expected = tuple(theirs[f"kernel_inception_distance_{what}"] for what in ("mean", "std"))
    assert subset_kernel_distance(a, b, 7, 25) == pytest.approx(expected, rel=1e-10)
    assert subset_kernel_distance(a, b, 1, 60) == pytest.approx((kernel_distance(a, b), 0))
    with pytest.raises(ValueError, match="subsets of 61 rows"):
        subset_kernel_distance(a, b, 7, 61)


def reference(**changes):
    fields = {"data": "coco2014", "split": "val", "n": 36, "resize": "crop256-lanczos"}
    return ReferenceSet(**{**fields, "features": InceptionFeatures(64), **changes})


def test_the_name_of_a_reference_says_all_of_it():
    """kills: two references that share a file, since a field was left out of its name."""
    assert reference().file == "coco2014_val_n36_crop256-lanczos_inception64-bilinear.npz"
    others = [
        reference(data="coco2017"),
        reference(split="train"),
        reference(n=37),
        reference(resize="crop256-bicubic"),
        reference(features=InceptionFeatures(192)),
        reference(features=InceptionFeatures(64, Resize.ANTIALIASED)),
        reference(features=FDDinov2Features()),
    ]
    assert len({r.file for r in [reference(), *others]}) == len(others) + 1
    for bad in ("a_b", "a/b", "", "a b", "../a"):
        with pytest.raises(ValueError, match="cannot stand in a file name"):
            reference(data=bad)


def test_bad_statistics_are_one_line(tmp_path):
    """kills: a broadcast of unequal widths, or numpy's own words for a file cut short."""
    with pytest.raises(ValueError, match="features of 8 and 9 numbers cannot be compared"):
        moments_distance(Moments.of(random(0, 20, 8)), Moments.of(random(0, 20, 9)))
    path = tmp_path / "x.npz"
    with pytest.raises(StatisticsError, match=r"x.npz holds no statistics"):
        load_moments(path)
    np.savez(path, mu=np.zeros(3))
    with pytest.raises(StatisticsError, match=r"x.npz holds no statistics.*sigma"):
        load_moments(path)
    np.savez(path, mu=np.zeros(3), sigma=np.zeros((4, 4)))
    with pytest.raises(StatisticsError, match=r"mu \[3\] and sigma \[4, 4\]"):
        load_moments(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StatisticsError, match=r"x.npz holds no statistics"):
        load_moments(path)
