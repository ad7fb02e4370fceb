"""Paris 2.0's captions: T5-v1.1-XXL's token states and CLIP ViT-L/14's pooled vector.  (§3.1)

The paper caches both. At 512 tokens the states take 512 x 4096 x 2 bytes = 4.2 MB a caption, the
pooled vector 1.5 kB, and the latents of 33 frames of 256 x 256 pixels 0.3 MB; as ids, 589 of them,
a caption takes 4.7 kB, and the towers run beside the training.
"""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.clip_text import ClipText
from datamodules.encoders.encoder import CPU
from datamodules.encoders.hub import WeightsError, find, whole

CONFIG, WEIGHTS, PIECES = "config.json", "model.safetensors", "spiece.model"
INDEX = f"{WEIGHTS}.index.json"
"""Of weights in several files, as transformers writes them past its size of a shard."""
FETCH = (
    "hf download comfyanonymous/flux_text_encoders t5xxl_fp16.safetensors, renamed model."
    "safetensors, beside hf download google/t5-v1_1-xxl config.json spiece.model"
)
PAD, END = 0, 1
"""T5's ids."""
NULL = {"null_t5.pt": 2, "null_clip.pt": 1}
"""The files of the null condition, and the axes of one caption's part in each."""
BATCH = 16
"""Captions encoded at once."""


@dataclass(frozen=True)
class T5ClipText:
    """Token states [N, length, width] of T5's encoder and the pooled vector [N, pooled] of CLIP's
    text tower, as float16.

    As FLUX reads captions: padded to `length`, their end lost beyond it, and the padding masked
    neither inside T5 nor after it. Identity is `name`, `clip` and the sizes, not `weights`.

    Args:
        name: whose T5 it is.
        weights: a folder or hub name with config.json, spiece.model and the weights of the encoder
            alone in transformers' names, once or twice with their embedding.
        length, width: tokens, and what T5 gives for each; ValueError if it is another's.
        clip: the tower of the pooled vector.
        cached: whether shards hold the states, or ids that the towers read beside training.
    """

    name: str = "google/t5-v1_1-xxl"
    weights: str = field(default="./t5", metadata={"key": False})
    length: int = 512
    width: int = 4096
    clip: ClipText = ClipText()
    cached: bool = True

    @property
    def pooled(self) -> int:
        return self.clip.pooled

    def locate(self) -> Path:
        """The folder of T5. WeightsError if it is not here; `clip` speaks for itself."""
        here = Path(self.weights).expanduser()
        weights = INDEX if (here / INDEX).is_file() else WEIGHTS
        try:
            return find(self.weights, (CONFIG, weights, PIECES))
        except WeightsError as error:
            raise WeightsError(f"no T5, {error}; its encoder in float16: {FETCH}") from error

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        """[N, length + clip.length]: T5's, then CLIP's."""
        pieces = _pieces(self.locate())
        t5 = np.full((len(captions), self.length), PAD, dtype=np.int64)
        for row, found in zip(t5, pieces.encode(captions), strict=True):
            kept = [*found[: self.length - 1], END]
            row[: len(kept)] = kept
        return np.concatenate([t5, self.clip.ids(captions)], axis=1)

    @torch.inference_mode()
    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        t5, clip = ids.split([self.length, self.clip.length], dim=1)
        tower = _tower(self.locate(), ids.device)
        if tower.config.d_model != self.width:
            raise ValueError(f"{self.weights} gives {tower.config.d_model}, not {self.width}")
        return tower(t5.contiguous()).last_hidden_state.float(), self.clip.states(clip)[1]

    def encode(
        self, captions: list[str], device: torch.device = CPU
    ) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        ids = torch.from_numpy(self.ids(captions)).to(device)
        batches = (self.states(ids[i : i + BATCH]) for i in range(0, len(ids), BATCH))
        found = [(tokens.half().cpu(), pooled.half().cpu()) for tokens, pooled in batches]
        tokens, pooled = (torch.cat(each).numpy() for each in zip(*found, strict=True))
        return tokens, pooled


def write_null(text: T5ClipText, folder: Path, device: torch.device = CPU) -> None:
    """null_t5.pt [1, length, width] and null_clip.pt [1, pooled]: guidance's null condition, what
    the encoders make of the empty string.  (the card of Paris 2.0)"""
    for file, array in zip(NULL, text.encode([""], device), strict=True):
        torch.save(torch.from_numpy(array), folder / file)


def read_null(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """(tokens [1, length, width], pooled [1, pooled]), float32. WeightsError for other files.

    The card gives no shapes: a leading 1 may be missing."""
    tokens, pooled = (_null(folder / file, axes) for file, axes in NULL.items())
    return tokens, pooled


def _null(file: Path, axes: int) -> torch.Tensor:
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # pickles fail as they please
        said = " ".join(str(error).split())[:200]
        raise WeightsError(f"cannot load the null condition from {file}: {said}") from error
    shape = tuple(getattr(found, "shape", ()))
    if len(shape) not in (axes, axes + 1) or (len(shape) > axes and shape[0] != 1):
        raise WeightsError(
            f"{file} holds no vectors of one caption: {type(found).__name__} {shape}"
        )
    return found.float().reshape(1, *shape[-axes:])


@functools.lru_cache(maxsize=2)
def _pieces(folder: Path) -> Any:
    """The tokenizer. Not transformers': it wants no more files, and reads </s> in a caption as the
    words that it is."""
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_file=str(folder / PIECES))
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"cannot load T5's tokenizer from {folder / PIECES}: {error}") from error


@functools.lru_cache(maxsize=2)
def _tower(folder: Path, device: torch.device) -> Any:
    """The encoder, loaded once. WeightsError if it is another's."""
    from transformers import T5EncoderModel  # seconds to import

    tower = whole(T5EncoderModel, folder, device)
    if not torch.equal(tower.shared.weight, tower.encoder.embed_tokens.weight):
        raise WeightsError(f"{folder} holds two embeddings that differ: T5 has one")
    return tower
