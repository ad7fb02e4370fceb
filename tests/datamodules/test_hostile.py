"""Data that means harm: names that would run, files that would wait, entries from elsewhere."""

import io
import json
import os
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datamodules.shards import ClusterWriter, read_index, read_shard
from datamodules.sources.folder import Folder
from datamodules.sources.imagetext import ImageText
from datamodules.sources.opening import filled
from datamodules.sources.source import RecordCounts, SourceError, Split
from datamodules.sources.tars import samples


def png():
    content = io.BytesIO()
    Image.new("RGB", (16, 16)).save(content, "png")
    return content.getvalue()


def tar(path, names):
    with tarfile.open(path, "w") as archive:
        for name in names:
            for suffix, content in (("png", png()), ("txt", b"a caption")):
                member = tarfile.TarInfo(f"{name}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\n"), min_size=1))
def test_a_name_in_a_command_stays_one_word(name):
    """kills: quotes forgotten, or a name that a shell reads as more than a name."""
    try:
        command = filled("printf %s {}", name)
    except ValueError:
        assert name.startswith("-")
        return
    done = subprocess.run(command, shell=True, capture_output=True, check=True)
    assert done.stdout == name.encode()


@pytest.mark.parametrize(
    "command", ["cat '{}'", 'cat "{}"', "ssh host 'cat a/{}'", "cat `echo {}`", "cat \\{}"]
)
@pytest.mark.parametrize("name", ["a'; touch ran; '.tar", "$(touch ran).tar", "a b.tar"])
def test_a_hostile_name_within_quotes_is_refused(command, name, tmp_path, monkeypatch):
    """kills: quotes round quotes, which lets the name out of both."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="has characters that a shell"):
        ImageText("t", name, f"pipe:{command}", 16, judge=0, heldout=0)
    assert "00000.tar" in ImageText("t", "00000.tar", f"pipe:{command}", 16, judge=0, heldout=0
                                    ).address("00000.tar")  # fmt: skip


def test_a_name_is_no_option():
    with pytest.raises(ValueError, match="has characters"):
        ImageText("t", "-o/etc/x", "pipe:curl {}", 16, judge=0, heldout=0)


def folder(root, lines):
    (root / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Folder("f", str(root), 16, judge=0, heldout=0)


def bad(source):
    counts = RecordCounts()
    for part in source.parts(Split.TRAIN):
        list(source.batches(Split.TRAIN, part, 8, counts))
    return dict(counts.bad)


def test_entries_that_wait_or_lie_elsewhere_are_refused(tmp_path):
    """kills: a FIFO that is opened, and waits for ever; a file outside the folder."""
    root = tmp_path / "data"
    root.mkdir()
    os.mkfifo(root / "pipe.png")
    (tmp_path / "secret.png").write_bytes(png())
    names = ["pipe.png", "../secret.png", str(tmp_path / "secret.png"), "a/../../secret.png"]
    assert bad(folder(root, [{"file": name, "caption": "x"} for name in names])) == {
        "pipe.png": "no picture: no regular file",
        **dict.fromkeys(names[1:], "a file outside the folder"),
    }


def test_lines_nested_too_deeply_are_bad_records(tmp_path):
    deep = "[" * 200_000 + "]" * 200_000
    (tmp_path / "captions.jsonl").write_text(deep + "\n")
    (reason,) = bad(Folder("f", str(tmp_path), 16, judge=0, heldout=0)).values()
    assert reason == "a line without a file, or that is no JSON object"


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", "/etc/outside"])
def test_members_outside_the_archive_are_refused(tmp_path, name):
    tar(tmp_path / "0.tar", ["inside", name])
    with pytest.raises(SourceError, match="outside the archive"):
        list(samples(str(tmp_path / "0.tar")))


def test_a_folder_whose_name_webdataset_skips_is_read(tmp_path):
    """kills: a top-level folder __raw__ silently without its pictures, in shards of others or of
    our own."""
    tar(tmp_path / "0.tar", ["__raw__/1", "__raw__/2", "other/3"])
    keys = [key for key, _ in samples(str(tmp_path / "0.tar"))]
    assert keys == ["__raw__/1", "__raw__/2", "other/3"]
    import numpy as np

    with ClusterWriter(tmp_path / "own", 0, 8) as writer:
        for key in keys:
            writer.write({"__key__": key, "latent.npy": np.zeros(2, np.float32)})
    (shard,) = read_index(tmp_path / "own")
    assert len(read_shard(shard)["x0"]) == shard.samples == 3
