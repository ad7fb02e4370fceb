"""Moving digits against shifts of arrays, centroids and moments."""

import math

import numpy as np
import pytest
import torch

from datamodules.sources.moving_digits import MOTIONS, SCENES, MovingDigits, Pose, poses, render
from tests.helpers.small_video import centroid, seeded

SIDE, FRAMES = MovingDigits.image, MovingDigits.frames


def still(**moved):
    """A pose [1, T] that is at rest but for what is given."""
    zero = torch.zeros(1, FRAMES)
    parts = {name: torch.as_tensor(x, dtype=torch.float32).view(1, -1) for name, x in moved.items()}
    return Pose(**{name: parts.get(name, zero) for name in Pose._fields})


def shown(digit, pose, scene=0):
    """Brightness [T, side, side] in [0, 1] of one clip, float64."""
    clip = render(torch.as_tensor(digit)[None].float(), pose, torch.tensor([scene]), SIDE)
    assert clip.shape == (1, 1, FRAMES, SIDE, SIDE)
    return (clip[0, 0].double().numpy() + 1) / 2


def number(words):
    (found,) = [i for i, motion in enumerate(MOTIONS) if motion.words.startswith(words)]
    return found


def moving(words, drawn=(0.2, 0.7, 0.4)):
    return poses(torch.tensor([number(words)]), FRAMES, torch.tensor([drawn]))


DIGIT = torch.rand(8, 8, generator=seeded(3)).numpy()
"""No symmetry: a flip or a turn shows."""
BLANK = np.zeros((8, 8))


def placed(digit, dx=0, dy=0):
    """The digit in the middle of a frame, moved by whole pixels: what falls out is lost."""
    wide = np.zeros((3 * SIDE, 3 * SIDE))
    top, left = SIDE + 2 + dy, SIDE + 2 + dx
    wide[top : top + 8, left : left + 8] = digit
    return wide[SIDE : 2 * SIDE, SIDE : 2 * SIDE]


def test_a_digit_moved_by_whole_pixels_is_the_shifted_array():
    """kills: x and y exchanged or turned round, half a pixel lost, a digit that is scaled or that
    comes in again at the other side."""
    dx, dy = np.array([0, 1, 2, -2, 0, 0, 3, -4, 5]), np.array([0, 0, 0, 0, 1, -2, 2, 4, -3])
    found = shown(DIGIT, still(dx=dx, dy=dy))
    for s in range(FRAMES):
        np.testing.assert_allclose(found[s], placed(DIGIT, dx[s], dy[s]), atol=1e-5)


def test_half_a_pixel_is_the_mean_of_two():
    """kills: the nearest pixel in place of what lies between."""
    found = shown(DIGIT, still(dx=[0.5] * FRAMES))
    np.testing.assert_allclose(found[0], (placed(DIGIT) + placed(DIGIT, 1)) / 2, atol=1e-5)


def test_a_quarter_turn_is_clockwise_and_before_the_shift():
    """kills: a turn the other way, about a corner, or one that turns the shift with it."""
    found = shown(DIGIT, still(angle=[math.pi / 2] * FRAMES, dx=[2] * FRAMES, dy=[-1] * FRAMES))
    np.testing.assert_allclose(found[0], placed(np.rot90(DIGIT, k=-1), 2, -1), atol=1e-4)


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("moving left", (-0.5, 0)),
        ("moving right", (0.5, 0)),
        ("moving up", (0, -0.5)),
        ("moving down", (0, 0.5)),
    ],
)
def test_a_line_is_half_a_pixel_a_frame_and_through_the_middle(words, step):
    """kills: left for right, up for down, a pixel a frame, a digit that leaves the picture."""
    for drawn in ((0.0, 0.0, 0.0), (0.9, 0.99, 0.5)):
        found = centroid(shown(DIGIT, moving(words, drawn)))
        steps = np.diff(found, axis=0)
        np.testing.assert_allclose(steps, np.tile(step, (FRAMES - 1, 1)), atol=1e-5)
        along, across = (0, 1) if step[0] else (1, 0)
        away = found[FRAMES // 2] - centroid(placed(DIGIT)[None])[0]
        assert away[along] == pytest.approx(0, abs=1e-5)
        assert away[across] == pytest.approx(3 * drawn[1] - 1.5, abs=1e-5)


def test_bouncing_is_off_the_floor_and_down_again():
    """kills: a bounce upside down, one that goes on up, or a cycle of another length."""
    pose = moving("bouncing", drawn=(0.25, 0.5, 0.0))
    height = -(centroid(shown(DIGIT, pose))[:, 1] - centroid(placed(DIGIT)[None])[0, 1])
    s = np.arange(FRAMES)
    np.testing.assert_allclose(height, 3 * np.abs(np.sin(np.pi * (s / 8 + 0.25))) - 1.5, atol=1e-4)
    assert (height.argmax(), height.argmin()) == (2, 6)
    assert height[0] == pytest.approx(height[8], abs=1e-4)
    assert height.min() == pytest.approx(-1.5, abs=1e-4)  # its frame's edge: the digit stands


def test_swinging_is_to_both_sides():
    """kills: a swing of one side, of another width, or up and down."""
    away = centroid(shown(DIGIT, moving("swinging", drawn=(0.0, 0.9, 0.0))))
    away -= centroid(placed(DIGIT)[None])
    np.testing.assert_allclose(away[:, 0], 2 * np.sin(2 * np.pi * np.arange(FRAMES) / 8), atol=1e-4)
    np.testing.assert_allclose(away[:, 1], 0, atol=1e-4)


@pytest.mark.parametrize(("words", "sign"), [("turning right", 1), ("turning left", -1)])
def test_right_is_clockwise_eight_degrees_a_frame(words, sign):
    """kills: left for right, degrees for radians, a digit that moves while it turns."""
    bar = BLANK.copy()
    bar[:, 3:5] = 1
    frames = shown(bar, moving(words))
    x, y = centroid(frames).T
    np.testing.assert_allclose([x, y], 5.5, atol=0.02)
    v, u = np.mgrid[:SIDE, :SIDE] - 5.5
    xx, yy, xy = ((frames * m).sum(axis=(1, 2)) for m in (u * u, v * v, u * v))
    angle = np.degrees(np.arctan2(-2 * xy, yy - xx) / 2)  # of the long axis, clockwise from up
    np.testing.assert_allclose(angle, sign * 8 * np.arange(FRAMES), rtol=0, atol=2.5)


def test_only_the_second_scene_has_a_floor():
    """kills: a floor in another row or scene, or one that covers the digit."""
    for scene in range(SCENES):
        found = shown(BLANK, still(), scene)
        assert (found[:, :-1].max() > 0) == (scene == 2)
        assert (found[:, -1] == 0.5).all() == (scene == 1)
    over = shown(np.ones((8, 8)), still(dy=[2] * FRAMES), 1)[0, -1]
    np.testing.assert_allclose(over, [0.5] * 2 + [1.0] * 8 + [0.5] * 2, atol=1e-5)


def test_stripes_drift_against_the_pan():
    """kills: stripes that move with the camera, at another speed, or that stand still."""
    pose = moving("turning right")
    found = shown(BLANK, pose, 2)
    assert np.ptp(found, axis=1).max() == 0  # upright
    np.testing.assert_allclose(found[2:, :, :-1], found[:-2, :, 1:], atol=1e-5)
    np.testing.assert_allclose(found[:, :, 6:], found[:, :, :6], atol=1e-5)
    x, phase = np.arange(SIDE), 6 * 0.4
    np.testing.assert_allclose(
        found[0, 0], 0.2 * (1 + np.cos(2 * np.pi * (x + phase) / 6)), atol=1e-5
    )
    assert np.abs(found[1] - found[0]).max() > 0.05
