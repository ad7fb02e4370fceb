"""From a video file to a clip of T frames in [-1, 1], every choice on the way stated.

Frames are picked by their times, not their numbers: the nearest to 0, 1 / rate, 2 / rate, … after
the first. Each is turned upright, resized and cropped as a picture is. Colours are converted by the
matrix that the file names, by BT.601 where it names none; pixels are taken for square.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.sources.pictures import Filter, square
from datamodules.sources.source import BadRecordError, LeftOutError

SUFFIXES = ("mp4", "webm", "mkv", "mov")
DEMUXERS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"}
"""No others: a playlist that calls itself a clip would have what it names opened."""


def clip(
    file: BinaryIO, frames: int, rate: float, side: int, resize: Filter, min_side: int = 1
) -> NDArray[np.float32]:
    """[3, T, side, side] of the first T frames at `rate` a second; decoding stops at the last.

    BadRecordError for what cannot be decoded whole, or has an odd side, which no encoder of 4:2:0
    writes; LeftOutError for a clip that is too small, too short or of too few frames a second.
    """
    try:
        with av.open(file, options=DEMUXERS) as container:
            _measured(container, max(side, min_side), frames, rate)
            picks = _picks(_timed(container), frames, rate)
            picked = [square(_upright(frame), side, resize) for frame in picks]
    except (MemoryError, BadRecordError, LeftOutError):
        raise
    except Exception as error:  # damaged bytes make decoders raise almost anything
        said = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()
        raise BadRecordError(f"undecodable clip: {said[0]}") from error
    return np.stack(picked, axis=1)


def _measured(container: Any, min_side: int, frames: int, rate: float) -> None:
    """Refuses by size or length, before anything is decoded."""
    if not container.streams.video:
        raise BadRecordError("no video in it")
    width, height = container.streams.video[0].width, container.streams.video[0].height
    if width % 2 or height % 2 or not min(width, height):
        raise BadRecordError(f"of {width}x{height} pixels")
    if min(width, height) < min_side:
        raise LeftOutError(f"shorter side under {min_side}")
    if container.duration and container.duration / av.time_base * rate < frames - 1:
        raise _short(frames, rate)


def _short(frames: int, rate: float) -> LeftOutError:
    return LeftOutError(f"under {frames} frames at {rate:g} a second")


def _timed(container: Any) -> Iterator[tuple[Fraction, Any]]:
    """(seconds after the first frame, frame), in the order of time, to the file's own end."""
    stream, start, count = container.streams.video[0], None, 0
    for frame in container.decode(stream):
        if frame.is_corrupt or frame.pts is None:
            raise BadRecordError(f"frame {count} is damaged")
        at, count = frame.pts * frame.time_base, count + 1
        start = at if start is None else start
        yield at - start, frame
    if count < stream.frames:  # as its header counts them
        raise BadRecordError(f"cut short: {count} of {stream.frames} frames")


def _picks(timed: Iterator[tuple[Fraction, Any]], count: int, rate: float) -> Iterator[Any]:
    """The frame nearest to each of `count` times; none serves twice. One is held."""
    step, found = 1 / Fraction(rate), 0
    before: tuple[Fraction, Any] | None = None
    last = None
    for at, frame in timed:
        while found < count and found * step <= at:
            early = before and found * step - before[0] < at - found * step
            nearest = before[1] if before and early else frame
            if nearest is last:
                raise LeftOutError(f"under {rate:g} frames a second")
            yield nearest
            last, found = nearest, found + 1
        if found == count:
            return
        before = at, frame
    # Where times are rounded, the last frame may come a little before it is wanted.
    if before is None or found < count - 1 or found * step - before[0] >= step / 2:
        raise _short(count, rate)
    yield before[1]


def _upright(frame: Any) -> Image.Image:
    """As a telephone that was held upright means it: its files say by how much to turn."""
    turned = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)
    return Image.fromarray(np.ascontiguousarray(turned))
