"""A judge of clips that needs no download: it recognises an object and its motion.

Its features replace I3D's. A number made with them never has a published metric's bare name; write
`FVD (moving-digit features)`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float32]
FRAME, CLIP = 64, 128
"""The width of a frame's features, and of a clip's."""


class ClipReading(NamedTuple):
    """What the judge reads in N clips: features [N, 128] and probabilities.

    object: [N, objects].  motion: [N, motions].
    """

    features: Array
    object: Array
    motion: Array


class MovingJudge(nn.Module):
    """A small convolutional network for each frame, then a linear layer for all of them.

    clip: (C, T, side, side); ValueError unless the side is a multiple of 4.
    objects, motions: the number of classes.
    """

    def __init__(self, clip: tuple[int, ...], objects: int, motions: int) -> None:
        super().__init__()
        channels, frames, side, _ = clip
        if side % 4:
            raise ValueError(f"the judge reads frames of side 4 n, not {side}")
        self.objects = objects
        self.frame = nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 48, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(48 * (side // 4) ** 2, FRAME),
        )
        self.clip = nn.Sequential(nn.ReLU(), nn.Linear(FRAME * frames, CLIP))
        self.head = nn.Linear(CLIP, objects + motions)

    def features(self, x: Tensor) -> Tensor:
        """Features [B, 128] of clips x [B, C, T, side, side] in [-1, 1]."""
        frames = x.transpose(1, 2)
        return self.clip(self.frame(frames.flatten(0, 1)).view(len(x), -1))

    def logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of objects [B, objects] and of motions [B, motions], from features [B, 128]."""
        logits = self.head(F.relu(features))
        return logits[:, : self.objects], logits[:, self.objects :]

    @torch.no_grad()
    def read(self, clips: Array, batch: int = 200) -> ClipReading:
        """Features and probabilities of clips [N, C, T, side, side] in [-1, 1]."""
        parts = []
        for x in torch.from_numpy(clips).split(batch):
            features = self.features(x)
            objects, motions = (logits.softmax(dim=1) for logits in self.logits(features))
            parts.append((features.numpy(), objects.numpy(), motions.numpy()))
        return ClipReading(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def train_judge(
    draw: Callable[[torch.Generator], tuple[Tensor, Tensor, Tensor]],
    clip: tuple[int, ...],
    objects: int,
    motions: int,
    steps: int,
    seed: int,
) -> MovingJudge:
    """A trained MovingJudge.

    draw: returns a batch of clips [B, C, T, side, side] in [-1, 1], objects [B] and motions [B].
    clip: the shape of a clip.  steps: of AdamW. Training adds a little noise, so that the judge
    does not depend on the noise that is left in a generated clip.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = MovingJudge(clip, objects, motions)
    g = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(2, steps))
    for _ in range(steps):
        x, objects_true, motions_true = draw(g)
        x = x + 0.1 * torch.randn(x.shape, generator=g)
        predicted = judge.logits(judge.features(x))
        pairs = zip(predicted, (objects_true, motions_true), strict=True)
        loss = sum(
            (F.cross_entropy(logits, true, label_smoothing=0.05) for logits, true in pairs),
            torch.zeros(()),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval().requires_grad_(False)
