"""Pictures in eight bits and at another size, against loops and PIL."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.utils import save_image

from metrics.pixels import Resize, checked, to_uint8
from tests.helpers.networks import pictures


def test_every_level_comes_back():
    """kills: another scale, an offset, a cut in place of a rounding."""
    levels = np.arange(256, dtype=np.uint8)
    for kind in (np.float32, np.float64):
        assert np.array_equal(to_uint8(levels.astype(kind) / kind(127.5) - 1), levels)


def test_the_nearest_level_is_taken():
    """kills: (x + 1) 127.5 cut off, which darkens by half a level; values beyond wrapped around."""
    x = np.random.default_rng(0).uniform(-1, 1, 200_000)
    error = to_uint8(x) - (x + 1) * 127.5
    assert np.abs(error).max() < 0.5 + 1e-4
    assert abs(error.mean()) < 5 * 0.29 / np.sqrt(len(x))
    ends = np.array([-1.0, 1.0, -1.2, 1.3, 1e9, -1e9, 0.0])
    assert to_uint8(ends).tolist() == [0, 255, 0, 255, 255, 0, 128]


def test_it_is_the_rounding_of_save_image(tmp_path):
    """kills: a rounding of our own, whose scores would not be those of the saved pictures."""
    x = torch.rand(3, 40, 30, generator=torch.Generator().manual_seed(0)) * 2.2 - 1.1
    save_image(x, tmp_path / "x.png", normalize=True, value_range=(-1, 1))
    saved = np.asarray(Image.open(tmp_path / "x.png")).transpose(2, 0, 1)
    assert (saved == to_uint8(x.numpy())).mean() > 0.9999  # the last bit of a float at a tie


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_no_colour(bad):
    """kills: nan as black."""
    with pytest.raises(ValueError, match="not finite"):
        to_uint8(np.array([0.0, bad]))


def test_only_bytes_are_judged():
    """kills: floats of an unknown range, grey pictures or channels last, scored in silence."""
    good = np.zeros((2, 3, 8, 8), np.uint8)
    assert checked(good) is good
    for bad in (good.astype(np.float32), good[:, :1], good[0], good.transpose(0, 2, 3, 1)):
        with pytest.raises(ValueError, match=r"uint8 \[N, 3, H, W\]"):
            checked(bad)


@pytest.mark.parametrize("size", [9, 20, 61])
def test_the_antialiased_filter_is_pils(size):
    """kills: bicubic without antialias, corners aligned, an overshoot kept, axes swapped."""
    x = pictures(2, 24, 40, seed=0, contrast=120)
    found = Resize.ANTIALIASED(torch.from_numpy(x).float() / 255, size).numpy() * 255
    for picture, ours in zip(x.reshape(-1, 24, 40), found.reshape(-1, size, size), strict=True):
        image = Image.fromarray(picture.astype(np.float32)).resize((size, size), Image.BICUBIC)
        np.testing.assert_allclose(ours, np.asarray(image).clip(0, 255), atol=2e-3)


def test_the_bilinear_filter_skips_pixels():
    """kills: an antialias where pytorch-fid has none: a third of the pixels stay."""
    x = torch.rand(1, 3, 27, 27, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Resize.BILINEAR(x, 9), x[:, :, 1::3, 1::3])
