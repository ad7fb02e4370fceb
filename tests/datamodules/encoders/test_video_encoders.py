"""What stands in for HunyuanVAE, T5 and CLIP where nothing is downloaded."""

import numpy as np
import pytest

from datamodules.encoders.causal import CausalPatches
from datamodules.encoders.encoder import PixelFeatures
from datamodules.encoders.first_frame import FirstFrame
from datamodules.encoders.words import Words
from datamodules.sources.moving_digits import CAPTIONS

CLIPS = np.random.default_rng(0).uniform(-1, 1, (3, 2, 9, 6, 4)).astype(np.float32)


@pytest.mark.parametrize("patches", [CausalPatches(), CausalPatches(2, 1), CausalPatches(8, 2)])
def test_nothing_is_lost(patches):
    """kills: axes exchanged on the way back, a first frame lost or counted four times."""
    latents = patches.encode(CLIPS)
    assert latents.shape[1:] == patches.shape(CLIPS.shape[1:])
    assert latents.dtype == np.float32
    found = patches.decode(latents)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, CLIPS, atol=1e-6)


@pytest.mark.parametrize("frame", range(9))
def test_a_latent_frame_holds_its_own_frames(frame):
    """kills: a first latent frame that sees ahead, or groups that begin with the first frame."""
    changed = CLIPS.copy()
    changed[:, :, frame] = 0
    differs = (CausalPatches().encode(changed) != CausalPatches().encode(CLIPS)).any((0, 1, 3, 4))
    assert differs.nonzero()[0].tolist() == [-(-frame // 4)]


def test_a_latent_pixel_holds_its_own_patch():
    """kills: pixels scattered over the picture, whose places a network could not know."""
    changed = CLIPS.copy()
    changed[:, :, :, 2:4, 0:2] = 0
    differs = (CausalPatches().encode(changed) != CausalPatches().encode(CLIPS)).any((0, 1, 2))
    assert np.argwhere(differs).tolist() == [[1, 0]]


def test_the_first_frame_is_encoded_alone():
    """kills: a given picture whose latent differs from that of the clip it begins."""
    alone = CausalPatches().encode(CLIPS[:, :, :1])
    assert np.array_equal(alone, CausalPatches().encode(CLIPS)[:, :, :1])
    np.testing.assert_allclose(CausalPatches().decode(alone), CLIPS[:, :, :1], atol=1e-6)


def test_what_is_generated_is_brought_into_range():
    """kills: pixels past white, that wrap around in eight bits."""
    found = CausalPatches().decode(3 * CausalPatches().encode(CLIPS))
    np.testing.assert_allclose(found, np.clip(3 * CLIPS, -1, 1), atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 8, 6, 4), (2, 9, 5, 4), (2, 9, 6, 3)])
def test_what_does_not_divide_is_refused(shape):
    """kills: frames or pixels dropped in silence."""
    with pytest.raises(ValueError, match="frames must be 1"):
        CausalPatches().shape(shape)


def test_a_word_is_its_vector_wherever_it_stands():
    """kills: vectors that depend on the place, the other words, the letters' case or the run."""
    tokens, _ = Words().encode(["a two moving left", "left, moving: A one", "moving"])
    assert np.array_equal(tokens[0, 3], tokens[1, 0])
    assert np.array_equal(tokens[0, 2], tokens[1, 1])
    assert np.array_equal(tokens[0, 0], tokens[1, 2])
    assert np.array_equal(tokens[0, 2], tokens[2, 0])
    assert not tokens[0, 4:].any()
    assert not np.array_equal(tokens[0, 1], tokens[1, 3])
    other = Words(seed=1).encode(["moving"])[0]
    assert not np.allclose(other, tokens[2:])
    assert tokens.dtype == np.float32


def test_the_summary_has_the_size_of_a_word():
    """kills: a mean, which vanishes with the words, or a sum, which grows with them."""
    tokens, pooled = Words().encode(["a two moving left", "two"])
    np.testing.assert_allclose(pooled[0], tokens[0].sum(0) / 2, rtol=1e-6)
    assert np.array_equal(pooled[1], tokens[1, 0])
    wide = Words(width=4096).encode(list(CAPTIONS))[1]
    assert wide.std(axis=1) == pytest.approx(np.ones(80), abs=0.06)


def test_the_empty_string_is_zero():
    """kills: a division by no words, or a null that is some word's."""
    tokens, pooled = Words().encode([""])
    assert tokens.shape == (1, 8, 64)
    assert pooled.shape == (1, Words().pooled)
    assert not tokens.any()
    assert not pooled.any()


def test_every_caption_is_told_from_the_others():
    """kills: captions whose summaries are as good as one, such as those of one digit."""
    pooled = Words().encode(list(CAPTIONS))[1]
    apart = np.linalg.norm(pooled[:, None] - pooled[None], axis=2) + 9 * np.eye(80)
    assert apart.min() > 0.25 * np.linalg.norm(pooled, axis=1).mean()


def test_a_caption_that_is_too_long_is_one_line():
    """kills: a caption's end lost in silence."""
    with pytest.raises(ValueError, match="longer than 3 words: 'a two moving left'"):
        Words(length=3).encode(["a two moving", "a two moving left"])


def test_the_first_frames_feature_is_a_pictures():
    """kills: a later frame that is seen, or another feature than the picture's own."""
    found = FirstFrame(PixelFeatures()).encode(CLIPS)
    assert np.array_equal(found, PixelFeatures().encode(np.ascontiguousarray(CLIPS[:, :, 0])))
    changed = CLIPS.copy()
    changed[:, :, 1:] = 0
    assert np.array_equal(FirstFrame(PixelFeatures()).encode(changed), found)
    changed[:, :, 0] = 0
    assert not np.array_equal(FirstFrame(PixelFeatures()).encode(changed), found)
