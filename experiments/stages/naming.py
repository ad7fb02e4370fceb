"""Encoders by name: what a published card says of latents and captions, and the value it means.

A name is the value as Python writes it, `TinyClipText(length=10, width=64, seed=0)`: networks go
together if theirs are the same, to the letter.
"""

import ast
from pathlib import Path
from typing import Any

from datamodules.encoders.autoencoders import StableDiffusionVAE, TinyVAE
from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.encoder import PixelLatents, TinyClipText
from experiments.pipeline.stage import canonical
from modules.weights.checkpoint import CheckpointError

KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (PixelLatents, StableDiffusionVAE, TinyVAE, TinyClipText, ClipText)
}
ASIDE = ("is", "version", "cached")
"""Whether shards hold captions or their ids changes nothing of what a network reads."""


def words(value: Any) -> str:
    """A frozen value's class and fields, without those that say where on a machine data lies."""
    fields = {name: x for name, x in canonical(value).items() if name not in ASIDE}
    return f"{type(value).__name__}({', '.join(f'{name}={x!r}' for name, x in fields.items())})"


def name(encoder: object) -> str:
    """What `encoder` below reads. ValueError for one that no stranger has: a class not in KINDS, or
    weights in a folder of this machine."""
    if KINDS.get(type(encoder).__name__) is not type(encoder):
        raise ValueError(f"{encoder} has no name that others know: {', '.join(KINDS)}")
    texts = [x for x in canonical(encoder).values() if isinstance(x, str)]
    local = [x for x in texts if x.startswith(("/", ".", "~")) or Path(x).is_dir()]
    if local:
        raise ValueError(f"{local[0]} is a folder of this machine: encode with weights by hub name")
    return words(encoder)


def encoder(name: str) -> Any:
    """The encoder of a card. CheckpointError for what is no name of one; nothing is executed."""
    try:
        call: Any = ast.parse(name, mode="eval").body
        given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        found = KINDS[call.func.id](**given)
    except (SyntaxError, AttributeError, KeyError, TypeError, ValueError) as error:
        known = ", ".join(KINDS)
        raise CheckpointError(f"{name!r} names no encoder: it is one of {known}") from error
    if call.args:
        raise CheckpointError(f"{name!r} has fields without names")
    return found
