"""Motion and warping error of clips, from dense optical flow.

Paris 2.0 prints "motion (px/frame)" and "warping" but gives no formula. The definitions here are
this suite's own, with the mask of Lai et al. (2018); compare the numbers only with each other. The
flow is DIS (Kroeger et al. 2016). Unlike Farnebäck's it is exactly 0 for equal frames, and it needs
no downloaded network.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.pixels import Clips, checked_clips

Frame = NDArray[np.uint8]
Array = NDArray[np.float32]

SMALLEST = 12
"""The smallest side, in pixels, that DIS always accepts."""


@dataclass(frozen=True, eq=False)
class FlowScores:
    """Scores [N] of N clips, each over all pairs of successive frames t, t + 1.

    motion: the mean of |flow| over pixels, in px/frame. DIS extends motion into areas without
        texture, so a black background moves with the object beside it.
    speed: the mean of |flow| weighted by the squared gradient of frame t, in px/frame. It counts
        edges and texture, where the flow is defined; 0 for clips without any.
    warping_error: the mean squared difference, over visible pixels and channels with values in
        [0, 1], between frame t and frame t + 1 warped back by the flow. It is 0 for a still clip,
        so read it together with motion; nan if nothing is visible.
    visible: the share of pixels whose flow f ends inside the frame and is undone by the backward
        flow b: |f + b|² <= 0.01 (|f|² + |b|²) + 0.5. If it is low, warping_error covers little.
    """

    motion: NDArray[np.float64]
    speed: NDArray[np.float64]
    warping_error: NDArray[np.float64]
    visible: NDArray[np.float64]


@dataclass(frozen=True)
class Flow:
    """DIS at its finest scale. Its default of half that size is 7 % off at 0.25 px.

    magnify: frames are first enlarged by this factor, bicubic, and lengths divided by it. Use 2 for
        frames of a dozen pixels. Mask, gradient and warping error are those of the enlarged frames.
        ValueError below 1.
    """

    magnify: int = 1

    def __post_init__(self) -> None:
        if self.magnify < 1:
            raise ValueError(f"frames are enlarged 1 time or more, not {self.magnify}")

    def scores(self, clips: Clips) -> FlowScores:
        """The scores of uint8 clips [N, C, T, H, W], C 1 or 3. Holds one clip in memory.

        Raises ValueError for T below 2, or frames that are too small.
        """
        if checked_clips(clips, (1, 3)).shape[2] < 2:
            raise ValueError("motion needs two frames, not 1")
        if min(clips.shape[3:]) * self.magnify < SMALLEST:
            size = " x ".join(map(str, clips.shape[3:]))
            raise ValueError(f"frames of {size} are too small for optical flow: magnify them")
        scores = np.array([self._clip(clip) for clip in clips])  # [N, 4]
        return FlowScores(*scores.T)

    def _clip(self, clip: Clips) -> NDArray[np.float64]:
        """(motion, speed, warping_error, visible) of a clip [C, T, H, W]."""
        frames = [self._enlarged(frame) for frame in clip.transpose(1, 2, 3, 0)]
        pairs = np.array([_pair(a, b) for a, b in itertools.pairwise(frames)])
        length, weighted, weight, error, visible, pixels = pairs.sum(axis=0)
        return np.array(
            [
                length / pixels / self.magnify,
                weighted / weight / self.magnify if weight > 0 else 0.0,
                error / visible if visible > 0 else np.nan,
                visible / pixels,
            ]
        )

    def _enlarged(self, frame: Frame) -> Frame:
        """The frame [H, W, C] as [m H, m W, C], m = magnify."""
        import cv2

        m, (height, width, channels) = self.magnify, frame.shape
        if m > 1:
            size = (m * width, m * height)
            frame = np.asarray(
                cv2.resize(np.ascontiguousarray(frame), size, interpolation=cv2.INTER_CUBIC),
                dtype=np.uint8,
            )
        return frame.reshape(m * height, m * width, channels)


def flow(a: Frame, b: Frame) -> Array:
    """The flow [H, W, 2], (x, y) in pixels, from grey frames a to b [H, W]: a(p) ~ b(p + flow)."""
    import cv2

    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    return np.asarray(dis.calc(a, b, None), dtype=np.float32)  # type: ignore[call-overload]


def _pair(a: Frame, b: Frame) -> tuple[float, ...]:
    """Sums over the pixels of frames [H, W, C].

    |flow|, weighted |flow|, weights, squared errors of visible pixels, visible pixels, all pixels.
    """
    grey_a, grey_b = _grey(a), _grey(b)
    forward, backward = flow(grey_a, grey_b), flow(grey_b, grey_a)
    length = np.linalg.norm(forward.astype(np.float64), axis=2)
    weight = sum(g**2 for g in np.gradient(grey_a.astype(np.float64)))
    height, width = grey_a.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    to_x, to_y = x + forward[..., 0], y + forward[..., 1]
    inside = (to_x >= 0) & (to_x <= width - 1) & (to_y >= 0) & (to_y <= height - 1)
    returned = _sampled(backward, to_x, to_y)
    tolerance = 0.01 * ((forward**2).sum(axis=2) + (returned**2).sum(axis=2)) + 0.5
    visible = inside & (((forward + returned) ** 2).sum(axis=2) <= tolerance)
    warped = _sampled(b.astype(np.float32), to_x, to_y).reshape(a.shape)
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
    """The frame [H, W, C] as grey [H, W], by BT.601."""
    import cv2

    if frame.shape[2] == 1:
        return np.ascontiguousarray(frame[..., 0])
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY), np.uint8)


def _sampled(field: Array, x: Array, y: Array) -> Array:
    """The field [H, W, C] at the points x, y [H, W], bilinear."""
    import cv2

    return np.asarray(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
