"""Shards wherever they lie: the same records by every road, or an error that names the shard."""

import functools
import http.server
import io
import tarfile
import threading

import fsspec
import numpy as np
import pytest

from datamodules.sources.imagetext import ImageText
from datamodules.sources.source import RecordCounts, SourceError, Split
from tests.helpers.imagetexts import png, record, source, write, write_five


@pytest.fixture
def folder(tmp_path):
    return write_five(tmp_path)


def test_files_that_are_no_record_are_passed_over(tmp_path):
    """kills: an error for a folder's entry, a macOS file or a file without a suffix."""
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("./dir", "./dir/._a.png", "./dir/README", "./dir/a.PNG", "./dir/a.txt"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name == "./dir" else tarfile.REGTYPE
            content = {"PNG": png(1), "txt": b"one"}.get(name.rpartition(".")[2], b"")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (batch,) = source(tmp_path, "x.tar", judge=0, heldout=0).batches(
        Split.TRAIN, "x.tar", 9, RecordCounts()
    )
    assert (batch.keys, batch.captions) == (["x/dir/a"], ["one"])


def test_a_shard_cut_anywhere_is_an_error(tmp_path):
    """kills: a shard cut between two files, or inside a header, read as a shorter one."""
    whole = tmp_path / "x.tar"
    write(whole, [(f"{i}", record(i)) for i in range(3)])
    content = whole.read_bytes()
    with tarfile.open(whole) as tar:
        last = tar.getmembers()[-1]
        end = last.offset_data + -(-last.size // 512) * 512  # where two empty blocks begin
    for cut in [*range(0, end, 512), 100, 511, 513, end - 1, end, end + 100]:
        whole.write_bytes(content[:cut])
        stream = source(tmp_path, "x.tar", judge=0, heldout=0).batches(
            Split.TRAIN, "x.tar", 1, RecordCounts()
        )
        with pytest.raises(SourceError, match=r"x\.tar is damaged or cut short"):
            list(stream)
    whole.write_bytes(content[: end + 1024])
    assert len(source(tmp_path, "x.tar", judge=0, heldout=0).read(Split.TRAIN)) == 3


@pytest.mark.parametrize("damage", ["header", "html", "gz"])
def test_a_damaged_shard_is_named(tmp_path, damage):
    """kills: a header that cannot be read taken for the end, or an exception of tarfile's."""
    path = tmp_path / "x.tar"
    write(path, [(f"{i}", record(i)) for i in range(3)], "w:gz" if damage == "gz" else "w")
    content = bytearray(path.read_bytes())
    if damage == "header":
        second = content.index(b"1.png")
        content[second + 100 : second + 160] = b"\xff" * 60
    path.write_bytes(
        {"html": b"<html>" * 500, "gz": content[: len(content) // 2]}.get(damage, content)
    )
    with pytest.raises(SourceError, match=r"x\.tar is damaged") as caught:
        source(tmp_path, "x.tar", judge=0, heldout=0).read(Split.TRAIN)
    assert "\n" not in str(caught.value)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(folder):
    """The folder's address on a server of this process."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_wherever_the_shards_lie_the_records_are_the_same(folder, served):
    """kills: an address put together wrongly, a road that loses the end, keys with the root."""
    memory = fsspec.filesystem("memory")
    for path in folder.glob("*.tar"):
        memory.pipe(f"/shards/{path.name}", path.read_bytes())
    here = source(folder).read(Split.JUDGE)
    assert here.keys == [f"00003/{i:09d}" for i in range(30, 40)]
    for root in (
        f"{folder}/",
        f"{folder}/{{}}",
        f"file://{folder}",
        "memory://shards",
        served,
        f"{served}/{{}}?token=a%20b",
        f"pipe:cat '{folder}'/{{}}",
        f"pipe:gzip -c '{folder}'/{{}}",
    ):
        there = source(root).read(Split.JUDGE)
        assert (there.keys, there.captions) == (here.keys, here.captions)
        assert np.array_equal(there.images, here.images)


def test_a_shards_name_is_quoted_for_the_shell(tmp_path):
    """kills: a name that the shell reads as words or as a command."""
    write(tmp_path / "a b; exit 3.tar", [("1", record(1))])
    s = ImageText("t", "a b; exit 3.tar", f"pipe:cat '{tmp_path}'/{{}}", 16, judge=0, heldout=0)
    assert s.read(Split.TRAIN).keys == ["a b; exit 3/1"]


@pytest.mark.parametrize(
    "root", ["nowhere", "file:///nowhere", "{}/gone", "pipe:cat {}; exit 1", "nosuch://x"]
)
def test_a_missing_shard_is_named(root):
    """kills: an empty split, or an error that does not say which shard."""
    with pytest.raises(SourceError, match=r"00003\.tar") as caught:
        source(root).read(Split.JUDGE)
    assert "\n" not in str(caught.value)


def test_a_command_that_fails_after_a_whole_shard_is_an_error(folder):
    """kills: a command whose status nobody waits for once the archive has ended."""
    with pytest.raises(SourceError, match="exit status 7"):
        source(f"pipe:cat '{folder}'/{{}}; exit 7").read(Split.JUDGE)
