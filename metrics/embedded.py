"""A judge of pictures that needs no download: a classifier trained on a split of its own.

Its features replace Inception's. A number made with them never has a published metric's bare name;
write `FID (digit features)`.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float32]


class ClassJudge(nn.Module):
    """A small convolutional classifier; pictures larger than 8 x 8 are halved first.

    side: of the pictures, in pixels; ValueError unless it is 8 times a power of two.
    """

    def __init__(self, classes: int = 10, channels: int = 1, side: int = 8) -> None:
        super().__init__()
        halvings = int(math.log2(side / 8)) if side >= 8 else -1
        if halvings < 0 or side != 8 * 2**halvings:
            raise ValueError(f"the judge reads pictures of side 8, 16, 32 …, not {side}")
        stem: list[nn.Module] = []
        for _ in range(halvings):
            stem += [nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
            channels = 32
        self.body = nn.Sequential(
            *stem,
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * 16, 64),
        )
        self.head = nn.Linear(64, classes)

    def features(self, x: Tensor) -> Tensor:
        """Features [B, 64] of pictures x [B, C, side, side] in [-1, 1]."""
        return self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, classes] of pictures x [B, C, side, side] in [-1, 1]."""
        return self.head(F.relu(self.body(x)))


def _shift(x: Tensor, g: torch.Generator) -> Tensor:
    """Pictures [B, C, H, W], each shifted by -1, 0 or 1 pixels along both axes, padded with -1."""
    side = x.shape[-1]
    padded = F.pad(x, (1, 1, 1, 1), value=-1.0)
    windows = padded.unfold(2, side, 1).unfold(3, side, 1).permute(0, 2, 3, 1, 4, 5)
    rows, columns = torch.randint(0, 3, (2, len(x)), generator=g)
    return windows[torch.arange(len(x)), rows, columns]


def train_judge(
    images: Array, labels: NDArray[np.int64], steps: int, seed: int, classes: int = 10
) -> ClassJudge:
    """A ClassJudge trained on images [N, C, side, side] in [-1, 1] and labels [N].

    Training shifts the images by up to a pixel and adds a little noise.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = ClassJudge(classes, *images.shape[1:3])
    g = torch.Generator().manual_seed(seed)
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(0, len(x), (64,), generator=g)
        batch = _shift(x[rows], g)
        batch = batch + 0.1 * torch.randn(batch.shape, generator=g)
        loss = F.cross_entropy(judge(batch), y[rows], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return judge.eval().requires_grad_(False)


def classify(judge: ClassJudge, images: Array, batch: int = 500) -> tuple[Array, NDArray[np.int64]]:
    """Features [N, 64] and predicted classes [N] of images [N, C, side, side] in [-1, 1]."""
    features, classes = [], []
    with torch.no_grad():
        for x in torch.from_numpy(images).split(batch):
            hidden = judge.features(x)
            features.append(hidden)
            classes.append(judge.head(F.relu(hidden)).argmax(1))
    return torch.cat(features).numpy(), torch.cat(classes).numpy()
