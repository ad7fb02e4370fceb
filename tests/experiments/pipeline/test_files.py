"""Files: whole or as they were, whoever fails, and damage that is named."""

import errno
import os

import pytest
import torch

from experiments.pipeline.files import StoreError, read_json, read_sealed, sealed, write_whole
from experiments.training.checkpoints import WholeCheckpointIO, check
from modules.weights.checkpoint import CheckpointError
from tests.helpers.files import full_disk


@pytest.mark.parametrize("part", [None, "fixed.part"])
@pytest.mark.parametrize(
    "content", [b"new", memoryview(b"new"), b""], ids=["bytes", "view", "empty"]
)
def test_a_file_is_written_over(tmp_path, part, content):
    """kills: content appended, cut at the old length, or what is written aside left behind."""
    path = tmp_path / "file"
    path.write_bytes(b"old and longer")
    write_whole(path, content, part and tmp_path / part)
    assert path.read_bytes() == bytes(content)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("part", [None, "fixed.part"])
def test_a_full_disk_leaves_the_old_file(tmp_path, part):
    """kills: writing in place, half of the new content left aside, an error that names no file."""
    path = tmp_path / "file"
    write_whole(path, b"old", part and tmp_path / part)
    with pytest.raises(OSError, match="File too large") as caught, full_disk(100):
        write_whole(path, bytes(1_000), part and tmp_path / part)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_until_the_last_moment_nothing_shows(tmp_path, monkeypatch):
    """kills: a rename before all is written, or two processes that share a name to write under."""
    seen = []

    def refuse(source, target):
        seen.append((source.name, source.read_bytes()))
        raise OSError(errno.EROFS, "Read-only", str(target))

    monkeypatch.setattr(os, "replace", refuse)
    for pid in (11, 12):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        with pytest.raises(OSError, match="Read-only"):
            write_whole(tmp_path / "file", b"new")
    with pytest.raises(OSError, match="Read-only"):
        write_whole(tmp_path / "file", b"new", part=tmp_path / "mine")
    names, contents = zip(*seen, strict=True)
    assert len(set(names)) == 3
    assert names[2] == "mine"
    assert set(contents) == {b"new"}
    assert list(tmp_path.iterdir()) == []


def test_a_leftover_of_a_killed_writer_is_overwritten(tmp_path):
    """kills: a part that a killed process left, taken for one's own or barring the next try."""
    part = tmp_path / "00000.npz.part"
    part.write_bytes(b"half of what was to be")
    write_whole(tmp_path / "00000.npz", b"whole", part)
    assert (tmp_path / "00000.npz").read_bytes() == b"whole"
    assert not part.exists()


def test_a_checkpoint_that_does_not_fit_leaves_the_last_one(tmp_path):
    """kills: Lightning's own writer, which a full disk or a kill can cut short in place."""
    path, io = tmp_path / "last.ckpt", WholeCheckpointIO()
    io.save_checkpoint({"weights": torch.arange(3)}, path)
    with pytest.raises(OSError, match="File too large"), full_disk(9_999):
        io.save_checkpoint({"weights": torch.zeros(9_999)}, path)
    assert io.load_checkpoint(path)["weights"].tolist() == [0, 1, 2]
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_every_flipped_bit_of_a_checkpoint_is_seen(tmp_path):
    """kills: the archive's own checksums, which leave its headers out."""
    path = tmp_path / "last.ckpt"
    WholeCheckpointIO().save_checkpoint({"weights": torch.arange(3)}, path)
    content = path.read_bytes()
    check(path)
    for i in range(0, len(content), 7):
        path.write_bytes(content[:i] + bytes([content[i] ^ 16]) + content[i + 1 :])
        with pytest.raises(CheckpointError, match="damaged"):
            check(path)


def test_every_flipped_bit_of_sealed_json_is_seen_or_nothing(tmp_path):
    """kills: a key whose name has changed, so that it seems not to be there."""
    path, made = tmp_path / "a.json", {"commit": "abc", "files": {"x.npy": "0" * 8}, "seconds": 1.5}
    content = sealed(made)
    path.write_bytes(content)
    assert read_sealed(path) == made
    said = set()
    for i in range(len(content)):
        path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
        try:
            read = read_sealed(path)
            said.add("as it was" if made.items() <= read.items() else f"byte {i} unseen")
        except StoreError as error:
            said.add("named" if str(path) in str(error) else str(error))
    assert said == {"as it was", "named"}  # as it was: the name of the seal itself


def test_json_comes_back(tmp_path):
    """kills: numbers through text of few digits."""
    (tmp_path / "a.json").write_text('{"x": 0.1234567890123456, "y": {"z": [1, null]}}')
    assert read_json(tmp_path / "a.json") == {"x": 0.1234567890123456, "y": {"z": [1, None]}}


@pytest.mark.parametrize("text", ['{"x": 1', "", "[1]", "3", None])
def test_damaged_json_is_named(tmp_path, text):
    """kills: the parser's own error, or a list handed on that is no object."""
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StoreError, match=str(path)):
        read_json(path)
