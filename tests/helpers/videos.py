"""Clips made for tests: lossless RGB, so that a pixel read is the pixel written."""

from fractions import Fraction

import av
import numpy as np


def grey(level, width=32, height=16):
    return np.full((height, width, 3), level, np.uint8)


def ramp(width, height):
    """Red is the column, green the row, blue 7. [height, width, 3]"""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, np.full_like(rows, 7)], -1).astype(np.uint8)


def write(path, frames, fps=24, times=None, codec="libx264rgb", form="rgb24", **options):
    """Pictures [H, W, 3] uint8 as a video, fps apart or at `times` (multiples of 1 ms)."""
    if codec == "libx264rgb":
        options |= {"crf": "0"}
    with av.open(str(path), "w", options={"movflags": "faststart"}) as file:
        stream = file.add_stream(codec, rate=fps, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = form
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(1000 * times[i]), Fraction(1, 1000)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
