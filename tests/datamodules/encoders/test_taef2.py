"""TAEF2's latents: the real weights on emoji, and the loading of whatever else lies there."""

import numpy as np
import pytest
import torch

from datamodules.encoders import taef2
from datamodules.encoders.hub import HubWeightsError
from datamodules.encoders.taef2 import DECODER, ENCODER, TAEF2
from datamodules.sources.folder import Folder
from datamodules.sources.source import Split
from modules.codec import encode
from modules.dit import DiT
from tests.helpers.files import asset


@pytest.fixture
def lay(tmp_path):
    """Both networks with random weights, in half precision as published."""
    torch.manual_seed(0)
    for name, build in ((ENCODER, taef2.encoder), (DECODER, taef2.decoder)):
        torch.save({k: x.half() for k, x in build().state_dict().items()}, tmp_path / name)
    taef2._network.cache_clear()
    return tmp_path


@pytest.mark.slow
def test_emoji_come_back():
    """kills: a block without its branch (10 dB), another number of groups (4 dB for 8), pictures
    taken in [-1, 1], the scaling applied once, latents that are far from unit variance."""
    held = Folder("emoji", str(asset("data/emoji")), 128).read(Split.HELDOUT).images[::6]
    autoencoder = TAEF2(str(asset("weights/taef2")))
    latents = autoencoder.encode(held)
    assert latents.shape == (len(held), 32, 16, 16)
    assert latents.astype(np.float32).std() == pytest.approx(1, abs=0.05)
    assert latents.astype(np.float32).mean() == pytest.approx(0, abs=0.05)
    errors = np.square((autoencoder.decode(latents) - held) / 2).mean(axis=(1, 2, 3))
    decibels = -10 * np.log10(errors)
    assert decibels.min() > 25
    assert np.median(decibels) > 31


def test_a_batch_does_not_matter(lay, monkeypatch):
    """kills: rows lost or exchanged between batches, statistics taken over the batch."""
    images = np.random.default_rng(0).uniform(-1, 1, (5, 3, 16, 16)).astype(np.float32)
    autoencoder = TAEF2(str(lay))
    whole = autoencoder.encode(images)
    pictures = autoencoder.decode(whole)
    monkeypatch.setattr(taef2, "BATCH", 2)
    np.testing.assert_allclose(autoencoder.encode(images), whole, atol=2e-3)
    np.testing.assert_allclose(autoencoder.decode(whole), pictures, atol=1e-4)
    assert np.abs(pictures).max() <= 1


def test_a_patch_of_two_packs_latents_as_flux_2():
    """kills: another latent than 64 tokens of 128 numbers for 128 x 128 pictures."""
    channels, side, _ = TAEF2().shape((3, 128, 128))
    shape = DiT(image=side, channels=channels, patch=2)
    assert (shape.tokens, shape.build().trunk.patches.weight[0].numel()) == (64, 128)
    for picture in ((1, 128, 128), (3, 100, 128)):
        with pytest.raises(ValueError, match="TAEF2"):
            TAEF2().shape(picture)


def test_files_that_are_not_there_have_a_command(tmp_path, lay):
    """kills: a traceback for a missing file, a command for a file that is there."""
    (lay / DECODER).unlink()
    with pytest.raises(HubWeightsError, match=rf"no {DECODER} in .*: curl .*taef2_"):
        TAEF2(str(lay)).locate()
    with pytest.raises(HubWeightsError, match="curl"):
        TAEF2(str(tmp_path / "nowhere")).encode(np.zeros((1, 3, 16, 16), np.float32))


@pytest.mark.parametrize("fault", ["missing", "unused", "of another shape", "damaged"])
def test_other_weights_are_refused(lay, fault):
    """kills: strict=False, or an unpickled object: both would draw noise, or run code."""
    state = torch.load(lay / ENCODER, weights_only=True)
    if fault == "missing":
        del state["11.pool.1.bias"]
    elif fault == "unused":
        state["15.weight"] = torch.zeros(1)
    elif fault == "of another shape":
        state["0.weight"] = torch.zeros(64, 4, 3, 3)
    torch.save(state if fault != "damaged" else pytest.raises, lay / ENCODER)
    with pytest.raises(HubWeightsError, match="cannot load" if fault == "damaged" else fault):
        TAEF2(str(lay)).encode(np.zeros((1, 3, 16, 16), np.float32))


def test_identity_is_not_where_the_weights_lie():
    """kills: artifacts made anew once the folder is another."""
    assert encode(TAEF2("a")) == encode(TAEF2("b")) != encode(TAEF2("a", scaling=1.0))
