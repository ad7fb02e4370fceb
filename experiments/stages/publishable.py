"""Encoders that a published card can name: those whose classes and weights a stranger has too."""

from pathlib import Path
from typing import Any

from datamodules.encoders.autoencoders import StableDiffusionVAE, TinyVAE
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.encoder import PixelLatents, TinyClipText
from modules.codec import Form, decode, encode
from modules.weights.checkpoint import CheckpointError

ENCODERS = (PixelLatents, StableDiffusionVAE, TinyVAE, TinyClipText, ClipText)


def written(encoder: object) -> Form:
    """The encoder as a card has it, without `cached`: whether shards hold captions or their ids
    changes nothing of what a network reads. ValueError for one that no stranger has: a class not
    among ENCODERS, or weights in a folder of this machine."""
    if not isinstance(encoder, ENCODERS):
        known = ", ".join(kind.__name__ for kind in ENCODERS)
        raise ValueError(f"{encoder} is none of the encoders that others have: {known}")
    form = {name: x for name, x in encode(encoder).items() if name != "cached"}
    texts = [x for x in form.values() if isinstance(x, str)]
    local = [x for x in texts if x.startswith(("/", ".", "~")) or Path(x).is_dir()]
    if local:
        raise ValueError(f"{local[0]} is a folder of this machine: encode with weights by hub name")
    return form


def read(form: Form | str) -> Any:
    """The encoder of a card. CheckpointError for what is none of ENCODERS."""
    try:
        return decode(form if isinstance(form, dict) else {"is": form}, ENCODERS, "encoder")
    except ValueError as error:
        raise CheckpointError(str(error)) from error
