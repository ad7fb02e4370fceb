"""Decodes a video file into a clip of T frames in [-1, 1].

Frames are chosen by time, not by number: the nearest to 0, 1 / rate, 2 / rate, ... seconds after
the first. Each is rotated upright, then resized and cropped as a picture. Colours are converted
with the file's matrix, or BT.601 if it has none. Pixels are assumed to be square.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.sources.pictures import Filter, square, too_small
from datamodules.sources.source import BadRecordError, LeftOutError

SUFFIXES = ("mp4", "webm", "mkv", "mov")
DEMUXERS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm"}
"""Only these: a playlist disguised as a clip could open other files."""


def decode_clip(
    file: BinaryIO, frames: int, rate: float, side: int, resize: Filter, min_side: int = 1
) -> NDArray[np.float32]:
    """The first T frames of a clip, [3, T, side, side] in [-1, 1].

    Args:
        frames: T. Decoding stops at the last one.
        rate: frames a second.
        side: pixels of a frame's side, after resizing and cropping.
        min_side: the shorter side of the file's frames, at least, in pixels.
    Raises BadRecordError if a frame cannot be decoded.
    Raises LeftOutError if the clip is too small, too short or has too few frames a second.
    """
    import av

    try:
        with av.open(file, options=DEMUXERS) as container:
            _check_size(container, max(side, min_side), frames, rate)
            chosen = _nearest_frames(_timed_frames(container), frames, rate)
            pictures = [square(_upright(frame), side, resize) for frame in chosen]
    except (MemoryError, BadRecordError, LeftOutError):
        raise
    except Exception as error:  # damaged bytes make decoders raise almost anything
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise BadRecordError(f"undecodable clip: {text.splitlines()[0]}") from error
    return np.stack(pictures, axis=1)


def _check_size(container: Any, min_side: int, frames: int, rate: float) -> None:
    """Check size and length before anything is decoded."""
    import av

    if not container.streams.video:
        raise BadRecordError("no video in it")
    width, height = container.streams.video[0].width, container.streams.video[0].height
    if not min(width, height):
        raise BadRecordError(f"of {width}x{height} pixels")
    if min(width, height) < min_side:
        raise too_small(min_side)
    if container.duration and container.duration / av.time_base * rate < frames - 1:
        raise _too_short(frames, rate)


def _too_short(frames: int, rate: float) -> LeftOutError:
    return LeftOutError(f"under {frames} frames at {rate:g} a second")


def _timed_frames(container: Any) -> Iterator[tuple[Fraction, Any]]:
    """(seconds after the first frame, frame), in the order of time, to the end of the file."""
    stream, start, count = container.streams.video[0], None, 0
    for frame in container.decode(stream):
        if frame.is_corrupt or frame.pts is None:
            raise BadRecordError(f"frame {count} is damaged")
        time, count = frame.pts * frame.time_base, count + 1
        start = time if start is None else start
        yield time - start, frame
    if count < (shown := _shown(stream)):
        raise BadRecordError(f"cut short: {count} of {shown} frames")


def _shown(stream: Any) -> int:
    """How many frames the header promises: without those that an edit list leaves out."""
    left_out = sum(entry.is_discard for entry in stream.index_entries)
    return stream.frames - left_out


def _nearest_frames(
    timed: Iterator[tuple[Fraction, Any]], count: int, rate: float
) -> Iterator[Any]:
    """The frame nearest to each of `count` times; LeftOutError if one would be used twice."""
    step, chosen = 1 / Fraction(rate), 0
    before: tuple[Fraction, Any] | None = None
    last = None
    for time, frame in timed:
        while chosen < count and chosen * step <= time:
            early = before and chosen * step - before[0] < time - chosen * step
            nearest = before[1] if before and early else frame
            if nearest is last:
                raise LeftOutError(f"under {rate:g} frames a second")
            yield nearest
            last, chosen = nearest, chosen + 1
        if chosen == count:
            return
        before = time, frame
    # Times are rounded, so the last frame may come a little early.
    if before is None or chosen < count - 1 or chosen * step - before[0] >= step / 2:
        raise _too_short(count, rate)
    yield before[1]


def _upright(frame: Any) -> Image.Image:
    """The frame, rotated as the file's metadata asks: telephones record so."""
    pixels = np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)  # [H, W, 3]
    return Image.fromarray(np.ascontiguousarray(pixels))
