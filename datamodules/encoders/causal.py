"""A video latent without a downloaded autoencoder: pixels, arranged as HunyuanVAE's latents."""

from dataclasses import dataclass

import numpy as np
import torch

from datamodules.encoders.encoder import CPU, Array


@dataclass(frozen=True)
class CausalPatches:
    """A latent's channels are the pixels of a patch: nothing is learned and nothing is lost.

    As in a causal autoencoder the first latent frame is the first frame alone, repeated.

    time: frames of a patch.  space: the side of a patch, in pixels. ValueError if one is below 1.
    """

    time: int = 4
    space: int = 2

    pixels = True

    def __post_init__(self) -> None:
        if min(self.time, self.space) < 1:
            raise ValueError(f"patches of {self.time} frames and {self.space} pixels a side")

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
        """(C time space^2, 1 + (T - 1) / time, H / space, W / space) for a clip (C, T, H, W).

        Raises ValueError if the patches do not divide the clip.
        """
        c, t, h, w = picture
        if (t - 1) % self.time or h % self.space or w % self.space:
            raise ValueError(
                f"clips of {picture}: frames must be 1 + {self.time} n, sides {self.space} n"
            )
        return (
            c * self.time * self.space**2,
            1 + (t - 1) // self.time,
            h // self.space,
            w // self.space,
        )

    def encode(self, images: Array, device: torch.device = CPU) -> Array:
        """Latents [N, c, t, h, w], as `shape` gives them, of clips [N, C, T, H, W]."""
        n = len(images)
        _, t, h, w = self.shape(images.shape[1:])
        filled = np.concatenate([images[:, :, :1]] * (self.time - 1) + [images], axis=2)
        x = filled.reshape(n, -1, t, self.time, h, self.space, w, self.space)
        return np.ascontiguousarray(x.transpose(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, -1, t, h, w))

    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        """Clips [N, C, T, H, W], clipped to [-1, 1], of latents [N, c, t, h, w]."""
        n, _, t, h, w = latents.shape
        p = self.space
        x = latents.reshape(n, -1, self.time, p, p, t, h, w).transpose(0, 1, 5, 2, 6, 3, 7, 4)
        clips = x.reshape(n, -1, t * self.time, h * p, w * p)
        first = clips[:, :, : self.time].mean(axis=2, keepdims=True)
        return np.clip(np.concatenate([first, clips[:, :, self.time :]], axis=2), -1, 1)
