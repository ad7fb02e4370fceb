"""Judges' networks through their real loading code, with random weights."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from huggingface_hub import constants
from PIL import Image
from pytorch_fid.inception import InceptionV3
from torch import nn
from transformers import Dinov2Config, Dinov2Model

from metrics.networks import clip, features, perceptual
from metrics.networks.clip import OpenClip
from metrics.networks.features import (
    FDDinov2Features,
    InceptionFeatures,
    encode_batches,
    hub_positions,
)
from metrics.networks.perceptual import Backbone, Lpips
from metrics.networks.weights import WeightsFileError
from metrics.pixels import Resize
from tests.helpers.networks import lay_inception, pictures

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torch-home")
    lay_inception(folder)
    return folder


@pytest.fixture
def inception(home, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(home))


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """No weights anywhere, and a network that may not be asked."""

    def asked(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr("socket.getaddrinfo", asked)
    monkeypatch.setattr("socket.socket.connect", asked)
    loaders = (features._inception, features._dinov2, perceptual._network, clip._load)
    for loader in loaders:
        loader.cache_clear()
    yield tmp_path
    for loader in loaders:
        loader.cache_clear()


def save_dinov2(folder, size=518):
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=2, patch_size=14, image_size=size
    )
    network = Dinov2Model(config).eval()
    network.embeddings.position_embeddings.data = torch.randn(1, 1 + (size // 14) ** 2, 24)
    network.save_pretrained(folder)
    return network


@pytest.mark.usefixtures("inception")
@pytest.mark.parametrize("width", [64, 768])
def test_inception_is_pytorch_fids(width):
    """kills: another layer, another filter, pixels scaled twice, rows out of order."""
    x = pictures(5, 40, 56, seed=0)
    network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[width]]).eval()
    with torch.no_grad():
        expected = network(torch.from_numpy(x).float() / 255)[0].mean(dim=(2, 3)).numpy()
    found = InceptionFeatures(width).encode(x, CPU, batch=2)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.std())
    other = InceptionFeatures(width, Resize.ANTIALIASED).encode(x, CPU)
    assert np.abs(other - found).max() > 1e-2 * found.std()


@pytest.mark.usefixtures("inception")
def test_no_batch_changes_a_row(tmp_path):
    """kills: batch statistics, a last batch lost. Stated: 1e-5 of the features' deviation."""
    save_dinov2(tmp_path)
    x = pictures(7, 33, 33, seed=1)
    for judge in (InceptionFeatures(192), FDDinov2Features(folder=tmp_path)):
        rows = judge.encode(x, CPU)
        assert rows.dtype == np.float32
        for batch in (1, 3, 7):
            found = judge.encode(x, CPU, batch)
            np.testing.assert_allclose(found, rows, rtol=0, atol=1e-5 * rows.std())
        np.testing.assert_array_equal(judge.encode(x, CPU, 3), judge.encode(x, CPU, 3))


def test_dinov2_is_transformers_on_pils_pictures(tmp_path):
    """kills: patches in the class token's place, no last norm, another normalisation or crop."""
    network = save_dinov2(tmp_path, size=224)  # no positions to interpolate
    x = pictures(3, 50, 300, seed=2)
    small = [
        [np.asarray(Image.fromarray(c.astype(np.float32)).resize((224, 224), 3)) for c in picture]
        for picture in x
    ]
    mean, std = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]
    pixels = (np.clip(small, 0, 255) / 255 - mean) / std
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels).float()).pooler_output.numpy()
    found = FDDinov2Features(folder=tmp_path).encode(x, CPU)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def cubic(t, a=-0.75):
    """Keys' kernel, as torch has it."""
    t = abs(t)
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def test_positions_are_the_hubs():
    """kills: transformers' scale 16 / 37, the class token's position moved, rows for columns."""
    table = torch.randn(1, 1 + 37**2, 3, generator=torch.Generator().manual_seed(0))
    found = hub_positions(table, 16)
    assert torch.equal(found[:, 0], table[:, 0])
    grid = table[0, 1:].reshape(37, 37, 3).numpy()
    weights = np.zeros((16, 37))
    for i in range(16):
        at = (i + 0.5) * 37 / 16.1 - 0.5
        for j in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            weights[i, min(max(j, 0), 36)] += cubic(at - j)
    expected = np.einsum("ia,jb,abf->ijf", weights, weights, grid).reshape(256, 3)
    np.testing.assert_allclose(found[0, 1:].numpy(), expected, atol=2e-5)
    patches = torch.from_numpy(grid)[None].permute(0, 3, 1, 2)
    plain = F.interpolate(patches, (16, 16), mode="bicubic")[0].permute(1, 2, 0).reshape(256, 3)
    assert (found[0, 1:] - plain).abs().max() > 0.1
    assert hub_positions(table, 37) is table


def test_dinov2_uses_those_positions(tmp_path):
    """kills: the hub's table made and not put in."""
    network = save_dinov2(tmp_path)
    network.embeddings.position_embeddings.data = hub_positions(
        network.embeddings.position_embeddings.data, 16
    )
    x = pictures(2, 224, 224, seed=3)
    mean, std = (
        torch.tensor(m)[:, None, None] for m in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    with torch.no_grad():
        expected = network((torch.from_numpy(x) / 255 - mean) / std).pooler_output.numpy()
    found = FDDinov2Features(folder=tmp_path).encode(x, CPU)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_dinov2_is_found_in_the_cache(empty):
    """kills: a place of our own, where nobody's weights lie."""
    place = empty / "hf" / "models--facebook--dinov2-large"
    save_dinov2(place / "snapshots" / "abc")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("abc")
    x = pictures(2, 30, 30, seed=4)
    there = FDDinov2Features(folder=place / "snapshots" / "abc").encode(x, CPU)
    np.testing.assert_array_equal(FDDinov2Features().encode(x, CPU), there)


@pytest.mark.parametrize(
    ("judge", "named"),
    [
        (InceptionFeatures(), "torch/hub/checkpoints/pt_inception-2015-12-05-6726825d.pth https"),
        (FDDinov2Features(), "hf download facebook/dinov2-large model.safetensors"),
        (FDDinov2Features("facebook/dinov2-base"), "hf download facebook/dinov2-base model.saf"),
        (
            OpenClip(),
            "hf download timm/vit_large_patch14_clip_224.openai open_clip_model.safetensors",
        ),
        (
            Lpips(Backbone.ALEX),
            "torch/hub/checkpoints/alexnet-owt-7be5be79.pth https://download.py",
        ),
        (Lpips(Backbone.VGG), "torch/hub/checkpoints/vgg16-397923af.pth https://download.pytorch"),
        (Lpips(Backbone.SQUEEZE), "torch/hub/checkpoints/squeezenet1_1-b8a52dc0.pth https://downl"),
    ],
)
@pytest.mark.usefixtures("empty")
def test_absent_weights_are_one_line(judge, named):
    """kills: a hub that is asked, a hang, a traceback of another library, a file not named."""
    x = pictures(2, 32, 32, seed=0)
    with pytest.raises(WeightsFileError) as said:
        judge.diversity(x, CPU) if isinstance(judge, Lpips) else judge.encode(x, CPU)
    assert named in str(said.value)
    assert "\n" not in str(said.value)


def test_damaged_weights_are_named(empty):
    """kills: an unpickling error that names no file, or a network left as it was drawn."""
    broken = empty / "torch" / "hub" / "checkpoints" / "pt_inception-2015-12-05-6726825d.pth"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"half a file")
    with pytest.raises(WeightsFileError, match=f"cannot load {broken}"):
        InceptionFeatures(64).encode(pictures(2, 32, 32, seed=0), CPU)
    save_dinov2(empty / "dino")
    with pytest.raises(WeightsFileError, match=r"no model.safetensors in .*nowhere"):
        FDDinov2Features(folder=empty / "nowhere").encode(pictures(2, 32, 32, seed=0), CPU)
    path = empty / "dino" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsFileError, match=f"cannot load {path}"):
        FDDinov2Features(folder=empty / "dino").encode(pictures(2, 32, 32, seed=0), CPU)


def test_a_network_without_all_its_weights_is_refused(tmp_path):
    """kills: what is missing drawn at random, as transformers does with a warning."""
    network = save_dinov2(tmp_path)
    kept = {k: v for k, v in network.state_dict().items() if "encoder.layer.1" not in k}
    network.save_pretrained(tmp_path, state_dict=kept)
    with pytest.raises(WeightsFileError, match=r"keys differ.*layer.1"):
        FDDinov2Features(folder=tmp_path).encode(pictures(2, 32, 32, seed=0), CPU)


def test_nothing_and_nan_are_refused():
    """kills: an empty array, or nan, that a later mean makes a score of."""
    x = pictures(2, 8, 8, seed=0)
    with pytest.raises(ValueError, match="no pictures"):
        encode_batches(x[:0], nn.Identity(), CPU, 5)
    with pytest.raises(ValueError, match="not finite"):
        encode_batches(x, lambda y: y.flatten(1) / 0, CPU, 5)


def test_a_name_tells_judges_apart_and_a_path_does_not():
    """kills: two filters under one name; a machine's folder in it."""
    judges = [InceptionFeatures(w, r) for w in (64, 2048) for r in Resize]
    judges += [FDDinov2Features(), FDDinov2Features("facebook/dinov2-base")]
    assert len({judge.name for judge in judges}) == len(judges)
    fields = FDDinov2Features.__dataclass_fields__, OpenClip.__dataclass_fields__
    assert [f[n].metadata["key"] for f, n in zip(fields, ("folder", "weights"), strict=True)] == [
        False
    ] * 2
