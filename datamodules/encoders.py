"""What turns a picture into a latent and a feature, and a caption into vectors.

At `small` no downloaded network is asked: latents are pixels, features are centred pixels, and
captions go through open_clip's own tokenizer and text transformer, tiny, seeded and frozen.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True)
class PixelLatents:
    """The picture itself is the latent, [N, C, H, W] in [-1, 1] both ways."""

    pixels = True

    def encode(self, images: Array) -> Array:
        return images

    def decode(self, latents: Array) -> Array:
        return np.clip(latents, -1, 1)


@dataclass(frozen=True)
class PixelFeatures:
    """Pixels less their own mean, [N, C H W]: cosine distance is then one minus correlation."""

    def encode(self, images: Array) -> Array:
        flat = images.reshape(len(images), -1)
        return flat - flat.mean(axis=1, keepdims=True)


@dataclass(frozen=True)
class TinyClipText:
    """CLIP's text architecture at width 64, two layers, weights drawn once from `seed`, frozen.

    Untrained on purpose: here the words need only be told apart, and what they mean is learned by
    the networks that read them. The byte-pair vocabulary is CLIP's. Captions longer than `length`
    tokens raise ValueError rather than lose their end.
    """

    length: int = 10
    width: int = 64
    seed: int = 0

    @property
    def pooled(self) -> int:
        return self.width

    def encode(self, captions: list[str]) -> tuple[Array, Array]:
        """(token states [N, length, width], pooled [N, width]), each of unit variance."""
        from open_clip.tokenizer import SimpleTokenizer  # seconds to import, and rarely needed

        tokenizer = SimpleTokenizer(context_length=self.length)
        for caption in captions:
            if len(tokenizer.encode(caption)) > self.length - 2:
                raise ValueError(f"caption longer than {self.length - 2} tokens: {caption!r}")
        unique = sorted(set(captions))
        tokens, pooled = self._tower()(tokenizer(unique))[::-1]
        place = {caption: i for i, caption in enumerate(unique)}
        rows = [place[caption] for caption in captions]
        return self._unit(tokens)[rows], self._unit(pooled)[rows]

    def _tower(self) -> torch.nn.Module:
        from open_clip.transformer import TextTransformer

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            tower = TextTransformer(
                context_length=self.length,
                width=self.width,
                heads=4,
                layers=2,
                output_dim=self.width,
                output_tokens=True,
            )
        return tower.eval().requires_grad_(False)

    @staticmethod
    def _unit(x: torch.Tensor) -> Array:
        return (x / x.std(dim=-1, keepdim=True)).numpy()
