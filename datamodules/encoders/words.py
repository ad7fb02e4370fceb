"""The text encoder of small video: a random vector for every word, and their sum.

Random weights in CLIP's architecture are enough for pictures, but not for longer captions: the end
token's vector then varies by only 8 % with the digit.
"""

import hashlib
import re
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU, Array


@dataclass(frozen=True)
class Words:
    """A token state is its word's standard normal vector; zeros follow the last word.

    The pooled vector is their sum divided by the square root of their number. The empty string is
    all zeros.

    length: words of a caption, at most.  width: of the vectors.  seed: of the vectors.
    """

    length: int = 8
    width: int = 64
    seed: int = 0

    cached = True

    @property
    def pooled(self) -> int:
        """P, the width of the pooled vector."""
        return self.width

    def encode(self, captions: list[str], device: torch.device = CPU) -> tuple[Array, Array]:
        """Token states [N, length, width] and pooled vectors [N, width].

        Raises ValueError for a caption of more than `length` words.
        """
        tokens = np.zeros((len(captions), self.length, self.width), dtype=np.float32)
        counts = np.ones(len(captions), dtype=np.float32)
        for i, caption in enumerate(captions):
            words = re.findall(r"\w+", caption.lower())
            if len(words) > self.length:
                raise ValueError(f"caption longer than {self.length} words: {caption!r}")
            for j, word in enumerate(words):
                tokens[i, j] = self._vector(word)
            counts[i] = max(1, len(words))
        return tokens, tokens.sum(axis=1) / np.sqrt(counts)[:, None]

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        """Token ids [N, length] do not exist: raises NotImplementedError."""
        raise NotImplementedError("words have vectors, and no ids: they are cached")

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids [N, length] do not exist: raises NotImplementedError."""
        raise NotImplementedError("words have vectors, and no ids: they are cached")

    def _vector(self, word: str) -> Array:
        """The vector [width] of a word, the same in every caption."""
        digest = hashlib.sha256(f"{self.seed} {word}".encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        return rng.standard_normal(self.width, dtype=np.float32)
