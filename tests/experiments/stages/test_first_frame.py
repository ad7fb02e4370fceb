"""Clips through the stages of the data: first frames clustered, latents and captions in shards."""

import json

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLHunyuanVideo

from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.encoder import PixelFeatures, TinyClipText
from datamodules.encoders.first_frame import FirstFrame
from datamodules.encoders.hunyuan import HunyuanVAE
from datamodules.encoders.t5_clip import T5ClipText
from datamodules.shards import read_index, read_shard
from datamodules.sources.source import Split
from datamodules.sources.videotext import VideoText
from experiments.stages.clusters import Clusters
from experiments.stages.corpus import Shards
from experiments.stages.encode import Encode
from tests.helpers.checkpoints import lay_encoders, lay_t5
from tests.helpers.stages import make
from tests.helpers.videos import grey, ramp, write


def test_features_are_of_the_first_frame_alone():
    """kills: another frame, the frames' mean, a channel taken for the frame."""
    clips = np.random.default_rng(0).uniform(-1, 1, (4, 3, 5, 8, 8)).astype(np.float32)
    found = FirstFrame(PixelFeatures()).encode(clips)
    assert np.array_equal(found, PixelFeatures().encode(clips[:, :, 0]))
    other = clips.copy()
    other[:, :, 1:] = 0
    assert np.array_equal(FirstFrame(PixelFeatures()).encode(other), found)
    with pytest.raises(ValueError, match="5 axes, not 4"):
        FirstFrame(PixelFeatures()).encode(clips[:, :, 0])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Clips that begin with one of two pictures, and every small checkpoint."""
    root = lay_encoders(tmp_path_factory.mktemp("root"))
    lay_t5(root / "t5")
    torch.manual_seed(0)
    AutoencoderKLHunyuanVideo(
        block_out_channels=(4, 4, 8, 8), layers_per_block=1, norm_num_groups=2
    ).save_pretrained(root / "hunyuan")
    (root / "clips").mkdir()
    for i in range(24):
        first = ramp(32, 16)[:: 1 - 2 * (i % 2)]  # every other one upside down
        rest = [grey(10 * i + t) for t in range(1, 5)]
        write(root / "clips" / f"{'odd' if i % 2 else 'even'} {i}.mp4", [first, *rest], fps=8)
    return root


def stages(root, text):
    source = VideoText("test", str(root / "clips"), image=16, frames=5, rate=8.0, judge=0.0)
    latents = HunyuanVAE("small", str(root / "hunyuan"))
    encoded = Encode(source, Split.TRAIN, latents, FirstFrame(PixelFeatures()), text)
    return Shards(Clusters(encoded, fine=2, k=2), per_shard=5)


@pytest.mark.parametrize("kind", ["tiny", "t5", "ids"])
def test_clips_become_shards_of_clusters(store, root, kind):
    """kills: clips that some stage takes for pictures, frames encoded one by one, clusters of what
    moves rather than of first frames, a caption or latent of another clip."""
    clip = ClipText(str(root / "clip"), width=24, pooled=24)
    t5 = T5ClipText("small", str(root / "t5"), 12, 16, clip, cached=kind == "t5")
    text = TinyClipText() if kind == "tiny" else t5
    shards = stages(root, text)
    make(store, shards)
    encoded, source = shards.clusters.encoded, shards.source
    records = source.read(Split.TRAIN)
    assert json.loads((store.path(encoded) / "refused.json").read_text())["bad"] == []
    latents = encoded.array(store, "latents")
    assert latents.shape == (len(records), 16, 2, 2, 2)
    assert latents.dtype == np.float16
    place = {latent.tobytes(): i for i, latent in enumerate(latents)}
    assert np.array_equal(latents, encoded.latents.encode(records.images))
    seen, kinds = [], []
    for folder in shards.folders(store, range(2)):
        held = [read_shard(shard) for shard in read_index(folder)]
        rows = [place[latent.tobytes()] for part in held for latent in part["x0"]]
        captions = [records.captions[row] for row in rows]
        kinds.append({caption.split()[0] for caption in captions})
        if kind == "ids":
            ids = np.concatenate([part["ids"] for part in held])
            assert np.array_equal(ids, text.ids(captions))
        else:
            tokens = np.concatenate([part["tokens"] for part in held])
            np.testing.assert_allclose(tokens, text.encode(captions)[0], atol=2e-3)
        seen += rows
    assert sorted(seen) == list(range(len(records)))
    assert sorted(map(sorted, kinds)) == [["even"], ["odd"]]
