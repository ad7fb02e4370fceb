"""Protocols of encoders: pictures to latents and features, captions to vectors.

The encoders of the small scales are here too. They need no download: latents are pixels, features
are centred pixels, and captions are read by a tiny text transformer with random weights.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[np.float32]
CPU = torch.device("cpu")


class LatentEncoder(Protocol):
    """A frozen value that maps pictures or clips to latents and back.

    pixels: latents are pictures, which HDDM's Eq. 28 clips more tightly.
    """

    pixels: bool

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """The latent's shape for a picture (C, H, W) or clip (C, T, H, W). ValueError if none."""
        ...

    def encode(self, images: Array, device: torch.device = CPU) -> Array:
        """Latents [N, c, h, w] or [N, c, t, h, w] of pictures or clips [N, C, ...] in [-1, 1]."""
        ...

    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        """Pictures [N, C, H, W] or clips [N, C, T, H, W] in [-1, 1]; the inverse of `encode`."""
        ...


class FeatureEncoder(Protocol):
    """A frozen value that maps pictures or clips to the semantic features that are clustered."""

    def encode(self, images: Array, device: torch.device = CPU) -> NDArray[np.floating]:
        """Features [N, F] of pictures [N, C, H, W] or clips [N, C, T, H, W] in [-1, 1]."""
        ...


class TextEncoder(Protocol):
    """A frozen value that maps captions to token states and pooled vectors."""

    @property
    def cached(self) -> bool:
        """Shards hold the states; otherwise ids, which are encoded during training."""
        ...

    @property
    def length(self) -> int:
        """L, the tokens of a caption."""
        ...

    @property
    def width(self) -> int:
        """D, the width of a token state."""
        ...

    @property
    def pooled(self) -> int:
        """P, the width of a pooled vector."""
        ...

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        """Token ids [N, length]."""
        ...

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Token states [N, L, D] and pooled vectors [N, P], float32, on the device of `ids`."""
        ...

    def encode(self, captions: list[str], device: torch.device = CPU) -> tuple[Array, Array]:
        """Token states [N, L, D] and pooled vectors [N, P]."""
        ...


@dataclass(frozen=True)
class PixelLatents:
    """The latent is the picture itself."""

    pixels = True

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """The picture's own shape."""
        return picture

    def encode(self, images: Array, device: torch.device = CPU) -> Array:
        """`images` [N, C, H, W] themselves."""
        return images

    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        """`latents` [N, C, H, W], clipped to [-1, 1]."""
        return np.clip(latents, -1, 1)


@dataclass(frozen=True)
class PixelFeatures:
    """Pixels less their mean: their cosine distance is one minus the correlation."""

    def encode(self, images: Array, device: torch.device = CPU) -> Array:
        """Features [N, C H W] of pictures [N, C, H, W]."""
        flat = images.reshape(len(images), -1)
        return flat - flat.mean(axis=1, keepdims=True)


@dataclass(frozen=True)
class TinyClipText:
    """CLIP's text architecture with two layers and random weights from `seed`.

    It need only distinguish words; the networks that read it learn their meaning. The byte-pair
    vocabulary is CLIP's.

    length: tokens of a caption, at most.  width: of token states and pooled vectors.  seed: of the
    random weights.
    """

    length: int = 10
    width: int = 64
    seed: int = 0

    cached = True

    @property
    def pooled(self) -> int:
        """P, the width of a pooled vector."""
        return self.width

    def encode(self, captions: list[str], device: torch.device = CPU) -> tuple[Array, Array]:
        """Token states [N, length, width] and pooled vectors [N, width], each of unit variance.

        Raises ValueError for a caption of more than `length` tokens.
        """
        unique = sorted(set(captions))
        tokens, pooled = self.states(torch.from_numpy(self.ids(unique)))
        row_of = {caption: i for i, caption in enumerate(unique)}
        rows = [row_of[caption] for caption in captions]
        return tokens.numpy()[rows], pooled.numpy()[rows]

    def ids(self, captions: list[str]) -> NDArray[np.int64]:
        """Token ids [N, length]. ValueError for a caption of more than `length` tokens."""
        from open_clip.tokenizer import SimpleTokenizer  # seconds to import, and rarely needed

        tokenizer = SimpleTokenizer(context_length=self.length)
        for caption in captions:
            if len(tokenizer.encode(caption)) > self.length - 2:
                raise ValueError(f"caption longer than {self.length - 2} tokens: {caption!r}")
        return tokenizer(captions).numpy()

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Token states [N, length, width] and pooled vectors [N, width] of ids [N, length]."""
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
