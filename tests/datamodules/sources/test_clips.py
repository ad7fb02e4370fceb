"""Video files whose frames are known: which are picked, how they are cropped, what is refused."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from datamodules.sources.clips import decode_clip
from datamodules.sources.pictures import Filter, square, too_small
from datamodules.sources.source import BadRecordError, LeftOutError
from tests.helpers.videos import grey, ramp, write


def read(path, frames, rate, side=16, **changed):
    with open(path, "rb") as file:
        return decode_clip(file, frames, rate, side, **{"resize": Filter.LANCZOS, **changed})


def levels(found):
    return np.rint((found[0, :, 8, 8] + 1) * 127.5).astype(int).tolist()


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("rate", [24, 12, 8, 10, 23.976, 5])
def test_the_frame_nearest_in_time_is_picked(tmp_path, ending, rate):
    """kills: every n-th frame by number, the frame before or after, times kept in whole
    milliseconds (as mkv does) taken for a frame early."""
    path = write(tmp_path / f"a.{ending}", [grey(4 * i) for i in range(60)])
    found = read(path, 9, rate)
    assert found.shape == (3, 9, 16, 16)
    assert found.dtype == np.float32
    wanted = [min(range(60), key=lambda k: abs(k / 24 - i / rate)) for i in range(9)]
    assert levels(found) == [4 * k for k in wanted]


def test_times_count_from_the_first_frame_and_need_not_be_even(tmp_path):
    """kills: times from 0, a constant rate believed."""
    times = np.array([0.3, 0.34, 0.41, 0.5, 0.52, 0.61, 0.69, 0.7, 0.83, 0.9])
    path = write(tmp_path / "a.mp4", [grey(20 * i) for i in range(10)], times=times)
    wanted = [int(np.abs(times - 0.3 - i / 10).argmin()) for i in range(7)]
    assert levels(read(path, 7, 10)) == [20 * k for k in wanted]


@pytest.mark.parametrize("size", [(48, 16), (16, 48), (52, 32), (32, 52)])
def test_every_frame_is_cropped_as_a_picture_is(tmp_path, size):
    """kills: a crop from a corner, BGR, rows for columns, frames squeezed, or no antialiasing."""
    frames = [np.roll(ramp(*size), i, 1) for i in range(3)]
    found = read(write(tmp_path / "a.mp4", frames), 3, 24, resize=Filter.BOX)
    for i, frame in enumerate(frames):
        assert np.array_equal(found[:, i], square(Image.fromarray(frame), 16, Filter.BOX))


def test_a_phones_clip_is_turned_upright(tmp_path):
    """kills: the turn that the header asks for ignored, or made the other way."""
    path, upright = write(tmp_path / "a.mp4", [ramp(32, 16)]), np.rot90(ramp(32, 16), -1)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    matrix = [int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "big") >> 16 for i in range(5)]
    assert matrix == [1, 0, 0, 0, 1]  # a b u c d: x' = a x + c y, y' = b x + d y
    for i, value in enumerate([0, 1, 0, -1, 0]):  # right becomes down
        data[at + 4 * i : at + 4 * i + 4] = (value << 16).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    expected = square(Image.fromarray(np.ascontiguousarray(upright)), 16, Filter.BOX)
    assert np.array_equal(read(path, 1, 24, resize=Filter.BOX)[:, 0], expected)


def test_lossy_colours_are_near_what_was_written(tmp_path):
    """kills: YCbCr taken for RGB, red for blue."""
    frame = grey(0)
    frame[:] = (200, 100, 50)
    path = write(tmp_path / "a.webm", [frame] * 3, codec="libvpx-vp9", form="yuv420p")
    found = (read(path, 2, 24).mean((1, 2, 3)) + 1) * 127.5
    assert np.abs(found - [200, 100, 50]).max() < 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"frames": 10, "rate": 24}, "under 10 frames at 24 a second"),
        ({"frames": 100, "rate": 24}, "under 100 frames at 24 a second"),
        ({"frames": 6, "rate": 12}, "under 6 frames at 12 a second"),
        ({"frames": 5, "rate": 30}, "under 30 frames a second"),
        ({"frames": 5, "rate": 24, "side": 18}, str(too_small(18))),
        ({"frames": 5, "rate": 24, "min_side": 20}, str(too_small(20))),
    ],
)
def test_short_slow_and_small_clips_are_left_out(tmp_path, asked, said):
    """kills: the last frame repeated, frames twice at too high a rate, a clip enlarged, a last
    frame lost that mkv has at 333 ms and 24 a second want at 333 1/3."""
    for ending in ("mp4", "mkv"):
        path = write(tmp_path / f"a.{ending}", [grey(i) for i in range(9)])
        assert read(path, 9, 24).shape[1] == 9
        assert read(path, 5, 12).shape[1] == 5
        with pytest.raises(LeftOutError) as caught:
            read(path, **asked)
        assert str(caught.value) == said


NOISE = np.random.default_rng(0).integers(0, 256, (40, 16, 32, 3), dtype=np.uint8)


def damaged(path):
    """{name: bytes} of damaged files of 40 frames."""
    data = write(path, list(NOISE)).read_bytes()
    half = len(data) // 2
    blank = data[:half] + bytes(2000) + data[half + 2000 :]
    other = bytearray(write(path, list(NOISE), codec="mpeg4", form="yuv420p").read_bytes())
    at = int(0.3 * len(other))
    other[at : at + 200] = np.random.default_rng(0).bytes(200)  # the decoder conceals it
    cut = {f"cut at {at:.0%}": data[: int(at * len(data))] for at in (0.01, 0.3, 0.6, 0.98)}
    return {"empty": b"", "text": b"no clip" * 99, "blank": blank, "other": other, **cut}


def test_damaged_bytes_are_a_bad_record(tmp_path):
    """kills: another exception, concealed damage taken for frames, a cut file for a short one."""
    for name, data in damaged(tmp_path / "a.mp4").items():
        with pytest.raises(BadRecordError, match=r"undecodable|cut short|damaged") as caught:
            decode_clip(io.BytesIO(bytes(data)), 40, 24, 16, Filter.LANCZOS)
        assert "\n" not in str(caught.value), name


def test_a_list_of_clips_opens_none(tmp_path, monkeypatch):
    """kills: files of this machine read because one that calls itself a clip names them."""
    write(tmp_path / "a.mp4", [grey(1)] * 3)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadRecordError, match="undecodable"):
        decode_clip(io.BytesIO(b"ffconcat version 1.0\nfile a.mp4\n"), 1, 24, 16, Filter.LANCZOS)


def test_a_cut_between_two_frames_is_no_short_clip(tmp_path, monkeypatch):
    """kills: the frames that a header promises not missed where none of them is damaged."""
    path = write(tmp_path / "a.mp4", list(NOISE))
    real = av.open

    class Cut:
        def __init__(self, file, **options):
            self.file = real(file, **options)

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def decode(self, stream):
            yield from (frame for i, frame in enumerate(self.file.decode(stream)) if i < 30)

    monkeypatch.setattr("av.open", Cut)
    with pytest.raises(BadRecordError, match="cut short: 30 of 40 frames"):
        read(path, 40, 24)


def test_nothing_is_decoded_after_the_last_frame(tmp_path):
    """kills: a clip decoded to its end for its first frames: here the end is not there."""
    data = write(tmp_path / "a.mp4", list(NOISE), tune="zerolatency").read_bytes()
    half = data[: len(data) // 2]
    found = decode_clip(io.BytesIO(half), 9, 24, 16, Filter.LANCZOS)
    assert np.array_equal(found, scaled_centre(NOISE[:9]))
    with pytest.raises(BadRecordError):
        decode_clip(io.BytesIO(half), 40, 24, 16, Filter.LANCZOS)


def test_a_clip_known_to_be_short_is_not_decoded(tmp_path, monkeypatch):
    """kills: hours of short clips decoded to be left out."""
    monkeypatch.setattr("datamodules.sources.clips._timed_frames", None)
    with pytest.raises(LeftOutError):
        read(write(tmp_path / "a.mp4", [grey(i) for i in range(10)]), 100, 24)


def scaled_centre(frames):
    return np.stack([square(Image.fromarray(f), 16, Filter.LANCZOS) for f in frames], 1)


def test_a_file_without_a_picture_is_bad(tmp_path):
    """kills: an IndexError for a sound file."""
    sound(tmp_path / "c.mp4")
    with pytest.raises(BadRecordError, match="no video"):
        read(tmp_path / "c.mp4", 2, 24)


def sound(path):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def test_no_memory_is_not_a_bad_record(tmp_path, monkeypatch):
    """kills: sound clips skipped by the thousand on a machine that is full."""

    def full(*_, **__):
        raise MemoryError

    path = write(tmp_path / "a.mp4", [grey(1)] * 3)
    monkeypatch.setattr("datamodules.sources.clips.square", full)
    with pytest.raises(MemoryError):
        read(path, 1, 24)
