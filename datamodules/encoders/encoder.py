"""What turns a picture into a latent and a feature, and a caption into vectors.

At `small` no downloaded network is asked: latents are pixels, features are centred pixels, and
captions go through open_clip's own tokenizer and text transformer, tiny, seeded and frozen.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float32]
CPU = torch.device("cpu")


class LatentEncoder(Protocol):
    """Pictures [N, C, H, W], or clips [N, C, T, H, W], in [-1, 1] to latents and back: a frozen
    value. pixels: the latents are pictures, which Eq. 28 of HDDM clips more tightly."""

    pixels: bool

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """(C, H, W), or (C, T, H, W), of the latent of a picture, or clip, of such a shape."""
        ...

    def encode(self, images: Array, device: torch.device = CPU) -> Array: ...

    def decode(self, latents: Array, device: torch.device = CPU) -> Array: ...


class FeatureEncoder(Protocol):
    """Pictures or clips in [-1, 1] to the semantic features [N, F] that are clustered."""

    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.floating]: ...


class TextEncoder(Protocol):
    """Captions to token states [N, length, width] and pooled vectors [N, pooled].

    cached: shards hold these; otherwise they hold token ids, and the tower runs beside training.
    """

    @property
    def cached(self) -> bool: ...

    @property
    def length(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def pooled(self) -> int: ...

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        """Token ids [N, length]."""
        ...

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the tower makes of ids, on their device."""
        ...

    def encode(self, captions: list[str], device: torch.device = CPU) -> tuple[Array, Array]: ...


@dataclass(frozen=True)
class PixelLatents:
    """The picture itself is the latent, [N, C, H, W] in [-1, 1] both ways."""

    pixels = True

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        return picture

    def encode(self, images: Array, device: torch.device = CPU) -> Array:
        return images

    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        return np.clip(latents, -1, 1)


@dataclass(frozen=True)
class PixelFeatures:
    """Pixels less their own mean, [N, C H W]: cosine distance is then one minus correlation."""

    def encode(self, images: Array, device: torch.device = CPU) -> Array:
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

    cached = True

    @property
    def pooled(self) -> int:
        return self.width

    def encode(self, captions: list[str], device: torch.device = CPU) -> tuple[Array, Array]:
        """(token states [N, length, width], pooled [N, width]), each of unit variance."""
        unique = sorted(set(captions))
        tokens, pooled = self.states(torch.from_numpy(self.ids(unique)))
        place = {caption: i for i, caption in enumerate(unique)}
        rows = [place[caption] for caption in captions]
        return tokens.numpy()[rows], pooled.numpy()[rows]

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        from open_clip.tokenizer import SimpleTokenizer  # seconds to import, and rarely needed

        tokenizer = SimpleTokenizer(context_length=self.length)
        for caption in captions:
            if len(tokenizer.encode(caption)) > self.length - 2:
                raise ValueError(f"caption longer than {self.length - 2} tokens: {caption!r}")
        return tokenizer(captions).numpy()

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled, tokens = self._tower().to(ids.device)(ids)
        return self._unit(tokens), self._unit(pooled)

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
    def _unit(x: torch.Tensor) -> torch.Tensor:
        return x / x.std(dim=-1, keepdim=True)
