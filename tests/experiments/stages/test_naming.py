"""Encoders by the names that published cards have."""

import pytest

from datamodules.encoders.autoencoders import StableDiffusionVAE, TinyVAE
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.encoder import PixelFeatures, PixelLatents, TinyClipText
from datamodules.sources.digits import Digits
from datamodules.sources.imagetext import ImageText
from experiments.stages import naming
from modules.weights.checkpoint import CheckpointError


@pytest.mark.parametrize(
    "value",
    [PixelLatents(), StableDiffusionVAE(), TinyVAE(), TinyClipText(12, 32, 3), ClipText(length=60)],
    ids=lambda value: type(value).__name__,
)
def test_encoders_come_back_from_their_names(value):
    """kills: a field left out of the name, or read as another."""
    assert naming.encoder(naming.name(value)) == value


def test_a_name_is_of_the_encoding_and_of_no_machine():
    """kills: experts kept apart by how their shards were kept; a folder that no stranger has."""
    assert naming.name(ClipText(cached=True)) == naming.name(ClipText())
    assert naming.name(TinyClipText(seed=1)) != naming.name(TinyClipText())
    with pytest.raises(ValueError, match="folder of this machine"):
        naming.name(TinyVAE("/home/me/taesd"))
    with pytest.raises(ValueError, match="no name"):
        naming.name(PixelFeatures())
    assert "/data" not in naming.words(ImageText("laion", "{0..3}.tar", "/data"))
    assert naming.words(Digits()) == "Digits(train=800, judge=597, heldout=400)"


@pytest.mark.parametrize(
    "name",
    ["pixels", "Digits()", "TinyClipText(10)", "TinyClipText(size=1)", "os.system('x')", "(", "",
     "TinyVAE(weights=open('x'))", "TinyVAE(**{'weights': 'x'})", "__import__('os')()"],
)  # fmt: skip
def test_what_is_no_name_of_an_encoder_is_refused(name):
    """kills: a card that runs code, or a field passed over."""
    with pytest.raises(CheckpointError, match=r"names no encoder|without names"):
        naming.encoder(name)
