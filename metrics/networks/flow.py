"""Motion and warping error of clips, from dense optical flow.

Paris 2.0 prints "motion (px/frame)" and "warping" and names neither flow nor formula: these
definitions are this suite's own, the mask that of Lai et al. (2018), and their numbers compare with
each other alone. The flow is DIS (Kroeger et al. 2016): exactly 0 where frames are equal, which
Farnebäck's is not, and needing no downloaded network.
"""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.pixels import Clips, checked_clips

Frame = NDArray[np.uint8]
Array = NDArray[np.float32]

SMALLEST = 12
"""Pixels a side below which DIS refuses some frames."""


@dataclass(frozen=True, eq=False)
class FlowScores:
    """Of N clips, each [N] and over all its pairs of successive frames t, t + 1.

    motion: the mean over pixels of |flow|, px/frame. What has no texture is given the motion of
    what lies near, so beside a lone object on black the background moves too.
    speed: the mean of |flow| weighed by the squared gradient of frame t, px/frame: of edges and
    texture alone, where a flow can be known. 0 for clips without any.
    warping_error: the mean over visible pixels, and over channels, of the squared difference
    between frame t and frame t + 1 warped back by the flow, values in [0, 1]. 0 for a still clip:
    read it beside motion. nan where nothing is visible.
    visible: the share of pixels whose flow ends inside the frame and is undone by the flow back,
    |f + b|² <= 0.01 (|f|² + |b|²) + 0.5. Where it is low, warping_error has seen little.
    """

    motion: NDArray[np.float64]
    speed: NDArray[np.float64]
    warping_error: NDArray[np.float64]
    visible: NDArray[np.float64]


@dataclass(frozen=True)
class Flow:
    """DIS at every pixel, its finest scale; its preset of half the size is 7 % off at 0.25 px.

    magnify: frames are enlarged so many times, bicubic, before all else, and lengths divided by it:
    2 for frames of a dozen pixels, at whose borders most of a patch lies. Mask, gradient and
    warping error are then of the enlarged frames.
    """

    magnify: int = 1

    def __post_init__(self) -> None:
        if self.magnify < 1:
            raise ValueError(f"frames are enlarged 1 time or more, not {self.magnify}")

    def scores(self, clips: Clips) -> FlowScores:
        """Of uint8 clips [N, C, T, H, W], C 1 or 3, T >= 2, one clip in memory at a time.

        ValueError for one frame, or frames that are too small.
        """
        if checked_clips(clips, (1, 3)).shape[2] < 2:
            raise ValueError("motion needs two frames, not 1")
        if min(clips.shape[3:]) * self.magnify < SMALLEST:
            size = " x ".join(map(str, clips.shape[3:]))
            raise ValueError(f"frames of {size} are too small for optical flow: magnify them")
        found = np.array([self._clip(clip) for clip in clips])
        return FlowScores(*found.T)

    def _clip(self, clip: Clips) -> NDArray[np.float64]:
        """(motion, speed, warping_error, visible) of a clip [C, T, H, W]."""
        frames = [self._enlarged(frame) for frame in clip.transpose(1, 2, 3, 0)]
        pairs = np.array([_pair(a, b) for a, b in itertools.pairwise(frames)])
        length, moved, texture, error, seen, pixels = pairs.sum(axis=0)
        return np.array(
            [
                length / pixels / self.magnify,
                moved / texture / self.magnify if texture > 0 else 0.0,
                error / seen if seen > 0 else np.nan,
                seen / pixels,
            ]
        )

    def _enlarged(self, frame: Frame) -> Frame:
        """[H, W, C] -> [m H, m W, C]."""
        m, (height, width, channels) = self.magnify, frame.shape
        if m > 1:
            size = (m * width, m * height)
            frame = np.asarray(
                cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_CUBIC),
                dtype=np.uint8,
            )
        return frame.reshape(m * height, m * width, channels)


def flow(a: Frame, b: Frame) -> Array:
    """The flow [H, W, 2], (x, y) in pixels, from grey frame a [H, W] to b: a(p) ~ b(p + flow)."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    return np.asarray(dis.calc(a, b, None), dtype=np.float32)  # type: ignore[call-overload]


def _pair(a: Frame, b: Frame) -> tuple[float, ...]:
    """Sums over the pixels of frames [H, W, C]: |flow|, |flow| by weight, weights, squared errors
    of the visible, how many are visible, how many there are."""
    grey_a, grey_b = _grey(a), _grey(b)
    ahead, back = flow(grey_a, grey_b), flow(grey_b, grey_a)
    length = np.linalg.norm(ahead.astype(np.float64), axis=2)
    weight = sum(g**2 for g in np.gradient(grey_a.astype(np.float64)))
    height, width = grey_a.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    to_x, to_y = x + ahead[..., 0], y + ahead[..., 1]
    inside = (to_x >= 0) & (to_x <= width - 1) & (to_y >= 0) & (to_y <= height - 1)
    there = _at(back, to_x, to_y)
    room = 0.01 * ((ahead**2).sum(axis=2) + (there**2).sum(axis=2)) + 0.5
    visible = inside & (((ahead + there) ** 2).sum(axis=2) <= room)
    warped = _at(b.astype(np.float32), to_x, to_y).reshape(a.shape)
    errors = np.mean(((warped - a) / 255.0) ** 2, axis=2)
    return (
        length.sum(),
        (length * weight).sum(),
        np.sum(weight),
        errors[visible].sum(),
        visible.sum(),
        visible.size,
    )


def _grey(frame: Frame) -> Frame:
    """[H, W, C] -> [H, W] by BT.601."""
    if frame.shape[2] == 1:
        return np.ascontiguousarray(frame[..., 0])
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY), np.uint8)


def _at(field: Array, x: Array, y: Array) -> Array:
    """field [H, W, C] read at the points x, y [H, W], bilinear."""
    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
