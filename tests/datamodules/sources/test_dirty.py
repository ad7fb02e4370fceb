"""Data as they are found: byte-order marks, `~`, lost shards, captions that spell end tokens."""

import json
from pathlib import Path

import pytest

from datamodules.sources import lost
from datamodules.sources.classed import CIFAR10, FashionMNIST
from datamodules.sources.folder import Folder
from datamodules.sources.reading import checked_caption
from datamodules.sources.source import LostShardError, RecordCounts, SourceError, Split
from datamodules.sources.videotext import VideoText
from tests.helpers.imagetexts import png, record, source, write, write_five
from tests.helpers.videos import grey
from tests.helpers.videos import write as write_clip

MARK = "\ufeff".encode()


def captions(source):
    """{key: caption} of all splits."""
    counts = RecordCounts()
    batches = (
        batch
        for split in Split
        for part in source.parts(split)
        for batch in source.batches(split, part, 8, counts)
    )
    found = {k: c for batch in batches for k, c in zip(batch.keys, batch.captions, strict=True)}
    assert counts.bad == []
    return found


def test_a_byte_order_mark_is_no_part_of_a_caption(tmp_path):
    """kills: a first word that no tokenizer knows; a first line of captions.jsonl that is bad."""
    clips, folder, shards = (tmp_path / name for name in ("clips", "folder", "shards"))
    for place in (clips, folder, shards):
        place.mkdir()
    write_clip(clips / "a.mp4", [grey(1)] * 6)
    (clips / "a.txt").write_bytes(MARK + b"a red car\r\n")
    sizes = {"image": 16, "frames": 3, "rate": 12.0}
    assert captions(VideoText("test", str(clips), **sizes)) == {"a.mp4": "a red car"}
    lines = [{"file": f"{i}.png", "caption": f"\ufeffcat {i}"} for i in range(3)]
    for i in range(3):
        (folder / f"{i}.png").write_bytes(png(i))
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    for between in (b"", b"\n"):
        (folder / "captions.jsonl").write_bytes(MARK + between + text.encode())
        wanted = {f"{i}.png": f"cat {i}" for i in range(3)}
        assert captions(Folder("test", str(folder), image=16)) == wanted
    for s in range(3):
        (one,) = [(f"{s}", record(s, txt=MARK + b" a dog"))]
        write(shards / f"{s:05d}.tar", [one])
    found = captions(source(shards, "{00000..00002}.tar"))
    assert set(found.values()) == {"a dog"}
    field = source(shards, "{00000..00002}.tar", caption_field="title")
    assert set(captions(field).values()) == {"A title"}


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    """kills: a folder called `~` looked for, by any source that reads files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_five(tmp_path)
    (tmp_path / "captions.jsonl").write_text('{"file": "0.png", "caption": "cat"}\n')
    (tmp_path / "0.png").write_bytes(png(0))
    write_clip(tmp_path / "a.mp4", [grey(1)] * 6)
    for name in ("FashionMNIST/raw", "cifar-10-batches-py"):
        (tmp_path / name).mkdir(parents=True)
    shards = source("~")
    assert len(captions(shards)) == 50
    assert captions(Folder("test", "~", image=16)) == {"0.png": "cat"}
    clip = VideoText("test", "~", image=16, frames=3, rate=12.0)
    assert captions(clip) == {"a.mp4": "a"}
    for each in (shards, Folder("test", "~"), clip, FashionMNIST(data_root="~"),
                 CIFAR10(data_root="~")):  # fmt: skip
        each.locate()


@pytest.mark.parametrize(
    "harm",
    [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:5000])],
    ids=["a gap", "cut short"],
)
def test_lost_shards_are_left_out_whole_up_to_a_share(tmp_path, harm):
    """kills: one file of many that stops all; half a shard used; any number lost in silence."""
    write_five(tmp_path)
    harm(tmp_path / "00001.tar")
    some = source(tmp_path, lost_share=0.34)  # of three shards to train on
    some.locate()
    read = some.read(Split.TRAIN)
    assert [key[:5] for key in read.keys] == ["00000"] * 10 + ["00002"] * 10
    assert read.captions[10] == "caption 20"
    with pytest.raises(LostShardError):
        list(some.batches(Split.TRAIN, "00001.tar", 4, RecordCounts()))
    with pytest.raises(SourceError) as caught:
        source(tmp_path).read(Split.TRAIN)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("1 of 3 shards are lost (33.3%), the first 00001.tar: ")
    assert "at most 1.0% may be" in said
    assert "lost_share" in said


def test_the_share_is_no_part_of_what_data_are():
    """kills: another key, and hours of encoding, for a tolerance that changed nothing."""
    from experiments.pipeline.key import key

    assert key(source("a")) == key(source("b", lost_share=0.5))


def test_a_server_that_fails_is_no_lost_shard(tmp_path):
    """kills: data that depend on the network's mood: only what is not there or damaged is lost."""
    write_five(tmp_path)
    some = source(f"pipe:test {{}} != 00001.tar && cat {tmp_path}/{{}}", lost_share=0.9)
    with pytest.raises(SourceError, match="exit status") as caught:
        some.read(Split.TRAIN)
    assert not isinstance(caught.value, LostShardError)


def test_the_count_of_lost_shards_is_exact():
    """kills: a share compared with the wrong side, or the last reason told for the first."""
    shards = lost.LostShards(200, 0.01)
    shards.add("00007.tar", "no file")
    shards.add("00009.tar", "cut short")
    assert shards.line == "2 of 200 shards are lost (1.0%), the first 00007.tar: no file"
    with pytest.raises(SourceError, match=r"^3 of 200 shards are lost \(1\.5%\), .* no file; at"):
        shards.add("00011.tar", "no file")


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ("a cat <|endoftext|> on a mat", "a cat <| endoftext|> on a mat"),
        ("<|StartOfText|>a cat", "<| StartOfText|>a cat"),
        ("<end_of_text>", "< end_of_text>"),
        ("\ufeff a cat\u00a0\r\n", "a cat"),
        ("a < b, end of text > c", "a < b, end of text > c"),
    ],
)
def test_a_caption_is_words(found, kept):
    """kills: a caption that ends where it spells an end token, or other text changed."""
    assert checked_caption(found) == kept
