"""Sound clips that are unusual: edit lists, odd sizes, codecs and chroma of other kinds."""

import io

import av
import numpy as np
import pytest

from datamodules.sources.clips import decode_clip
from datamodules.sources.pictures import Filter
from datamodules.sources.source import BadRecordError
from tests.helpers.videos import grey

SHOWN, HIDDEN = 40, 20
QUARTERS = np.array([[40, 90], [150, 220]])
"""Levels of a frame's quarters: above left and right, below left and right."""


def encoded(path, frames, codec="libx264", form="yuv420p", container="mp4", hidden=0, **options):
    """The bytes of a file, whose first `hidden` frames an edit list leaves out."""
    flags = {"avoid_negative_ts": "disabled", "movflags": "faststart"}
    with av.open(str(path), "w", format=container, options=flags) as file:
        stream = file.add_stream(codec, rate=20, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.codec_context.max_b_frames = form, 0
        pictures = (av.VideoFrame.from_ndarray(x, format="rgb24") for x in frames)
        packets = [p for picture in (*pictures, None) for p in stream.encode(picture)]
        for packet in packets:
            packet.pts = packet.dts = packet.pts - hidden * (packet.duration or 1)
            file.mux(packet)
    return path.read_bytes()


def read(data, frames, side=16):
    return decode_clip(io.BytesIO(data), frames, 20, side, Filter.BOX)


def edited(path):
    frames = [grey(4 * i, 64, 48) for i in range(HIDDEN + SHOWN)]
    return encoded(path, frames, hidden=HIDDEN, crf="4")


def test_frames_that_an_edit_list_hides_are_not_missed(tmp_path):
    """The header counts 60 samples, and 40 are to be seen: all 40 are read, from the 21st on.

    kills: a clip called cut short by what its author cut off; the hidden frames shown.
    """
    data = edited(tmp_path / "a.mp4")
    with av.open(io.BytesIO(data)) as file:
        assert file.streams.video[0].frames == HIDDEN + SHOWN
        assert sum(1 for _ in file.decode(video=0)) == SHOWN
    found = np.rint((read(data, SHOWN)[0, :, 8, 8] + 1) * 127.5)
    assert np.abs(found - 4 * np.arange(HIDDEN, HIDDEN + SHOWN)).max() <= 2


def test_an_edited_clip_that_is_cut_short_is_still_found(tmp_path):
    """kills: no clip with an edit list ever called cut short."""
    data = edited(tmp_path / "a.mp4")
    with pytest.raises(BadRecordError, match=r"cut short|damaged|undecodable"):
        read(data[: int(0.8 * len(data))], SHOWN)


@pytest.mark.parametrize(
    ("codec", "form", "container", "options"),
    [
        ("libvpx-vp9", "yuv420p", "webm", {"crf": "4", "b": "0"}),
        ("libsvtav1", "yuv420p", "mp4", {"crf": "4"}),
        ("libx264", "yuv444p", "mp4", {"crf": "4"}),
        ("libx264rgb", "rgb24", "mp4", {"crf": "0"}),
        ("libvpx-vp9", "yuv444p", "webm", {"crf": "4", "b": "0"}),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
@pytest.mark.parametrize(("width", "height"), [(65, 49), (64, 49), (65, 64)])
def test_odd_sizes_are_read(tmp_path, codec, form, container, options, width, height):
    """Quarters of known levels, in the middle of each: rows of an odd number of bytes that are
    taken for even ones would shear the picture.

    kills: clips of odd sides refused; a stride taken for a width; a quarter where another belongs.
    """
    if codec not in av.codecs_available:
        pytest.skip(f"this build of FFmpeg has no {codec}")
    rows, columns = np.mgrid[:height, :width]
    levels = QUARTERS[(rows >= height // 2).astype(int), (columns >= width // 2).astype(int)]
    frame = np.repeat(levels[..., None].astype(np.uint8), 3, axis=2)
    side = min(width, height)
    data = encoded(tmp_path / "a", [frame] * 6, codec, form, container, **options)
    found = read(data, 3, side)
    assert found.shape == (3, 3, side, side)
    shown = (found + 1) * 127.5
    at = side // 4, side - side // 4
    for i, j in np.ndindex(2, 2):
        assert np.abs(shown[:, :, at[i], at[j]] - QUARTERS[i, j]).max() <= 6
