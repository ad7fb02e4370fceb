"""Image-text shards: which records they give, in which split, and which they refuse."""

import json
import pickle

import numpy as np
import pytest

from datamodules.sources.imagetext import ImageText
from datamodules.sources.pictures import Filter, too_small
from datamodules.sources.source import RecordCounts, Split
from modules.codec import encode
from tests.helpers.files import asset
from tests.helpers.imagetexts import META, png, record, source, write, write_five


@pytest.fixture
def folder(tmp_path):
    return write_five(tmp_path)


def one(tmp_path, records, **changed):
    """What is kept of a single shard of these records, and what is refused."""
    write(tmp_path / "x.tar", records)
    refused = RecordCounts()
    found = source(tmp_path, "x.tar", judge=0, heldout=0, **changed)
    batches = list(found.batches(Split.TRAIN, "x.tar", 4, refused))
    return [key for batch in batches for key in batch.keys], refused


def meta(**changed):
    return json.dumps({**META, **changed}).encode()


def test_every_record_with_its_picture_and_caption(folder):
    """kills: a record lost, pictures and captions out of step, another scale."""
    read = source(folder, judge=0, heldout=0).read(Split.TRAIN)
    assert read.keys == [f"{i // 10:05d}/{i:09d}" for i in range(50)]
    assert read.captions == [f"caption {i}" for i in range(50)]
    assert read.images.shape == (50, 3, 16, 16)
    assert read.images.dtype == np.float32
    assert read.labels.tolist() == [-1] * 50
    levels = np.arange(50).reshape(50, 1, 1, 1)
    assert np.allclose(read.images, levels / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 10, 64])
def test_batches_are_of_the_size_asked(folder, size):
    """kills: a batch across parts, or one that is not full in the middle."""
    refused = RecordCounts()
    lengths = list(map(len, source(folder).batches(Split.TRAIN, "00001.tar", size, refused)))
    assert sum(lengths) == refused.kept == 10
    assert all(n == size for n in lengths[:-1])


@pytest.mark.parametrize(
    ("judge", "heldout", "expected"),
    [(1, 1, "00012"), (2, 1, "00112"), (0, 2, "00022"), (0, 0, "00000")],
)
def test_the_last_shards_judge_and_are_held_out(folder, judge, heldout, expected):
    """kills: first shards for last, the two in the other order, a shard in two splits."""
    s = source(folder, judge=judge, heldout=heldout)
    for number, split in enumerate((Split.TRAIN, Split.JUDGE, Split.HELDOUT)):
        names = tuple(f"{i:05d}.tar" for i in range(5) if expected[i] == str(number))
        assert s.parts(split) == names
    with pytest.raises(ValueError, match="no shard of the train"):
        s.batches(Split.TRAIN, "00005.tar", 1, RecordCounts())


@pytest.mark.parametrize(
    "changed",
    [
        {"judge": 4},
        {"judge": 3, "heldout": 2},
        {"heldout": -1},
        {"shards": "{0..1}.tar"},
        {"shards": "{0,0,1,2}.tar"},
        {"shards": "{0..3.tar"},
        {"root": "pipe:cat x"},
    ],
)
def test_what_cannot_be_split_is_refused(changed):
    """kills: an empty training split, a shard read twice, a command that ignores its shard."""
    with pytest.raises(ValueError, match=r"shard|pattern"):
        source(**{"root": ".", **changed})


def test_identity_is_the_data_and_not_its_place():
    """kills: the root hashed, or a dial or the data's name left out."""
    base = source("here")
    assert encode(base) == encode(source("s3://there/{}"))
    assert pickle.loads(pickle.dumps(base)) == base
    others = [
        source("here", "{00000..00005}.tar"),
        source("here", judge=2),
        source("here", heldout=2),
        source("here", image=32),
        source("here", resize=Filter.BOX),
        source("here", caption_field="title"),
        source("here", min_side=20),
        source("here", min_aesthetic=5.0),
        source("here", aesthetic_field="score"),
        ImageText("other", base.shards, base.root, 16),
    ]
    forms = {json.dumps(encode(s)) for s in (base, *others)}
    assert len(forms) == len(others) + 1


BAD = {
    "undecodable": ({"png": b"<html>"}, "undecodable"),
    "truncated": ({"png": png(1)[:-30]}, "undecodable"),
    "no picture": ({"png": None}, "no picture"),
    "no caption": ({"txt": None}, "no caption"),
    "empty caption": ({"txt": b" \n"}, "no caption"),
    "latin-1": ({"txt": b"caf\xe9"}, "no Unicode"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_is_listed_and_the_next_one_read(tmp_path, case):
    """kills: an error that ends the shard, a record skipped in silence, or the next one too."""
    changed, reason = BAD[case]
    keys, refused = one(tmp_path, [("a", record(0)), ("b", record(1, **changed)), ("c", record(2))])
    assert keys == ["x/a", "x/c"]
    assert refused.kept == 2
    ((key, said),) = refused.bad
    assert key == "x/b"
    assert reason in said


@pytest.mark.parametrize("order", ["aab", "aba", "aaba"])
def test_a_duplicated_key_is_listed_next_to_it_or_far_off(tmp_path, order):
    """kills: files of two records merged into one, or the second one kept."""
    keys, refused = one(tmp_path, [(key, record(i)) for i, key in enumerate(order)])
    assert keys == ["x/a", "x/b"]
    assert refused.bad == [("x/a", "duplicated key")] * (len(order) - 2)


def test_captions_from_a_field_of_the_json(tmp_path):
    """kills: the .txt read all the same, or a field of another type taken for a caption."""
    records = [
        ("a", record(0, txt=None)),
        ("b", record(1, json=meta(title=None))),
        ("c", record(2, json=meta(title=["x"]))),
        ("d", record(3, json=b"{")),
        ("e", record(4, json=b"[1]")),
        ("f", record(5, json=None)),
        ("g", record(6, json=meta(title="half \ud800"))),
    ]
    keys, refused = one(tmp_path, records, caption_field="title")
    assert keys == ["x/a"]
    assert [key for key, _ in refused.bad] == [f"x/{k}" for k in "bcdefg"]
    whole = source(tmp_path, "x.tar", judge=0, heldout=0, caption_field="title")
    (batch,) = whole.batches(Split.TRAIN, "x.tar", 9, RecordCounts())
    assert batch.captions == ["A title"]


def test_aesthetics_leave_out_what_scores_less(tmp_path):
    """kills: > for >=, no score counted as a low one or a high one, NaN let through."""
    scores = [4.99, 5.0, 7, None, "6", True, float("nan")]
    records = [(f"{i}", record(i, json=meta(aesthetic=s))) for i, s in enumerate(scores)]
    keys, refused = one(tmp_path, [*records, ("7", record(7, json=None))], min_aesthetic=5.0)
    assert keys == ["x/1", "x/2"]
    assert refused.left_out == {"aesthetic under 5": 1}
    assert [key for key, _ in refused.bad] == ["x/3", "x/4", "x/5", "x/6", "x/7"]
    other, _ = one(
        tmp_path, [("0", record(0, json=meta(s=9.0)))], min_aesthetic=5.0, aesthetic_field="s"
    )
    assert other == ["x/0"]


@pytest.mark.parametrize(("min_side", "kept"), [(0, "bcd"), (16, "bcd"), (17, "cd"), (21, "")])
def test_resolution_leaves_out_the_small(tmp_path, min_side, kept):
    """kills: the longer side compared, > for >=, or a picture enlarged to the side asked."""
    sizes = {"a": (15, 90), "b": (16, 90), "c": (90, 17), "d": (20, 20)}
    records = [(key, record(1, png=png(1, size))) for key, size in sizes.items()]
    keys, refused = one(tmp_path, records, min_side=min_side)
    assert keys == [f"x/{k}" for k in kept]
    assert refused.left_out == {str(too_small(max(16, min_side))): 4 - len(kept)}
    assert not refused.bad


@pytest.mark.slow
def test_the_photographs():
    """kills: what only shards of one's own making can be read with. 288 files of img2dataset's."""
    photos = ImageText("photos", "{00000..00002}.tar", str(asset("data/photos")))
    refused, seen = RecordCounts(), {}
    for split in Split:
        for part in photos.parts(split):
            for batch in photos.batches(split, part, 32, refused):
                assert batch.images.shape[1:] == (3, 256, 256)
                assert -1 <= batch.images.min() < -0.5 < 0.5 < batch.images.max() <= 1
                seen |= dict(zip(batch.keys, batch.captions, strict=True))
    assert (refused.total, refused.kept, refused.bad) == (288, 288, [])
    assert seen["00000/000000000"] == "3/4 Sit-Up, an exercise for the abdominals with body only"
    assert len(set(seen.values())) == 288


@pytest.mark.slow
def test_the_photographs_filtered():
    """kills: a filter that also applies to what is as large as it asks. 273 have 512 pixels."""
    root = str(asset("data/photos"))
    photos = ImageText(
        "photos", "{00000..00002}.tar", root, 64, caption_field="caption", min_side=512
    )
    refused = RecordCounts()
    for split in Split:
        for part in photos.parts(split):
            assert sum(map(len, photos.batches(split, part, 32, refused))) > 0
    assert refused.kept == 273
    assert refused.left_out == {"shorter side under 512 (source.image, source.min_side)": 15}
