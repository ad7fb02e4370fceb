"""The papers' encoders, through their own loading code, on small checkpoints of their classes."""

import shutil
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, AutoencoderTiny
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, Dinov2Model

from datamodules.encoders.autoencoders import StableDiffusionVAE, TinyVAE
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.dinov2 import DINOv2Features
from datamodules.encoders.hub import HubWeightsError, find_files
from tests.helpers.checkpoints import lay_encoders

WORDS = ["a red car", "two dogs on a beach, at sunset", "", "a red car " * 40]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with a small checkpoint of every encoder, as the hub lays them out."""
    return lay_encoders(tmp_path_factory.mktemp("weights"))


def pictures(n, side=32):
    return np.random.default_rng(0).uniform(-1, 1, (n, 3, side, side)).astype(np.float32)


def test_latents_are_the_posteriors_mean_scaled(weights):
    """kills: a draw from the posterior, the scaling left out or applied twice, [0, 1] pictures."""
    images, vae = pictures(3), AutoencoderKL.from_pretrained(weights / "vae")
    found = StableDiffusionVAE(str(weights / "vae")).encode(images)
    with torch.no_grad():
        expected = 0.18215 * vae.encode(torch.from_numpy(images)).latent_dist.mean
    assert found.shape == (3, *(4, 4, 4))
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-3)
    assert StableDiffusionVAE().shape((3, 256, 256)) == (4, 32, 32)


def test_pictures_come_back_from_unscaled_latents(weights):
    """kills: decoding scaled latents, or pictures outside [-1, 1]."""
    z = np.random.default_rng(1).normal(size=(2, 4, 4, 4)).astype(np.float32)
    vae = AutoencoderKL.from_pretrained(weights / "vae")
    with torch.no_grad():
        expected = vae.decode(torch.from_numpy(z) / 0.18215).sample.clamp(-1, 1)
    found = StableDiffusionVAE(str(weights / "vae")).decode(z)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_the_tiny_autoencoder_scales_by_itself(weights):
    """kills: Stable Diffusion's factor put on latents that have it already."""
    images, vae = pictures(2), AutoencoderTiny.from_pretrained(weights / "tiny")
    encoder = TinyVAE(str(weights / "tiny"))
    with torch.no_grad():
        latents = vae.encode(torch.from_numpy(images)).latents
        expected = vae.decode(latents).sample.clamp(-1, 1)
    np.testing.assert_allclose(encoder.encode(images), latents.numpy(), atol=2e-3)
    np.testing.assert_allclose(encoder.decode(latents.numpy()), expected.numpy(), atol=1e-4)


def test_features_are_the_class_token_of_normalised_pictures(weights):
    """kills: the patches' mean, the state before the last norm, [-1, 1] pictures, channels in
    another order."""
    images, model = pictures(2, side=40), Dinov2Model.from_pretrained(weights / "dino").eval()
    x = F.interpolate(torch.from_numpy(images), (28, 28), mode="bicubic", antialias=True)
    x = (x.clamp(-1, 1) + 1) / 2
    for i, (mean, deviation) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
        x[:, i] = (x[:, i] - mean) / deviation
    with torch.no_grad():
        expected = model(x).pooler_output
    found = DINOv2Features(str(weights / "dino"), side=28).encode(images)
    np.testing.assert_allclose(found, expected.numpy(), atol=3e-3)
    with pytest.raises(ValueError, match="multiple of 14"):
        DINOv2Features(str(weights / "dino"), side=30).encode(images)


def test_tokens_are_clips_and_the_end_is_kept(weights):
    """kills: another tokenizer, padding that is not CLIP's, an end token cut off."""
    text = ClipText(str(weights / "clip"), width=24, pooled=24)
    ids, theirs = text.ids(WORDS), SimpleTokenizer()(WORDS)
    for row, expected in zip(ids, theirs.numpy(), strict=True):
        end = int((expected == 49407).argmax())
        assert row[: end + 1].tolist() == expected[: end + 1].tolist()
        assert set(row[end + 1 :].tolist()) <= {49407}  # CLIP pads with the end token
    assert ids[3, -1] == 49407
    assert (ids[3] == 49407).sum() == 1


def test_states_and_the_pooled_vector_are_the_towers(weights):
    """kills: states before the last norm, the pooled vector of a padding, rows out of order."""
    text = ClipText(str(weights / "clip"), width=24, pooled=24)
    tower = CLIPTextModel.from_pretrained(weights / "clip").eval()
    ids = torch.from_numpy(text.ids(WORDS))
    with torch.no_grad():
        found = tower(ids)
    tokens, pooled = text.encode(WORDS)
    np.testing.assert_allclose(tokens, found.last_hidden_state.numpy(), atol=4e-3)
    ends = (ids == 49407).int().argmax(1)
    last = found.last_hidden_state[torch.arange(4), ends]
    np.testing.assert_allclose(pooled, last.numpy(), atol=4e-3)
    with pytest.raises(ValueError, match="not 77 x 768"):
        ClipText(str(weights / "clip")).encode(WORDS)


@pytest.mark.parametrize("encoder", ["vae", "dino", "clip"])
def test_no_answer_depends_on_the_batch(weights, monkeypatch, encoder):
    """kills: the last batch lost, a norm over the batch."""
    images = pictures(5)
    for module in ("autoencoders", "dinov2", "clip_text"):
        monkeypatch.setattr(f"datamodules.encoders.{module}.BATCH", 2)
    if encoder == "clip":
        text = ClipText(str(weights / "clip"), width=24, pooled=24)
        whole, alone = text.encode(WORDS)[0], text.encode(WORDS[2:3])[0]
        np.testing.assert_allclose(whole[2:3], alone, atol=2e-3)
        return
    real = {
        "vae": StableDiffusionVAE(str(weights / "vae")),
        "dino": DINOv2Features(str(weights / "dino"), side=28),
    }[encoder]
    np.testing.assert_allclose(real.encode(images)[4:], real.encode(images[4:]), atol=2e-3)
    assert len(real.encode(images)) == 5


def test_missing_weights_are_named_within_seconds(tmp_path, monkeypatch):
    """kills: a hang without a network, an error that does not say what to fetch and how."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    started = time.monotonic()
    for encoder in (StableDiffusionVAE(), DINOv2Features()):
        with pytest.raises(HubWeightsError, match=r"hf download \S+/\S+ config\.json ") as caught:
            encoder.encode(pictures(1))
        assert "\n" not in str(caught.value)
    with pytest.raises(HubWeightsError, match="hf download openai/clip-vit-large-patch14 vocab"):
        ClipText().ids(["a"])
    assert time.monotonic() - started < 10
    (tmp_path / "half").mkdir()
    with pytest.raises(HubWeightsError, match=r"has no config\.json"):
        find_files(str(tmp_path / "half"), ["config.json"])
    with pytest.raises(HubWeightsError, match="no folder"):
        find_files(str(tmp_path / "nowhere"), ["config.json"])


def test_weights_in_the_hubs_cache_are_found(tmp_path, monkeypatch):
    """kills: a name that only a folder answers to, a file of another revision, half a model."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    home = tmp_path / "models--someone--model"
    (home / "snapshots" / "abc").mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc")
    (home / "snapshots" / "abc" / "config.json").write_text("{}")
    assert find_files("someone/model", ["config.json"]) == home / "snapshots" / "abc"
    with pytest.raises(HubWeightsError, match="hf download someone/model"):
        find_files("someone/model", ["config.json", "model.safetensors"])


@pytest.mark.parametrize("change", ["missing", "unused", "of another shape"])
@pytest.mark.parametrize(
    ("name", "file", "ask"),
    [
        (
            *("vae", "diffusion_pytorch_model.safetensors"),
            lambda folder: StableDiffusionVAE(folder).encode(pictures(1)),
        ),
        (
            *("dino", "model.safetensors"),
            lambda folder: DINOv2Features(folder, side=28).encode(pictures(1)),
        ),
        (
            *("clip", "model.safetensors"),
            lambda folder: ClipText(folder, width=24, pooled=24).encode(["a"]),
        ),
    ],
)
def test_weights_are_read_whole(weights, tmp_path, name, file, ask, change):
    """kills: the warning with which both libraries draw a missing weight at random."""
    folder = tmp_path / name
    shutil.copytree(weights / name, folder)
    tensors = load_file(folder / file)
    first = sorted(tensors)[0]
    if change == "missing":
        del tensors[first]
    elif change == "unused":
        tensors["strange"] = torch.ones(1)
    else:
        tensors[first] = torch.ones(3, 2, 1)
    save_file(tensors, folder / file, {"format": "pt"})
    with pytest.raises(HubWeightsError, match=f"{change}|cannot load"):
        ask(str(folder))


def test_a_damaged_file_is_named(weights, tmp_path):
    """kills: safetensors' own error, which names no file."""
    shutil.copytree(weights / "dino", tmp_path / "dino")
    (tmp_path / "dino" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(HubWeightsError, match=r"cannot load Dinov2Model from .*dino"):
        DINOv2Features(str(tmp_path / "dino"), side=28).encode(pictures(1))
