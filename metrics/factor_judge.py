"""A judge of scenes that needs no download: one small network that reads every factor of a picture.

Its features replace Inception's. A number made with them never has a published metric's bare name;
write `FID (scene features)`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float32]
FEATURES = 96
"""The width of a picture's features."""
NOISE = 0.05
"""Added to what it learns from, so that it does not depend on the noise left in a sample."""

LAST = 32
"""Batches, the last that it learnt from, over which features have unit variance: how large they are
is otherwise chance, and distances of two judges could not be compared."""
LR = 2e-3
"""Of AdamW, at most: it rises and falls once."""


class FactorReading(NamedTuple):
    """What the judge reads in N pictures: features [N, 96] and values [N, factors]."""

    features: Array
    values: NDArray[np.int64]


class FactorJudge(nn.Module):
    """A convolutional network with a head for every factor.

    picture: (C, side, side); ValueError unless the side is a multiple of 4.
    values: how many values each factor has.
    """

    def __init__(self, picture: tuple[int, ...], values: tuple[int, ...]) -> None:
        super().__init__()
        channels, side, _ = picture
        if side % 4:
            raise ValueError(f"the judge reads pictures of side 4 n, not {side}")
        self.values = values
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(48, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * (side // 4) ** 2, FEATURES),
        )
        self.head = nn.Linear(FEATURES, sum(values))

    def logits(self, features: Tensor) -> tuple[Tensor, ...]:
        """Logits [B, V] of each factor, from features [B, 96]."""
        return self.head(F.relu(features)).split(self.values, dim=1)

    @torch.no_grad()
    def named(self, features: Array) -> NDArray[np.int64]:
        """The likeliest value of each factor [N, factors], from features [N, 96]."""
        logits = self.logits(torch.from_numpy(features))
        return torch.stack([each.argmax(1) for each in logits], dim=1).numpy()

    @torch.no_grad()
    def read(self, pictures: Array, batch: int = 500) -> FactorReading:
        """Features and values of pictures [N, C, side, side] in [-1, 1]."""
        parts = torch.from_numpy(pictures).split(batch)
        features = torch.cat([self.body(x) for x in parts]).numpy()
        return FactorReading(features, self.named(features))


def train_judge(
    draw: Callable[[int], tuple[Tensor, Tensor]],
    picture: tuple[int, ...],
    values: tuple[int, ...],
    steps: int,
    seed: int,
) -> FactorJudge:
    """A trained FactorJudge.

    draw: of a step's number, its pictures [B, C, side, side] in [-1, 1] and values [B, factors].
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = FactorJudge(picture, values)
    g = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LR, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=max(2, steps))
    for step in range(steps):
        x, true = draw(step)
        x = x + NOISE * torch.randn(x.shape, generator=g)
        heads = judge.logits(judge.body(x))
        losses = [F.cross_entropy(head, true[:, i]) for i, head in enumerate(heads)]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
        schedule.step()
    judge.eval().requires_grad_(False)
    _scale(judge, torch.cat([draw(step)[0] for step in range(max(0, steps - LAST), steps)]))
    return judge


def _scale(judge: FactorJudge, pictures: Tensor) -> None:
    """Divide the features by one number, so that over these pictures [B, C, side, side] their
    variance is 1 on average; the head undoes it, and reads what it read."""
    last = judge.body[-1]
    assert isinstance(last, nn.Linear)
    unit = judge.body(pictures).var(dim=0).mean().sqrt()
    last.weight.div_(unit)
    last.bias.div_(unit)
    judge.head.weight.mul_(unit)
