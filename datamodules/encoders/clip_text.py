"""The papers' captions: CLIP ViT-L/14's text tower, 77 states of 768 and a pooled vector.

At 11M captions the states take 11e6 x 77 x 768 x 2 bytes = 1.3 TB, against 34 GB for the pooled
vectors at twice the precision and 90 GB for the latents: `cached` chooses. Not cached, shards keep
token ids and the tower runs beside the training, about 13 GFLOPs a caption where a step of
DiT-XL/2 takes some 700 a picture.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU
from datamodules.encoders.hub import WeightsError, find, whole

FILES = ("config.json", "model.safetensors")
TOKENIZER = ("vocab.json", "merges.txt")
BATCH = 64
"""Captions encoded at once."""


@dataclass(frozen=True)
class ClipText:
    """Token states [N, 77, 768] after the last norm, and the end token's [N, 768], as float16.

    Captions longer than 77 tokens lose their end but keep the end token. Of transformers'
    CLIPTextModel; the pooled vector is not projected, as in Stable Diffusion.

    Args:
        weights: a hub name, or a folder with the model.
        tokenizer: the same of its tokenizer, where that lies elsewhere.
        length, width, pooled: what the model gives; ValueError if it is another's.
        cached: whether shards hold the states, or ids that the tower reads beside training.
    """

    weights: str = "openai/clip-vit-large-patch14"
    length: int = 77
    width: int = 768
    pooled: int = 768
    cached: bool = False
    tokenizer: str | None = None

    def locate(self) -> Path:
        """The folder of the weights. WeightsError if they or the tokenizer are not here."""
        if self.tokenizer is None:
            return find(self.weights, (*FILES, *TOKENIZER))
        find(self.tokenizer, TOKENIZER)
        return find(self.weights, FILES)

    def encode(
        self, captions: list[str], device: torch.device = CPU
    ) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        ids = torch.from_numpy(self.ids(captions)).to(device)
        batches = (self.states(ids[i : i + BATCH]) for i in range(0, len(ids), BATCH))
        found = [(tokens.half().cpu(), pooled.half().cpu()) for tokens, pooled in batches]
        tokens, pooled = (torch.cat(each).numpy() for each in zip(*found, strict=True))
        return tokens, pooled

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        found = _tokenizer(self.tokenizer or self.weights)(
            captions,
            padding="max_length",
            max_length=self.length,
            truncation=True,
            return_tensors="np",
        )
        return found.input_ids.astype(np.int64)

    @torch.inference_mode()
    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tower = _tower(self.weights, ids.device)
        shape = (tower.config.max_position_embeddings, tower.config.hidden_size)
        if shape != (self.length, self.width):
            raise ValueError(f"{self.weights} gives {shape}, not {self.length} x {self.width}")
        found = tower(ids)
        return found.last_hidden_state.float(), found.pooler_output.float()


@functools.lru_cache(maxsize=2)
def _tokenizer(weights: str) -> Any:
    from transformers import CLIPTokenizer  # seconds to import

    folder = find(weights, TOKENIZER)
    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"cannot load CLIP's tokenizer from {folder}: {error}") from error


@functools.lru_cache(maxsize=2)
def _tower(weights: str, device: torch.device) -> Any:
    """The text tower, loaded once. WeightsError if it is not here or is another's."""
    from transformers import CLIPTextModel  # seconds to import

    return whole(CLIPTextModel, find(weights, FILES), device)
