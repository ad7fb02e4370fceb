"""Captioned clips, in a folder and in shards: which clip has which caption, and what is skipped."""

import numpy as np
import pytest

from datamodules.sources.folder import Folder
from datamodules.sources.imagetext import ImageText
from datamodules.sources.pictures import Filter
from datamodules.sources.source import RecordCounts, SourceError, Split
from datamodules.sources.videotext import VideoShards, VideoText
from modules.codec import encode
from tests.helpers.files import asset
from tests.helpers.imagetexts import META
from tests.helpers.imagetexts import write as write_shard
from tests.helpers.videos import grey, ramp, write

SMALL = {"image": 16, "frames": 3, "rate": 12.0}


def fill(root, count):
    """Clips of 6 frames at 24 a second, the i-th of level 4 i + frame, in two folders."""
    for i in range(count):
        path = root / ("a" if i % 3 else "b_c") / f"clip no. {i}.{('mp4', 'mkv', 'MOV')[i % 3]}"
        path.parent.mkdir(exist_ok=True)
        write(path, [grey(4 * i + t) for t in range(6)])
    return root


def everything(source):
    """Every record, by key, and what was refused in all."""
    refused, found = RecordCounts(), {}
    for split in Split:
        for part in source.parts(split):
            for batch in source.batches(split, part, 4, refused):
                assert batch.images.dtype == np.float32
                assert set(batch.labels.tolist()) == {-1}
                rows = zip(batch.keys, batch.images, batch.captions, strict=True)
                assert not found.keys() & set(batch.keys)
                found |= {key: (image, caption, split) for key, image, caption in rows}
    return found, refused


def test_every_clip_is_in_one_split_with_its_name_for_a_caption(tmp_path):
    """kills: a clip lost or twice, a folder inside not entered, an ending left on the caption,
    captions and clips out of step, an order that is the disk's."""
    source = VideoText("test", str(fill(tmp_path, 30)), **SMALL)
    found, refused = everything(source)
    assert len(found) == refused.kept == refused.total == 30
    for key, (image, caption, split) in found.items():
        number = int(caption.removeprefix("clip no. "))
        ending = ("mp4", "mkv", "MOV")[number % 3]
        assert key == f"{'a' if number % 3 else 'b_c'}/clip no. {number}.{ending}"
        assert image.shape == (3, 3, 16, 16)
        levels = 4 * number + np.array([0, 2, 4]).reshape(1, 3, 1, 1)
        assert np.allclose(image, levels / 127.5 - 1, atol=1e-6)
        assert source.split_and_part(key)[0] is split
        assert split is Folder("test").split_and_part(key)[0]
    assert list(source._clips()) == sorted(found)
    assert source.expected(Split.TRAIN) == 24
    assert (source.frames, source.channels, source.classes) == (3, 3, 0)


def test_a_text_beside_a_clip_is_its_caption(tmp_path):
    """kills: the name where there is a text, an empty text for a caption."""
    for name in "abcd":
        write(tmp_path / f"{name}.mp4", [grey(1)] * 6)
    (tmp_path / "a.txt").write_text(" Ein Hund läuft.\n", "utf-8")
    (tmp_path / "b.txt").write_bytes(b"\xff")
    (tmp_path / "c.txt").write_text(" \n")
    found, refused = everything(VideoText("test", str(tmp_path), **SMALL))
    assert {key: caption for key, (_, caption, _) in found.items()} == {
        "a.mp4": "Ein Hund läuft.",
        "d.mp4": "d",
    }
    reasons = {"b.mp4": "a caption that is no Unicode", "c.mp4": "no caption"}
    assert dict(refused.bad) == reasons


def test_what_cannot_be_used_is_counted_with_its_reason(tmp_path):
    """kills: one bad clip that ends the part, short clips counted among the damaged."""
    write(tmp_path / "good.mp4", [grey(1)] * 6)
    data = write(tmp_path / "cut.mp4", [ramp(32, 16)] * 60).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.webm").write_text("text")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    write(tmp_path / "short.mp4", [grey(1)] * 4)
    write(tmp_path / "slow.mp4", [grey(1)] * 6, fps=6)
    write(tmp_path / "small.mp4", [grey(1, 32, 14)] * 6)
    found, refused = everything(VideoText("test", str(tmp_path), **SMALL))
    assert list(found) == ["good.mp4"]
    reasons = dict(refused.bad)
    assert reasons.keys() == {"cut.mp4", "text.webm", "gone.mp4"}
    assert "Invalid data" in reasons["text.webm"]
    assert "No such file" in reasons["gone.mp4"]
    assert refused.left_out == {
        **{"under 3 frames at 12 a second": 1, "under 12 frames a second": 1},
        "shorter side under 16 (source.image, source.min_side)": 1,
    }
    assert refused.total == 7


def test_no_clip_at_all_is_an_error_that_says_so(tmp_path):
    """kills: an empty split for a mistyped folder."""
    (tmp_path / "a.avi").write_text("")
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SourceError, match=r"no clip \(\.mp4, .*\) in "):
            VideoText("test", str(root)).locate()
        with pytest.raises(SourceError, match="no clip"):
            VideoText("test", str(root)).read(Split.TRAIN)


@pytest.mark.parametrize("asked", [(0, 24.0), (9, 0.0), (9, -1.0), (9, float("nan"))])
def test_impossible_clips_are_refused(asked):
    """kills: no frame, or frames backwards."""
    with pytest.raises(ValueError, match="frames at"):
        VideoText("a", frames=asked[0], rate=asked[1])
    with pytest.raises(ValueError, match="frames at"):
        VideoShards("a", "{0..9}.tar", frames=asked[0], rate=asked[1])


def test_identity_is_what_the_clips_are_and_not_the_place():
    """kills: the root hashed; name, frames, rate or side not; a folder of clips for one of
    pictures."""
    one = VideoText("a", "here")
    others = [VideoText("b"), VideoText("a", frames=17), VideoText("a", rate=8.0), Folder("a")]
    others += [VideoText("a", image=64), VideoShards("a", "{0..9}.tar")]
    forms = [str(encode(source)) for source in (one, *others)]
    assert len(set(forms)) == 7
    assert encode(one) == encode(VideoText("a", "there"))
    assert VideoText("a", resize=Filter.BOX).preparation == "crop256-box-33x24fps"


def test_shards_hold_clips_as_they_hold_pictures(tmp_path):
    """kills: a picture's decoder for a clip's bytes, another record's caption or filter."""
    data = [write(tmp_path / "x.mp4", [grey(9 * i)] * 6).read_bytes() for i in range(4)]
    files = [{"mp4": clip, "txt": f"clip {i}".encode()} for i, clip in enumerate(data)]
    files.append({"txt": b"nothing", "json": str(META).encode()})
    for s in range(3):
        write_shard(tmp_path / f"{s}.tar", [(f"{i}", f) for i, f in enumerate(files)])
    source = VideoShards("test", "{0..2}.tar", str(tmp_path), **SMALL)
    assert isinstance(source, ImageText)
    found, refused = everything(source)
    assert refused.bad == [(f"{s}/4", "no clip") for s in (0, 1, 2)]
    for key, (image, caption, _) in found.items():
        number = int(key[-1])
        assert caption == f"clip {number}"
        assert np.allclose(image, 9 * number / 127.5 - 1, atol=1e-6)
    assert len(found) == 12


def test_real_clips(tmp_path):
    """kills: real rates (20833 / 500000 s a frame) by which frames are missed or come twice."""
    folder = asset("data/clips")
    for name in ("Do Not", "Age", "K", "Sad"):
        (tmp_path / f"{name}.mp4").symlink_to(folder / f"{name}.mp4")
    found, refused = everything(VideoText("real", str(tmp_path), image=64, frames=17, rate=24.0))
    assert not refused.bad
    assert refused.total == 4
    assert found["Do Not.mp4"][1] == "Do Not"
    for image, _, _ in found.values():
        assert image.shape == (3, 17, 64, 64)
        assert np.abs(image).max() <= 1
        moved = np.abs(np.diff(image, axis=1)).mean((0, 2, 3))
        assert (moved > 0).all()  # an avatar that breathes: no frame comes twice
