"""The video latent where no downloaded autoencoder serves: pixels, gathered as HunyuanVAE does."""

from dataclasses import dataclass

import numpy as np
import torch

from datamodules.encoders.encoder import CPU, Array


@dataclass(frozen=True)
class CausalPatches:
    """Latents [N, C time space^2, 1 + (T - 1) / time, H / space, W / space] of clips, and back.

    Nothing is lost and nothing is learned: a channel is a pixel's place in its patch. As in a
    causal autoencoder the first latent frame is the first frame alone, repeated to fill its patch.
    """

    time: int = 4
    space: int = 2

    pixels = True

    def __post_init__(self) -> None:
        if min(self.time, self.space) < 1:
            raise ValueError(f"patches of {self.time} frames and {self.space} pixels a side")

    def shape(self, picture: tuple[int, ...]) -> tuple[int, ...]:
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
        n = len(images)
        _, t, h, w = self.shape(images.shape[1:])
        filled = np.concatenate([images[:, :, :1]] * (self.time - 1) + [images], axis=2)
        x = filled.reshape(n, -1, t, self.time, h, self.space, w, self.space)
        return np.ascontiguousarray(x.transpose(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, -1, t, h, w))

    def decode(self, latents: Array, device: torch.device = CPU) -> Array:
        n, _, t, h, w = latents.shape
        p = self.space
        x = latents.reshape(n, -1, self.time, p, p, t, h, w).transpose(0, 1, 5, 2, 6, 3, 7, 4)
        clips = x.reshape(n, -1, t * self.time, h * p, w * p)
        first = clips[:, :, : self.time].mean(axis=2, keepdims=True)
        return np.clip(np.concatenate([first, clips[:, :, self.time :]], axis=2), -1, 1)
