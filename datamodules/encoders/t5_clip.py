"""Paris 2.0's captions: T5-v1.1-XXL's token states and CLIP ViT-L/14's pooled vector.  (§3.1)

The paper caches both. At 512 tokens the states of a caption take 512 x 4096 x 2 bytes = 4.2 MB and
the pooled vector 1.5 kB; the latents of 33 frames of 256 x 256 pixels take 0.3 MB. As 589 ids a
caption takes 4.7 kB, and the encoders run during training.
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
from datamodules.encoders.hub import HubWeightsError, find_files, load_model

CONFIG, WEIGHTS, PIECES = "config.json", "model.safetensors", "spiece.model"
INDEX = f"{WEIGHTS}.index.json"
"""The index of weights in several files, as transformers writes large ones."""
FETCH = (
    "hf download comfyanonymous/flux_text_encoders t5xxl_fp16.safetensors, renamed model."
    "safetensors, beside hf download google/t5-v1_1-xxl config.json spiece.model"
)
PAD, END = 0, 1
"""T5's ids of padding and of the end of a text."""
NULL = {"null_t5.pt": 2, "null_clip.pt": 1}
"""The files of the null condition, and the number of axes that one caption has in each."""
BATCH = 16
"""Captions encoded at once."""


@dataclass(frozen=True)
class T5ClipText:
    """Captions as FLUX reads them: padded or truncated to `length`, with the padding never masked.

    Args:
        name: whose T5 it is; part of the key, unlike `weights`.
        weights: a folder or hub name with config.json, spiece.model and the encoder's weights by
            transformers' names.
        length: tokens of a caption.  width: D, of T5's states.
        clip: the encoder of the pooled vector.
        cached: shards hold the states; otherwise ids, which are encoded during training.
    """

    name: str = "google/t5-v1_1-xxl"
    weights: str = field(default="./t5", metadata={"key": False})
    length: int = 512
    width: int = 4096
    clip: ClipText = ClipText()
    cached: bool = True

    @property
    def pooled(self) -> int:
        """P, the width of the pooled vector."""
        return self.clip.pooled

    def locate(self) -> Path:
        """T5's folder. HubWeightsError if it is missing; `clip` is located separately."""
        folder = Path(self.weights).expanduser()
        weights = INDEX if (folder / INDEX).is_file() else WEIGHTS
        try:
            return find_files(self.weights, (CONFIG, weights, PIECES))
        except HubWeightsError as error:
            raise HubWeightsError(f"no T5, {error}; its encoder in float16: {FETCH}") from error

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        """T5's ids, then CLIP's: [N, length + clip.length]. HubWeightsError."""
        pieces = _pieces(self.locate())
        t5 = np.full((len(captions), self.length), PAD, dtype=np.int64)
        for row, tokens in zip(t5, pieces.encode(captions), strict=True):
            truncated = [*tokens[: self.length - 1], END]
            row[: len(truncated)] = truncated
        return np.concatenate([t5, self.clip.ids(captions)], axis=1)

    @torch.inference_mode()
    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """T5's states [N, length, width] and CLIP's vectors [N, pooled], float32, of `ids`.

        Raises ValueError if T5 has another width, and HubWeightsError.
        """
        t5, clip = ids.split([self.length, self.clip.length], dim=1)
        tower = _tower(self.locate(), ids.device)
        if tower.config.d_model != self.width:
            raise ValueError(f"{self.weights} gives {tower.config.d_model}, not {self.width}")
        return tower(t5.contiguous()).last_hidden_state.float(), self.clip.states(clip)[1]

    def encode(
        self, captions: list[str], device: torch.device = CPU
    ) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """T5's states [N, length, width] and CLIP's vectors [N, pooled]. Raises as `states`."""
        ids = torch.from_numpy(self.ids(captions)).to(device)
        batches = (self.states(ids[i : i + BATCH]) for i in range(0, len(ids), BATCH))
        pairs = [(tokens.half().cpu(), pooled.half().cpu()) for tokens, pooled in batches]
        tokens, pooled = (torch.cat(each).numpy() for each in zip(*pairs, strict=True))
        return tokens, pooled


def write_null(text: T5ClipText, folder: Path, device: torch.device = CPU) -> None:
    """Write guidance's null condition, the encoded empty string.  (Paris 2.0's card)

    The files are null_t5.pt [1, length, width] and null_clip.pt [1, pooled], float16.
    """
    for file, array in zip(NULL, text.encode([""], device), strict=True):
        torch.save(torch.from_numpy(array), folder / file)


def read_null(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """The null condition's tokens [1, length, width] and pooled [1, pooled], as float32.

    The card gives no shapes, so the leading 1 may be missing in the files. Raises
    HubWeightsError for files with anything else.
    """
    tokens, pooled = (_null(folder / file, axes) for file, axes in NULL.items())
    return tokens, pooled


def _null(file: Path, axes: int) -> torch.Tensor:
    try:
        x = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged pickles raise almost anything
        reason = " ".join(str(error).split())[:200]
        raise HubWeightsError(f"cannot load the null condition from {file}: {reason}") from error
    shape = tuple(getattr(x, "shape", ()))
    if len(shape) not in (axes, axes + 1) or (len(shape) > axes and shape[0] != 1):
        raise HubWeightsError(f"{file} holds no vectors of one caption: {type(x).__name__} {shape}")
    return x.float().reshape(1, *shape[-axes:])


@functools.lru_cache(maxsize=2)
def _pieces(folder: Path) -> Any:
    """T5's tokenizer. Unlike transformers' it needs no more files and reads </s> as plain text."""
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_file=str(folder / PIECES))
    except (OSError, RuntimeError) as error:
        raise HubWeightsError(
            f"cannot load T5's tokenizer from {folder / PIECES}: {error}"
        ) from error


@functools.lru_cache(maxsize=2)
def _tower(folder: Path, device: torch.device) -> Any:
    """T5's encoder, loaded once. HubWeightsError if the weights are another network's."""
    from transformers import T5EncoderModel  # seconds to import

    tower = load_model(T5EncoderModel, folder, device)
    if not torch.equal(tower.shared.weight, tower.encoder.embed_tokens.weight):
        raise HubWeightsError(f"{folder} holds two embeddings that differ: T5 has one")
    return tower
