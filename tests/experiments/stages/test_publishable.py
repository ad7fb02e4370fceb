"""Encoders as published cards have them."""

import json
from dataclasses import dataclass

import pytest

from datamodules.encoders.autoencoders import StableDiffusionVAE, TinyVAE
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.encoder import PixelFeatures, PixelLatents, TinyClipText
from experiments.stages.publishable import read, written
from modules.weights.checkpoint import CheckpointError


@pytest.mark.parametrize(
    "value",
    [PixelLatents(), StableDiffusionVAE(), TinyVAE(), TinyClipText(12, 32, 3), ClipText(length=60)],
    ids=lambda value: type(value).__name__,
)
def test_encoders_come_back_from_their_cards(value):
    """kills: a field left out of the card, or read as another."""
    assert read(json.loads(json.dumps(written(value)))) == value


def test_a_card_is_of_the_encoding_and_of_no_machine():
    """kills: experts kept apart by how their shards were kept; a folder that no stranger has; a
    class that nobody else has, under a name of ours or not."""
    assert written(ClipText(cached=True)) == written(ClipText())
    assert written(TinyClipText(seed=1)) != written(TinyClipText())
    with pytest.raises(ValueError, match="folder of this machine"):
        written(TinyVAE("/home/me/taesd"))

    @dataclass(frozen=True)
    class TinyVAE2:
        weights: str = "mine"

    for other in (PixelFeatures(), TinyVAE2()):
        with pytest.raises(ValueError, match="none of the encoders"):
            written(other)


@pytest.mark.parametrize(
    "form",
    ["pixels", "", "TinyClipText(length=10)", {}, {"is": "Digits"}, {"is": "os.system"},
     {"is": "TinyClipText", "size": 1}, {"is": "TinyClipText", "length": "10"},
     {"is": "TinyVAE", "weights": {"is": "Path"}}],
)  # fmt: skip
def test_what_is_no_encoder_of_ours_is_refused(form):
    """kills: a class made that a card merely names, or a field passed over."""
    with pytest.raises(CheckpointError, match=r"encoder: "):
        read(form)
