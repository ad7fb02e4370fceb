"""Clips of moving handwritten digits: scikit-learn's digits in three scenes, drawn without end.

Each scene has its own motions and is one cluster. A few random numbers determine the digit's place
in every frame, so the true motion is known in pixels a frame.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from datamodules.sources.digits import WORDS, Digits
from datamodules.sources.reading import record_batches
from datamodules.sources.source import DrawnClips, RecordCounts, Records, Split

SPEED = 0.5
"""Speed of a digit or camera that moves in a line, in pixels a frame."""
SWING, PERIOD = 2.0, 8.0
"""Amplitude in pixels, and period in frames, of swinging and bouncing."""
TURN = math.radians(8)
"""Rotation in radians a frame."""
FLOOR, STRIPES, STRIPE = 0.5, 0.4, 6.0
"""Brightness of the floor and of the stripes, and the stripes' period in pixels."""
SEED = 20261121


class Motion(NamedTuple):
    """A motion: its words in captions and its scene, which is the cluster.

    dx, dy: direction of motion in a line.  swing, bounce, turn: 1 or -1 if it does, else 0.
    """

    words: str
    scene: int
    dx: int = 0
    dy: int = 0
    swing: int = 0
    bounce: int = 0
    turn: int = 0


MOTIONS = (
    Motion("moving left", 0, dx=-1),
    Motion("moving right", 0, dx=1),
    Motion("moving up", 0, dy=-1),
    Motion("moving down", 0, dy=1),
    Motion("bouncing", 1, bounce=1),
    Motion("swinging", 1, swing=1),
    Motion("turning left, the camera panning", 2, turn=-1),
    Motion("turning right, the camera panning", 2, turn=1),
)
SCENES = 3
"""The number of scenes: a dark room; a floor; stripes that pass as the camera pans."""


def caption(label: int) -> str:
    """The caption of class `label`, which is digit * len(MOTIONS) + motion."""
    digit, motion = divmod(label, len(MOTIONS))
    article = "an" if WORDS[digit] == "eight" else "a"
    return f"{article} {WORDS[digit]} {MOTIONS[motion].words}"


CAPTIONS = tuple(caption(label) for label in range(len(WORDS) * len(MOTIONS)))


class Pose(NamedTuple):
    """Where the digit is in each frame.

    dx, dy: [N, T], pixels from the middle.  angle: [N, T], radians clockwise.
    pan: [N, T], pixels that the camera has panned.
    """

    dx: Tensor
    dy: Tensor
    angle: Tensor
    pan: Tensor


def poses(motion: Tensor, frames: int, uniform: Tensor) -> Pose:
    """The poses [N, T] of clips with motions [N], int64, given random numbers [N, 3] in [0, 1).

    The three numbers are the phase, the offset across the motion, and the camera's start.
    """
    table = torch.tensor([m[2:] for m in MOTIONS], dtype=torch.float32)[motion]  # [N, 5]
    dx, dy, swing, bounce, turn = table[:, :, None].unbind(1)
    s = torch.arange(frames, dtype=torch.float32)[None]
    line = SPEED * (s - (frames - 1) / 2)
    phase, offset, start = uniform[:, :, None].unbind(1)
    wave = 2 * math.pi * (s / PERIOD + phase)
    jitter = 3 * offset - 1.5
    pan = (turn != 0) * (SPEED * s + STRIPE * start)
    return Pose(
        dx * line + swing * SWING * wave.sin() + jitter * ((dy != 0) | (bounce != 0)),
        dy * line + bounce * (1.5 - 3 * (wave / 2).sin().abs()) + jitter * (dx != 0),
        turn * TURN * s,
        pan,
    )


def render(digits: Tensor, pose: Pose, scene: Tensor, side: int) -> Tensor:
    """Clips [N, 1, T, side, side] in [-1, 1] of digits [N, 8, 8] in [0, 1] in scenes [N], int64."""
    n, frames = pose.dx.shape
    cos, sin = pose.angle.cos(), pose.angle.sin()
    half = digits.shape[-1] / 2  # grid_sample counts in halves of the digit
    rows = [
        torch.stack([cos, sin, -(cos * pose.dx + sin * pose.dy) / half], dim=-1),
        torch.stack([-sin, cos, (sin * pose.dx - cos * pose.dy) / half], dim=-1),
    ]
    theta = torch.stack(rows, dim=2).flatten(0, 1)  # [N T, 2, 3]
    theta[:, :, :2] *= side / digits.shape[-1]
    grid = F.affine_grid(theta, [n * frames, 1, side, side], align_corners=False)
    pictures = digits[:, None].repeat_interleave(frames, 0)
    ink = F.grid_sample(pictures, grid, align_corners=False).view(n, frames, side, side)
    ink = torch.maximum(ink, _background(pose, scene, side))
    return (2 * ink - 1)[:, None]


def _background(pose: Pose, scene: Tensor, side: int) -> Tensor:
    """Brightness [N, T, side, side] behind the digit."""
    x = torch.arange(side, dtype=torch.float32)
    floor = FLOOR * (x >= side - 1).float()[:, None]  # the lowest row
    wave = (2 * math.pi * (x + pose.pan[:, :, None]) / STRIPE).cos()  # [N, T, side]
    stripes = STRIPES * (1 + wave[:, :, None]) / 2
    which = scene[:, None, None, None]
    return (which == 1) * floor + (which == 2) * stripes


@dataclass(frozen=True)
class MovingDigits:
    """A source of clips [1, T, image, image]; a class is a digit with a motion.

    frames: T.  image: the side of a frame, in pixels.  digits: the digits in each split.
    clips, judged, held: clips in TRAIN, JUDGE and HELDOUT when a split is read; `draw` is endless.
    Raises ValueError for sizes that are too small.
    """

    frames: int = 9
    image: int = 12
    digits: Digits = Digits()
    clips: int = 12_000
    judged: int = 2_000
    held: int = 2_048

    name = "moving-digits"
    channels = 1
    classes = len(CAPTIONS)
    clusters = SCENES
    captions = CAPTIONS

    def __post_init__(self) -> None:
        if self.frames < 2 or self.image < 8 or min(self.clips, self.judged, self.held) < 2:
            raise ValueError(
                f"{self.frames} frames of side {self.image}, splits of {self.clips}, {self.judged} "
                f"and {self.held} clips: a digit is 8 pixels, and all else needs two"
            )

    @property
    def preparation(self) -> str:
        return f"{self.image}px-{self.frames}f"

    def divided(self, seed: int) -> Self:
        return replace(self, digits=self.digits.divided(seed))

    def tuning(self) -> Self:
        return replace(self, digits=self.digits.tuning())

    def expected(self, split: Split) -> int:
        return {Split.TRAIN: self.clips, Split.JUDGE: self.judged, Split.HELDOUT: self.held}[split]

    def parts(self, split: Split) -> Sequence[str]:
        return ("clips",)

    def batches(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of the moving digits")
        return record_batches(self.read(split), size, counts)

    def read(self, split: Split) -> Records:
        """The clips of a split, with the scenes in turn."""
        n = self.expected(split)
        seed = [SEED, [*Split].index(split), self.digits.division]
        g = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        drawn = self.draw(split, range(SCENES), n, g)
        labels = drawn.labels.numpy()
        return Records(
            keys=[f"{split.value}-{i:06d}" for i in range(n)],
            images=drawn.clips.numpy(),
            labels=labels,
            captions=[CAPTIONS[label] for label in labels],
        )

    def cluster(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The scenes [N] of classes [N]."""
        scenes = np.array([motion.scene for motion in MOTIONS])
        return scenes[labels % len(MOTIONS)]

    def draw(self, split: Split, scenes: Sequence[int], n: int, g: torch.Generator) -> DrawnClips:
        """n clips [n, 1, T, image, image] of a split's digits.

        The scenes alternate; motions and digits are random.
        """
        pictures, classes = _digits(self.digits, split)
        scene = torch.tensor(scenes)[torch.arange(n) % len(scenes)]
        u = torch.rand(n, 5, generator=g)
        motion = torch.empty(n, dtype=torch.long)
        for k in scenes:
            own = torch.tensor([i for i, m in enumerate(MOTIONS) if m.scene == k])
            rows = scene == k
            motion[rows] = own[(u[rows, 3] * len(own)).long()]
        chosen = (u[:, 4] * len(classes)).long()
        pose = poses(motion, self.frames, u[:, :3])
        clips = render(pictures[chosen], pose, scene, self.image)
        return DrawnClips(clips, classes[chosen] * len(MOTIONS) + motion, scene)


@functools.cache
def _digits(digits: Digits, split: Split) -> tuple[Tensor, Tensor]:
    """Pictures [M, 8, 8] in [0, 1] and classes [M] of a split, read once."""
    records = digits.read(split)
    pictures = (torch.from_numpy(records.images[:, 0]) + 1) / 2
    return pictures, torch.from_numpy(records.labels)
