"""The papers' captions: CLIP ViT-L/14's text encoder, 77 token states and a pooled vector.

For 11M captions the states take 11e6 x 77 x 768 x 2 bytes = 1.3 TB; the latents take 90 GB and the
pooled vectors 34 GB in float32. If they are not cached, shards hold token ids and the encoder runs
during training. It takes about 13 GFLOPs a caption; a step of DiT-XL/2 takes 700 a picture.
"""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.captions import cleaned
from datamodules.encoders.encoder import CPU
from datamodules.encoders.hub import HubWeightsError, find_files, load_model

FILES = ("config.json", "model.safetensors")
TOKENIZER = ("vocab.json", "merges.txt")
BATCH = 64
"""Captions encoded at once."""


@dataclass(frozen=True)
class ClipText:
    """transformers' CLIPTextModel: token states after the last norm, and the end token's state.

    Captions of more than 77 tokens are truncated but keep the end token. The pooled vector is not
    projected, as in Stable Diffusion.

    Args:
        weights: a hub name, or a folder with the model.
        tokenizer: a hub name or folder of the tokenizer; None if it is with the weights.
        length, width, pooled: L, D and P of the model.
        cached: shards hold the states; otherwise ids, which are encoded during training.
    """

    weights: str = "openai/clip-vit-large-patch14"
    length: int = 77
    width: int = 768
    pooled: int = 768
    cached: bool = False
    tokenizer: str | None = None

    def locate(self) -> Path:
        """The weights' folder. HubWeightsError if they or the tokenizer are missing."""
        if self.tokenizer is None:
            return find_files(self.weights, (*FILES, *TOKENIZER))
        find_files(self.tokenizer, TOKENIZER)
        return find_files(self.weights, FILES)

    def encode(
        self, captions: list[str], device: torch.device = CPU
    ) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
        """Token states [N, 77, 768] and pooled vectors [N, 768]. Raises as `states`."""
        ids = torch.from_numpy(self.ids(captions)).to(device)
        batches = (self.states(ids[i : i + BATCH]) for i in range(0, len(ids), BATCH))
        pairs = [(tokens.half().cpu(), pooled.half().cpu()) for tokens, pooled in batches]
        tokens, pooled = (torch.cat(each).numpy() for each in zip(*pairs, strict=True))
        return tokens, pooled

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        """Token ids [N, 77] of cleaned captions, padded or truncated. HubWeightsError without the
        tokenizer."""
        encoding = _tokenizer(self.tokenizer or self.weights)(
            [cleaned(caption) for caption in captions],
            padding="max_length",
            max_length=self.length,
            truncation=True,
            return_tensors="np",
        )
        return encoding.input_ids.astype(np.int64)

    @torch.inference_mode()
    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Token states [N, 77, 768] and pooled vectors [N, 768] of ids [N, 77], as float32.

        Raises ValueError if the model has another length or width, and HubWeightsError.
        """
        tower = _tower(self.weights, ids.device)
        shape = (tower.config.max_position_embeddings, tower.config.hidden_size)
        if shape != (self.length, self.width):
            raise ValueError(f"{self.weights} gives {shape}, not {self.length} x {self.width}")
        output = tower(ids)
        return output.last_hidden_state.float(), output.pooler_output.float()


@functools.lru_cache(maxsize=2)
def _tokenizer(weights: str) -> Any:
    from transformers import CLIPTokenizer  # seconds to import

    folder = find_files(weights, TOKENIZER)
    try:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise HubWeightsError(f"cannot load CLIP's tokenizer from {folder}: {error}") from error


@functools.lru_cache(maxsize=2)
def _tower(weights: str, device: torch.device) -> Any:
    """The text encoder, loaded once. HubWeightsError if it is missing or another network's."""
    from transformers import CLIPTextModel  # seconds to import

    return load_model(CLIPTextModel, find_files(weights, FILES), device)
