"""Small video: a network whose answers are not zero, clips, captions, first frames, centroids."""

import numpy as np
import torch

from modules.dit import TextShape
from modules.mmdit import MMDiT, MMSize
from modules.text import GivenFrame, Text

SHAPE = MMDiT(MMSize(24, 1, 2, 2), channels=3, frames=3, side=4, text=TextShape(5, 12, 7))


def randn(*shape, seed=0):
    """Standard normal numbers."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def centroid(frames):
    """(x, y) [T, 2] of the ink of frames [T, H, W]."""
    y, x = np.mgrid[: frames.shape[1], : frames.shape[2]]
    moments = [(frames * axis).sum(axis=(1, 2)) for axis in (x, y)]
    return np.stack(moments, axis=1) / frames.sum(axis=(1, 2))[:, None]


def enliven(network, seed=0):
    """Every parameter drawn: what begins at zero speaks too."""
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(torch.randn(p.shape, generator=g) * 0.3)
    return network.eval()


def alive(shape, seed=0):
    return enliven(shape.build(), seed)


def clips(n=2, shape=SHAPE, seed=1):
    return randn(n, *shape.latent, seed=seed)


def condition(n=2, shape=SHAPE, seed=2):
    text = shape.text
    tokens = randn(n, text.length, text.width, seed=seed)
    return Text.of(tokens, randn(n, text.pooled, seed=seed + 100))


def given(keep=(True, True), width=6, shape=SHAPE, seed=3):
    """First frames, kept or not."""
    latent = randn(len(keep), shape.channels, 1, shape.side, shape.side, seed=seed)
    return GivenFrame(latent, randn(len(keep), width, seed=seed + 100), torch.tensor(keep))
