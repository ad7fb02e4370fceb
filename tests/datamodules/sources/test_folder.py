"""A folder of one's own pictures: splits that stay, and what each line of its list gives."""

import json

import numpy as np
import pytest
from PIL import Image

from datamodules.shards import read_index, read_shard
from datamodules.sources.folder import Folder
from datamodules.sources.source import RecordCounts, SourceError, Split
from modules.codec import encode
from tests.helpers.files import asset, write_cluster


def fill(root, count, first=0):
    """Pictures of one grey level each, and their lines added to the list."""
    root.mkdir(exist_ok=True)
    with open(root / "captions.jsonl", "a") as lines:
        for i in range(first, first + count):
            level = i % 256
            Image.new("RGB", (10, 8), (level, level, level)).save(root / f"{i}.png")
            lines.write(json.dumps({"file": f"{i}.png", "caption": f"picture {i}"}) + "\n")
    return root


def folder(root, **changed):
    return Folder(name="test", root=str(root), **{"image": 8, **changed})


def everything(source, size=16):
    """{key: split and part}, and what was refused in all."""
    refused, where = RecordCounts(), {}
    for split in Split:
        for part in source.parts(split):
            for batch in source.batches(split, part, size, refused):
                assert not where.keys() & set(batch.keys)
                where |= dict.fromkeys(batch.keys, (split, part))
    return where, refused


def test_every_picture_is_in_one_split_with_its_caption(tmp_path):
    """kills: a picture in two splits or parts or in none, captions and pictures out of step."""
    source = folder(fill(tmp_path, 200))
    where, refused = everything(source)
    assert len(where) == refused.kept == refused.total == 200
    for split in Split:
        read = source.read(split)
        assert read.keys == [k for k in read.keys if where[k][0] is split]
        numbers = [int(key.removesuffix(".png")) for key in read.keys]
        assert read.captions == [f"picture {i}" for i in numbers]
        levels = np.array(numbers).reshape(-1, 1, 1, 1)
        assert np.allclose(read.images, levels / 127.5 - 1, atol=1e-6)
        assert read.images.shape == (len(numbers), 3, 8, 8)
        assert set(read.labels.tolist()) == {-1}


def test_adding_pictures_moves_no_other(tmp_path):
    """kills: splits by place in the list, by count, or by Python's hash, new in each process."""
    before, _ = everything(folder(fill(tmp_path, 60)))
    listed = (tmp_path / "captions.jsonl").read_text().splitlines(keepends=True)
    fill(tmp_path, 60, first=60)
    added = (tmp_path / "captions.jsonl").read_text().splitlines(keepends=True)[60:]
    (tmp_path / "captions.jsonl").write_text("".join(added + listed[::-1]))
    after, _ = everything(folder(tmp_path))
    assert before.items() <= after.items()
    assert len(after) == 120
    assert folder(tmp_path).split_and_part("png/1f600.png") == (Split.TRAIN, "7")
    assert folder(tmp_path).split_and_part("cats/1.png") == (Split.HELDOUT, "5")


def test_shares_are_about_those_asked_and_the_heldout_stay_held_out():
    """kills: shares swapped, a hash that is not uniform, held-out pictures trained on."""
    keys = [f"{i}.png" for i in range(20_000)]
    one, two = Folder("a", judge=0.2, heldout=0.1), Folder("a", judge=0.0, heldout=0.1)
    splits = [one.split_and_part(key)[0] for key in keys]
    for split, share in {Split.TRAIN: 0.7, Split.JUDGE: 0.2, Split.HELDOUT: 0.1}.items():
        assert splits.count(split) / 20_000 == pytest.approx(share, abs=0.012)  # four deviations
    other = [two.split_and_part(key)[0] for key in keys]
    assert [s is Split.HELDOUT for s in splits] == [s is Split.HELDOUT for s in other]
    parts = np.unique([int(one.split_and_part(key)[1], 16) for key in keys], return_counts=True)[1]
    assert len(parts) == 16
    assert parts / 1250 == pytest.approx(1, abs=0.13)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.1), (0.1, -0.1), (float("nan"), 0.1)])
def test_impossible_shares_are_refused(shares):
    """kills: nothing left to train on, negative or unknown shares."""
    with pytest.raises(ValueError, match="shares"):
        Folder("a", judge=shares[0], heldout=shares[1])


BAD = {
    '{"file": "x.png", "caption": "one"}': ("x.png", "no picture: No such file"),
    '{"file": "a.png"}': ("a.png", "no caption"),
    '{"file": "b.png", "caption": " "}': ("b.png", "no caption"),
    '{"file": "c.png", "caption": 3}': ("c.png", "no caption"),
    '{"file": "d.png", "caption": "\\ud800"}': ("d.png", "no Unicode"),
    '{"file": "\\ud800.png", "caption": "one"}': ("?.png", "no Unicode"),
    '{"file": "\\u0000", "caption": "one"}': ("\0", "no picture"),
    '{"file": "../out.png", "caption": "one"}': ("../out.png", "outside"),
    '{"file": "/out.png", "caption": "one"}': ("/out.png", "outside"),
    '{"file": ".", "caption": "one"}': (".", "no picture"),
    '{"file": "text.png", "caption": "one"}': ("text.png", "undecodable"),
    '{"caption": "one"}': ("captions.jsonl:3", "without a file"),
    '{"file": "", "caption": "one"}': ("captions.jsonl:3", "without a file"),
    "[1]": ("captions.jsonl:3", "no JSON object"),
    "no json": ("captions.jsonl:3", "no JSON object"),
    "\udcff": ("captions.jsonl:3", "no JSON object"),
    '{"file": "0.png", "caption": "again"}': ("0.png", "duplicated key"),
}


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_listed_once_and_the_rest_read(tmp_path, line):
    """kills: an error that ends the list, a line counted in every part, a file from elsewhere."""
    Image.new("RGB", (10, 8)).save(tmp_path / "out.png")
    root = fill(tmp_path / "in", 1)
    (root / "text.png").write_text("text")
    with open(root / "captions.jsonl", "ab") as lines:
        lines.write(b"\n" + line.encode(errors="surrogateescape") + b"\n")
    fill(root, 1, first=1)
    where, refused = everything(folder(root))
    assert sorted(where) == ["0.png", "1.png"]
    ((key, reason),) = refused.bad
    assert key == BAD[line][0]
    assert BAD[line][1] in reason


def test_small_pictures_are_left_out(tmp_path):
    """kills: a picture enlarged, or one as large as asked left out."""
    root = fill(tmp_path, 5)
    assert everything(folder(root))[1].kept == 5
    for changed in ({"image": 9}, {"min_side": 9}):
        where, refused = everything(folder(root, **changed))
        assert not where
        assert refused.left_out == {"shorter side under 9 (source.image, source.min_side)": 5}
        assert not refused.bad


def test_no_list_is_an_error_that_says_so(tmp_path):
    """kills: an empty split for a mistyped folder."""
    with pytest.raises(SourceError, match=r"no .*captions\.jsonl"):
        folder(tmp_path / "nowhere").read(Split.TRAIN)
    with pytest.raises(ValueError, match="no part"):
        folder(tmp_path).batches(Split.TRAIN, "10", 1, RecordCounts())


def test_identity_is_the_name_and_not_the_place():
    """kills: the root hashed, or the name not."""
    assert encode(folder("a")) == encode(folder("b"))
    assert encode(Folder("x")) != encode(Folder("y"))


def test_keys_survive_the_shards_of_latents(tmp_path):
    """kills: file names as keys, which end at their first dot once they are in a tar."""
    read = folder(fill(tmp_path / "in", 20)).read(Split.TRAIN)
    samples = [
        {
            "__key__": key,
            "latent.npy": image,
            "tokens.npy": np.zeros((1, 1), np.float32),
            "pooled.npy": np.zeros(1, np.float32),
            "caption.txt": caption,
        }
        for key, image, caption in zip(read.keys, read.images, read.captions, strict=True)
    ]
    write_cluster(tmp_path / "out", 0, samples, per_shard=100)
    assert np.array_equal(read_shard(read_index(tmp_path / "out")[0])["x0"], read.images)


@pytest.mark.slow
def test_the_emoji():
    """kills: transparency that is not over white; 1,644 pictures of which none is bad."""
    source = Folder("emoji", str(asset("data/emoji")), 64)
    where, refused = everything(source, 64)
    assert (len(where), refused.kept, refused.bad) == (1644, 1644, [])
    counts = {split: sum(s is split for s, _ in where.values()) for split in Split}
    assert counts[Split.TRAIN] > 1200
    assert min(counts.values()) > 120
    heldout = source.read(Split.HELDOUT)
    corners = heldout.images[:, :, 0, 0]  # [N, 3]
    assert (corners.min(1) > 0.99).mean() > 0.8
    assert all(heldout.captions)
