"""Clips of handwritten digits that move: scikit-learn's digits in three scenes, an endless supply.

A scene has motions of its own and is what a cluster is. Where the digit is in every frame follows
from a few numbers that are drawn, so that the truth of "moving left" is known, in pixels a frame.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from datamodules.sources.digits import WORDS, Digits
from datamodules.sources.source import Records, Refused, Split, sliced
from datamodules.streams import Drawn

SPEED = 0.5
"""Pixels a frame of what moves in a line, digit or camera."""
SWING, PERIOD = 2.0, 8.0
"""Pixels each way, and frames, of what swings or bounces."""
TURN = math.radians(8)
"""Radians a frame of what turns."""
FLOOR, STRIPES, STRIPE = 0.5, 0.4, 6.0
"""Brightness of the floor and of the stripes, and the pixels from one stripe to the next."""
SEED = 20261121


class Motion(NamedTuple):
    """scene: the cluster.  dx, dy: direction in a line.  swing, bounce, turn: 1 or -1, else 0."""

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
"""A dark room; a floor; stripes that drift by as the camera pans."""


def caption(label: int) -> str:
    """What a clip of class `label`, digit * len(MOTIONS) + motion, shows."""
    digit, motion = divmod(label, len(MOTIONS))
    article = "an" if WORDS[digit] == "eight" else "a"
    return f"{article} {WORDS[digit]} {MOTIONS[motion].words}"


CAPTIONS = tuple(caption(label) for label in range(len(WORDS) * len(MOTIONS)))


class Pose(NamedTuple):
    """Where the digit is: dx, dy [N, T] pixels from the middle, angle [N, T] clockwise, and how far
    the camera has panned [N, T] pixels."""

    dx: Tensor
    dy: Tensor
    angle: Tensor
    pan: Tensor


def poses(motion: Tensor, frames: int, drawn: Tensor) -> Pose:
    """The pose in each frame of clips of motions [N], by three numbers [N, 3] in [0, 1)."""
    table = torch.tensor([m[2:] for m in MOTIONS], dtype=torch.float32)[motion]  # [N, 5]
    dx, dy, swing, bounce, turn = table[:, :, None].unbind(1)
    s = torch.arange(frames, dtype=torch.float32)[None]
    line = SPEED * (s - (frames - 1) / 2)
    phase, aside, start = drawn[:, :, None].unbind(1)
    wave = 2 * math.pi * (s / PERIOD + phase)
    jitter = 3 * aside - 1.5
    pan = (turn != 0) * (SPEED * s + STRIPE * start)
    return Pose(
        dx * line + swing * SWING * wave.sin() + jitter * ((dy != 0) | (bounce != 0)),
        dy * line + bounce * (1.5 - 3 * (wave / 2).sin().abs()) + jitter * (dx != 0),
        turn * TURN * s,
        pan,
    )


def render(digits: Tensor, pose: Pose, scene: Tensor, side: int) -> Tensor:
    """Clips [N, 1, T, side, side] in [-1, 1] of digits [N, 8, 8] in [0, 1] in scenes [N]."""
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
    """frames: of a clip.  image: side of a frame.  digits: how many are in each split.

    clips, judged, held: clips of each split when it is read as one that ends. `draw` has no end.
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

    def expected(self, split: Split) -> int:
        return {Split.TRAIN: self.clips, Split.JUDGE: self.judged, Split.HELDOUT: self.held}[split]

    def parts(self, split: Split) -> Sequence[str]:
        return ("clips",)

    def batches(self, split: Split, part: str, size: int, refused: Refused) -> Iterator[Records]:
        if part not in self.parts(split):
            raise ValueError(f"{part} is no part of the moving digits")
        return sliced(self.read(split), size, refused)

    def read(self, split: Split) -> Records:
        """The clips of a split, scenes and, within them, motions in turn."""
        n = self.expected(split)
        seed = [SEED, [*Split].index(split)]
        g = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        found = self.draw(split, range(SCENES), n, g)
        labels = found.labels.numpy()
        return Records(
            keys=[f"{split.value}-{i:06d}" for i in range(n)],
            images=found.clips.numpy(),
            labels=labels,
            captions=[CAPTIONS[label] for label in labels],
        )

    def cluster(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """The scene of each class."""
        scenes = np.array([motion.scene for motion in MOTIONS])
        return scenes[labels % len(MOTIONS)]

    def draw(self, split: Split, scenes: Sequence[int], n: int, g: torch.Generator) -> Drawn:
        """n clips of a split's digits: scenes in turn, motions and digits at random."""
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
        return Drawn(clips, classes[chosen] * len(MOTIONS) + motion, scene)


_HELD: dict[tuple[Digits, Split], tuple[Tensor, Tensor]] = {}


def _digits(digits: Digits, split: Split) -> tuple[Tensor, Tensor]:
    """Pictures [M, 8, 8] in [0, 1] and classes [M] of a split, read once."""
    if (digits, split) not in _HELD:
        read = digits.read(split)
        pictures = (torch.from_numpy(read.images[:, 0]) + 1) / 2
        _HELD[digits, split] = pictures, torch.from_numpy(read.labels)
    return _HELD[digits, split]
