"""Encoders: captions to vectors by CLIP's tokenizer, pictures to latents and features."""

import numpy as np
import open_clip
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

from datamodules.encoders.encoder import PixelFeatures, PixelLatents, TinyClipText
from datamodules.sources.digits import WORDS

WORDINGS = ("a handwritten {}", "the digit {}", "a {} written by hand", "a scan of the number {}")
ALL = [wording.format(word) for wording in WORDINGS for word in WORDS]


@pytest.fixture(scope="module")
def encoded():
    return TinyClipText().encode(ALL)


def pictures():
    return (load_digits().images[:30, None] / 8 - 1).astype(np.float32)


class Echo(nn.Module):
    """In the tower's place: remembers the ids and answers with known functions of them."""

    def forward(self, ids):
        self.ids = ids
        self.tokens = torch.sin((ids[:, :, None] + 1) * torch.arange(1.0, 6))
        self.pooled = torch.cos(ids.sum(1)[:, None] * torch.arange(1.0, 4))
        return self.pooled, self.tokens


def test_the_tokens_are_clips(monkeypatch):
    """kills: another tokenizer, or one that drops the start or the end token."""
    echo = Echo()
    monkeypatch.setattr(TinyClipText, "_tower", lambda self: echo)
    TinyClipText().encode(["a handwritten three"])
    assert echo.ids.tolist() == [[49406, 320, 35192, 2097, 49407, 0, 0, 0, 0, 0]]
    clip = open_clip.get_tokenizer("ViT-B-32")(["a handwritten three"])
    assert echo.ids[0].tolist() == clip[0, :10].tolist()


def test_each_caption_gets_its_own_rows_scaled_to_unit_deviation(monkeypatch):
    """kills: tokens and pooled swapped, rows in the sorted order, or an unscaled output."""
    echo = Echo()
    monkeypatch.setattr(TinyClipText, "_tower", lambda self: echo)
    captions = ["the digit two", "a handwritten three", "the digit two", "a zero"]
    tokens, pooled = TinyClipText().encode(captions)
    echo(open_clip.get_tokenizer("ViT-B-32")(captions)[:, :10])
    for found, raw in ((tokens, echo.tokens.numpy()), (pooled, echo.pooled.numpy())):
        expected = raw / raw.std(axis=-1, ddof=1, keepdims=True)
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_a_caption_reads_from_left_to_right_and_is_pooled_at_its_end(encoded):
    """kills: attention to later words, or a pooled vector taken before the digit is read."""
    tokens, pooled = encoded
    three, four = ALL.index("a handwritten three"), ALL.index("a handwritten four")
    same = np.abs(tokens[three] - tokens[four]).max(axis=1)
    assert same[:3].max() < 1e-5  # start, "a", "handwritten"
    assert same[3:5].min() > 0.1  # the digit, end
    assert np.abs(pooled[three] - pooled[four]).max() > 0.1


def test_shapes_and_deviation(encoded):
    """kills: float64 or variance that depends on the width."""
    tokens, pooled = encoded
    assert (tokens.shape, pooled.shape) == ((40, 10, 64), (40, TinyClipText().pooled))
    assert tokens.dtype == pooled.dtype == np.float32
    np.testing.assert_allclose(tokens.std(axis=-1, ddof=1), 1, rtol=1e-4)
    np.testing.assert_allclose(pooled.std(axis=-1, ddof=1), 1, rtol=1e-4)


def test_the_weights_are_a_function_of_the_seed(encoded):
    """kills: weights from the global generator, or a seed that is ignored."""
    torch.manual_seed(99)
    again = TinyClipText().encode(ALL)
    assert all(np.array_equal(x, y) for x, y in zip(again, encoded, strict=True))
    other = TinyClipText(seed=1).encode(ALL)
    assert all(np.abs(x - y).max() > 0.5 for x, y in zip(other, encoded, strict=True))


def test_a_captions_vectors_do_not_depend_on_its_company(encoded):
    """kills: rows mixed up by the order of the captions, or statistics taken over the batch."""
    g = np.random.default_rng(0)
    for rows in ([7], [7, 7, 3], g.permutation(40)[:13], list(range(40))[::-1]):
        alone = TinyClipText().encode([ALL[i] for i in rows])
        for x, y in zip(alone, encoded, strict=True):
            np.testing.assert_allclose(x, y[rows], rtol=1e-4, atol=1e-5)


def test_different_captions_differ(encoded):
    """kills: a pooled vector from a position that all captions share."""
    pooled = encoded[1]
    distance = np.linalg.norm(pooled[:, None] - pooled[None], axis=-1)
    assert distance[~np.eye(40, dtype=bool)].min() > 0.3


def test_the_digit_can_be_read_off_linearly(encoded):
    """kills: captions that differ by their wording but hardly by their digit."""
    pooled, digit, wording = encoded[1], np.tile(np.arange(10), 4), np.repeat(np.arange(4), 10)
    line = LogisticRegression(C=100, max_iter=5000)
    assert line.fit(pooled, digit).score(pooled, digit) == 1
    unseen = []
    for w in range(4):  # a wording that the line never saw; chance is 0.1
        line.fit(pooled[wording != w], digit[wording != w])
        unseen.append(line.score(pooled[wording == w], digit[wording == w]))
    assert np.mean(unseen) > 0.3


def test_a_long_caption_is_refused_by_name():
    """kills: a caption that silently loses its end, or one that just fits refused."""
    fits, long = "one two three four five six seven eight", "one two three four five six seven 8 9"
    TinyClipText().encode([fits])
    with pytest.raises(ValueError, match=f"longer than 8 tokens: '{long}'"):
        TinyClipText().encode([fits, long, "the digit one"])
    TinyClipText(length=11).encode([long])


def test_the_global_generator_is_left_alone():
    """kills: a seed set globally, which would make later draws depend on the captions."""
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    TinyClipText(seed=8).encode(["the digit one"])
    assert torch.equal(torch.rand(4), expected)


def test_pixel_latents_round_trip_and_stay_in_range():
    """kills: a scaling on one way only, or samples drawn beyond white."""
    images = pictures()
    latents = PixelLatents().encode(images)
    assert np.array_equal(latents, images)
    assert np.array_equal(PixelLatents().decode(latents), images)
    beyond = np.array([-3, -1, 0.5, 1, 1.2], dtype=np.float32)
    assert PixelLatents().decode(beyond).tolist() == [-1, -1, 0.5, 1, 1]


def test_pixel_features_turn_cosine_into_correlation():
    """kills: a mean over the pictures, or none taken away."""
    images = pictures()
    features = PixelFeatures().encode(images).astype(np.float64)
    assert features.shape == (30, 64)
    norms = np.linalg.norm(features, axis=1)
    cosine = features @ features.T / np.outer(norms, norms)
    np.testing.assert_allclose(1 - cosine, 1 - np.corrcoef(images.reshape(30, 64)), atol=1e-6)
