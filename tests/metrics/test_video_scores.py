"""Scores of clips by their frames: CLIP's cosine, and LAION's own heads against matrix products."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

from metrics.networks.aesthetic import Aesthetic, AestheticHead
from metrics.networks.clip import OpenClip
from metrics.networks.weights import WeightsFileError
from modules.codec import encode
from tests.helpers.checkpoints import ARCHITECTURE, lay_clip, transformers_clip
from tests.helpers.files import asset
from tests.helpers.networks import pictures

CPU = torch.device("cpu")
CAPTIONS = ["a red wave", "Two dogs, on a beach!", "the number three"]
CLIPS = pictures(12, 40, 50, seed=0).reshape(3, 4, 3, 40, 50).transpose(0, 2, 1, 3, 4)


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return lay_clip(tmp_path_factory.mktemp("clip"), transformers_clip())


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A small CLIP whose embedding has the heads' 768 numbers."""
    folder = tmp_path_factory.mktemp("wide")
    (folder / "wide-test-clip.json").write_text(json.dumps(ARCHITECTURE | {"embed_dim": 768}))
    open_clip.add_model_config(folder / "wide-test-clip.json")
    torch.manual_seed(0)
    save_file(open_clip.create_model("wide-test-clip").state_dict(), folder / "w.safetensors")
    return OpenClip("wide-test-clip", "drawn", folder / "w.safetensors")


def test_a_clips_cosine_is_the_mean_of_its_frames(judge):
    """kills: frames or captions of another clip, the first frame alone, channels taken for frames,
    the cosine of the mean embedding, whole clips lost between batches."""
    frames = [[judge.scores(f[None], [c], CPU).cosine[0] for f in clip.transpose(1, 0, 2, 3)]
              for clip, c in zip(CLIPS, CAPTIONS, strict=True)]  # fmt: skip
    assert np.ptp(frames, axis=1).min() > 1e-3
    for batch in (1, 8, 50):
        found = judge.video_scores(CLIPS, CAPTIONS, CPU, batch)
        np.testing.assert_allclose(found.cosine, np.mean(frames, axis=1), atol=1e-6)
    assert found.truncated == 0
    with pytest.raises(ValueError, match="3 clips do not pair with 1 captions"):
        judge.video_scores(CLIPS, CAPTIONS[:1], CPU)
    with pytest.raises(ValueError, match=r"clips are uint8 \[N, 3, T, H, W\], not uint8 \(3, 3, 4"):
        judge.video_scores(CLIPS[:, :, 0], CAPTIONS, CPU)


def affine(state):
    """(weight [768], bias) of layers that have nothing between them, multiplied out in float64."""
    matrix, bias = np.eye(768), np.zeros(768)
    numbers = sorted({int(key.split(".")[1]) for key in state if key.startswith("layers.")})
    for prefix in [f"layers.{n}." for n in numbers] or [""]:
        w, b = (state[prefix + kind].double().numpy() for kind in ("weight", "bias"))
        matrix, bias = w @ matrix, w @ bias + b
    return matrix[0], bias[0]


@pytest.mark.parametrize("head", AestheticHead)
def test_the_published_heads_are_a_matrix_product(head, wide):
    """kills: a layer left out, an activation or dropout that the file was not fitted with, rounding
    to half precision, the two heads exchanged."""
    folder = asset("weights/aesthetic")
    aesthetic = Aesthetic(folder, head, wide)
    weight, bias = affine(torch.load(folder / head.value[0], map_location="cpu"))
    rows = np.random.default_rng(0).normal(size=(20, 768))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(aesthetic.embedding_scores(rows), rows @ weight + bias, rtol=1e-10)
    embeddings = wide.encode(CLIPS[:, :, 1], CPU).astype(np.float64)
    expected = embeddings @ weight + bias
    np.testing.assert_allclose(aesthetic.scores(CLIPS[:, :, 1], CPU), expected, rtol=1e-6)
    frames = [aesthetic.scores(CLIPS[:, :, t], CPU) for t in range(4)]
    for batch in (1, 8, 50):
        found = aesthetic.video_scores(CLIPS, CPU, batch)
        np.testing.assert_allclose(found, np.mean(frames, axis=0), rtol=1e-6)


def test_a_head_that_is_not_the_published_one_is_one_line(tmp_path, wide, judge):
    """kills: a part of a file loaded, a missing file without its name, an embedding of another CLIP
    stretched or cut, the folder in the key."""
    name = AestheticHead.LINEAR.value[0]
    aesthetic = Aesthetic(tmp_path, AestheticHead.LINEAR, wide)
    with pytest.raises(WeightsFileError, match=f"no {name} in {tmp_path}"):
        aesthetic.scores(CLIPS[:, :, 0], CPU)
    state = {"weight": torch.ones(1, 768), "bias": torch.zeros(1)}
    for wrong in (state | {"extra": torch.ones(1)}, state | {"weight": torch.ones(1, 512)}):
        torch.save(wrong, tmp_path / name)
        with pytest.raises(WeightsFileError, match=f"cannot load {tmp_path / name}") as said:
            aesthetic.scores(CLIPS[:, :, 0], CPU)
        assert "\n" not in str(said.value)
    torch.save(state, tmp_path / name)
    with pytest.raises(ValueError, match=r"rows of 768 numbers, not \(3, 16\)"):
        Aesthetic(tmp_path, AestheticHead.LINEAR, judge).scores(CLIPS[:, :, 0], CPU)
    assert encode(aesthetic) == encode(Aesthetic(Path("other"), AestheticHead.LINEAR, wide))
    assert encode(aesthetic) != encode(Aesthetic(tmp_path, AestheticHead.MLP, wide))
