"""The judge of clips where no downloaded one serves: what is shown, and how it moves.

Its features stand where I3D's would, and no number made with them carries a published metric's bare
name: write `FVD (moving-digit features)`.
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
"""Numbers kept of a frame, and of a clip."""


class Read(NamedTuple):
    """features [N, 128]; object [N, objects] and motion [N, motions], the judge's probabilities."""

    features: Array
    object: Array
    motion: Array


class MovingJudge(nn.Module):
    """x [B, C, T, side, side] in [-1, 1] -> logits of objects and of motions.

    Frames are read one by one by a small convolutional network, then together. side: a multiple
    of 4, else ValueError.
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
        """[B, 128], the layer before the answers."""
        frames = x.transpose(1, 2)
        return self.clip(self.frame(frames.flatten(0, 1)).view(len(x), -1))

    def answers(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of objects and of motions."""
        logits = self.head(F.relu(features))
        return logits[:, : self.objects], logits[:, self.objects :]

    @torch.no_grad()
    def read(self, clips: Array, batch: int = 200) -> Read:
        """What it makes of clips [N, C, T, H, W] in [-1, 1]."""
        found = []
        for x in torch.from_numpy(clips).split(batch):
            features = self.features(x)
            seen, moving = (logits.softmax(dim=1) for logits in self.answers(features))
            found.append((features.numpy(), seen.numpy(), moving.numpy()))
        return Read(*(np.concatenate(each) for each in zip(*found, strict=True)))


def train_judge(
    draw: Callable[[torch.Generator], tuple[Tensor, Tensor, Tensor]],
    clip: tuple[int, ...],
    objects: int,
    motions: int,
    steps: int,
    seed: int,
) -> MovingJudge:
    """A MovingJudge fitted to batches (clips, objects [B], motions [B]) as `draw` gives them,
    slightly noised, so that a generated clip's last noise tells it nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = MovingJudge(clip, objects, motions)
    g = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(2, steps))
    for _ in range(steps):
        x, seen, moving = draw(g)
        x = x + 0.1 * torch.randn(x.shape, generator=g)
        answers = zip(judge.answers(judge.features(x)), (seen, moving), strict=True)
        loss = sum(
            (F.cross_entropy(said, true, label_smoothing=0.05) for said, true in answers),
            torch.zeros(()),
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval().requires_grad_(False)
