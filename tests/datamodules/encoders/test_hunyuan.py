"""The HunyuanVAE, through its own loading code, on small checkpoints in both of its layouts."""

import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLHunyuanVideo

from datamodules.encoders import hunyuan
from datamodules.encoders.hub import HubWeightsError
from datamodules.encoders.hunyuan import HunyuanVAE, Tiles
from modules.codec import encode

SMALL = {"block_out_channels": (4, 4, 8, 8), "layers_per_block": 1, "norm_num_groups": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small network in diffusers' layout."""
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp("weights") / "vae"
    AutoencoderKLHunyuanVideo(**SMALL).save_pretrained(place)
    return place


def small(place, **changed):
    return HunyuanVAE("small", str(place), **changed)


def network(folder):
    return AutoencoderKLHunyuanVideo.from_pretrained(folder).eval()


def clips(n, frames=5, height=16, width=32):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (n, 3, frames, height, width)).astype(np.float32)


def test_latents_are_the_posteriors_mean_scaled(folder):
    """kills: a draw from the posterior, its deviation, the scaling left out or applied twice, a
    network that reads clips on each other's behalf."""
    x = clips(3)
    found = small(folder).encode(x)
    assert found.dtype == np.float16
    with torch.no_grad():
        expected = 0.476986 * network(folder).encode(torch.from_numpy(x)).latent_dist.mean
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-3)
    assert HunyuanVAE().scaling == AutoencoderKLHunyuanVideo(**SMALL).config.scaling_factor
    assert np.array_equal(small(folder).encode(x[1:2])[0], found[1])


def test_clips_come_back_from_unscaled_latents(folder):
    """kills: decoding scaled latents, clips outside [-1, 1], latents of float16 refused."""
    z = np.random.default_rng(1).normal(size=(2, 16, 2, 2, 4)).astype(np.float16)
    with torch.no_grad():
        expected = network(folder).decode(torch.from_numpy(z).float() / 0.476986).sample
    found = small(folder).decode(z)
    assert found.dtype == np.float32
    assert found.shape == (2, 3, 5, 16, 32)
    np.testing.assert_allclose(found, expected.clamp(-1, 1).numpy(), atol=1e-5)


@pytest.mark.parametrize("picture", [(3, 1, 16, 16), (3, 5, 16, 48), (3, 9, 32, 16)])
def test_the_shape_is_that_of_the_latents(folder, picture):
    """kills: frames or sides rounded otherwise than by the network."""
    encoder = small(folder)
    found = encoder.encode(clips(1, *picture[1:]))
    assert found.shape[1:] == encoder.shape(picture)
    assert encoder.decode(found).shape[1:] == picture


@pytest.mark.parametrize(
    "picture", [(3, 4, 16, 16), (3, 0, 16, 16), (3, 5, 24, 16), (3, 5, 16, 8), (1, 5, 16, 16),
                (3, 16, 16), (3, 5, 0, 16)]
)  # fmt: skip
def test_other_clips_are_refused(picture):
    """kills: frames lost where T is not 1 + 4 n, sides that no token of two latents divides."""
    with pytest.raises(ValueError, match="HunyuanVAE takes"):
        HunyuanVAE().shape(picture)


def test_paper_sizes():
    """kills: 4 x 8 x 8 in another order: 256 and 768 pixels make 32 and 96 latents (the card)."""
    assert HunyuanVAE().shape((3, 33, 256, 256)) == (16, 9, 32, 32)
    assert HunyuanVAE().shape((3, 129, 768, 768)) == (16, 33, 96, 96)


@pytest.mark.parametrize("wrapped", [False, True])
def test_tencents_own_file_is_the_same_network(folder, tmp_path, monkeypatch, wrapped):
    """kills: a layout of the original not opened, its prefix kept, half precision kept."""
    state = network(folder).half().state_dict()
    if wrapped:
        state = {"state_dict": {f"vae.{key}": value for key, value in state.items()}, "epoch": 3}
    torch.save(state, tmp_path / "vae.pt")
    monkeypatch.setattr(hunyuan, "ORIGINAL", SMALL)
    found, expected = (small(p).encode(clips(1)) for p in (tmp_path / "vae.pt", folder))
    np.testing.assert_allclose(found, expected, atol=4e-3)


def test_the_original_network_is_diffusers_default():
    """kills: other widths for Tencent's file, whose network has 246.5M parameters."""
    with torch.device("meta"):
        vae = AutoencoderKLHunyuanVideo(**hunyuan.ORIGINAL)
    assert sum(p.numel() for p in vae.parameters()) == 246_478_803
    assert vae.config.block_out_channels == (128, 256, 512, 512)
    assert vae.config.latent_channels == 16
    assert vae.encoder.conv_out.conv.weight.shape == (32, 512, 3, 3, 3)


def test_another_architecture_is_named_by_its_keys(folder, tmp_path, monkeypatch):
    """kills: a tensor missing, left over or of another shape, passed over."""
    monkeypatch.setattr(hunyuan, "ORIGINAL", SMALL)
    state = network(folder).state_dict()
    bias = "quant_conv.bias"
    changes = {
        "missing: quant_conv.bias": {k: v for k, v in state.items() if k != bias},
        "unused: loss.weight": {**state, "loss.weight": torch.zeros(1)},
        "of another shape: quant_conv.bias": {**state, bias: torch.zeros(3)},
        "missing: decoder": {"epoch": 3},
        "missing: decoder.conv_in": [1, 2],
    }
    for i, (said, changed) in enumerate(changes.items()):
        torch.save(changed, tmp_path / f"{i}.pt")
        with pytest.raises(HubWeightsError, match="another architecture") as caught:
            small(tmp_path / f"{i}.pt").encode(clips(1))
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
    (tmp_path / "half.pt").write_bytes((tmp_path / "0.pt").read_bytes()[:5000])
    (tmp_path / "text.pt").write_text("<html>")
    for name in ("half.pt", "text.pt"):
        with pytest.raises(HubWeightsError, match="cannot load the HunyuanVAE"):
            small(tmp_path / name).encode(clips(1))


def test_weights_are_found_or_named_in_a_line(folder, tmp_path, monkeypatch):
    """kills: a search of the network, a folder with its VAE inside not entered."""
    with pytest.raises(HubWeightsError, match="hf download tencent/HunyuanVideo"):
        HunyuanVAE(weights=str(tmp_path / "vae.pt")).locate()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(HubWeightsError, match=r"hf download some/one vae/config.json vae/diff"):
        HunyuanVAE(weights="some/one").locate()
    assert small(folder.parent).locate() == small(folder).locate() == folder
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "config.json").unlink()
    with pytest.raises(HubWeightsError, match=r"has no config\.json"):
        small(tmp_path / "copy").locate()


def test_tiles_change_values_and_with_them_the_identity(folder):
    """kills: an option that does nothing, or one asked for that stays with the cached network; an
    identity that is the place of the weights, or leaves out what changes values."""
    long, wide = clips(1, frames=21), clips(1, frames=1, width=272)
    for x, alike in ((long, Tiles.TIME), (wide, Tiles.NONE)):
        found = {tiles: small(folder, tiles=tiles).encode(x) for tiles in Tiles}
        z = found[Tiles.NONE]
        back = {tiles: small(folder, tiles=tiles).decode(z) for tiles in Tiles}
        assert back[Tiles.SPACE_TIME].shape == x.shape
        for made in (found, back):
            none, time, both = (made[t] for t in (Tiles.NONE, Tiles.TIME, Tiles.SPACE_TIME))
            assert np.array_equal(time, none) == (alike is Tiles.NONE)
            assert np.array_equal(time, both) == (alike is Tiles.TIME)
        assert np.array_equal(small(folder, tiles=Tiles.NONE).encode(x), z)
    forms = {str(encode(small(folder, tiles=tiles))) for tiles in Tiles}
    assert len(forms) == 3
    assert encode(small("a")) == encode(small("b"))
    assert encode(HunyuanVAE("a")) != encode(HunyuanVAE("b"))
