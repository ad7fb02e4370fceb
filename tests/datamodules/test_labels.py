"""A folder's labels, keywords and altered copies."""

import json

import numpy as np
import pytest
from PIL import Image

from datamodules.alterations import Alterations
from datamodules.sources.folder import Folder
from datamodules.sources.source import RecordCounts, Split


def fill(root, *more):
    """A picture, half red and half blue over white, for each of `more`, which its line has too."""
    root.mkdir(exist_ok=True)
    picture = Image.new("RGB", (16, 16), (255, 255, 255))
    picture.paste((250, 0, 0), (4, 4, 8, 12))
    picture.paste((0, 0, 250), (8, 4, 12, 12))
    with open(root / "captions.jsonl", "w") as lines:
        for i, fields in enumerate(more):
            picture.save(root / f"{i}.png")
            lines.write(
                json.dumps({"file": f"{i}.png", "caption": f"picture {i}", **fields}) + "\n"
            )
    return root


def read(root, **changed):
    """Everything by key, and what was refused."""
    source = Folder("test", str(root), 16, **changed)
    counts, records = RecordCounts(), {}
    for split in Split:
        for part in source.parts(split):
            for batch in source.batches(split, part, 4, counts):
                rows = zip(batch.images, batch.labels.tolist(), batch.captions, strict=True)
                records |= dict(zip(batch.keys, rows, strict=True))
    return source, records, counts


def labels(records):
    return {key: label for key, (_, label, _) in records.items()}


def test_words_are_numbered_in_their_order_and_numbers_by_size(tmp_path):
    """kills: labels by order of reading, numbers sorted as words, another picture's label."""
    source, records, _ = read(fill(tmp_path, *({"label": x} for x in ("ox", "ant", "ox", "bee"))))
    assert source.classes == 3
    assert labels(records) == {"0.png": 2, "1.png": 0, "2.png": 2, "3.png": 1}
    source, records, _ = read(fill(tmp_path, *({"label": x} for x in (10, 9, 10, 200))))
    assert (source.classes, labels(records)["0.png"], labels(records)["1.png"]) == (3, 1, 0)
    source, records, counts = read(tmp_path, class_count=11)
    assert source.classes == 11
    assert labels(records) == {"0.png": 10, "1.png": 9, "2.png": 10}
    assert counts.bad == [("3.png", "label 200, of 11 classes")]


@pytest.mark.parametrize("wrong", [{}, {"label": None}, {"label": True}, {"label": 1.5}])
def test_a_line_without_a_label_is_bad_where_others_have_one(tmp_path, wrong):
    """kills: a class of -1 beside real ones, on which a classifier fails, True taken for 1."""
    source, records, counts = read(fill(tmp_path, {"label": 1}, wrong))
    assert (source.classes, [*records]) == (1, ["0.png"])
    assert counts.bad == [("1.png", f"label {wrong.get('label')!r}, of 1 classes")]
    plain, records, counts = read(fill(tmp_path, {}, {}))
    assert (plain.classes, {*labels(records).values()}, counts.bad) == (0, {-1}, [])
    assert Folder("test", str(tmp_path / "nowhere")).classes == 0


def test_keywords_follow_the_caption(tmp_path):
    """kills: more of them than asked, keywords of a line that are no list of words."""
    root = fill(tmp_path, {"keywords": ["a", "b", "c"]}, {"keywords": "abc"}, {})
    found = {key: caption for key, (*_, caption) in read(root, keywords=2)[1].items()}
    assert found == {"0.png": "picture 0: a, b", "1.png": "picture 1", "2.png": "picture 2"}
    assert read(root)[1]["0.png"][2] == "picture 0"


def test_pictures_to_train_on_are_altered_and_no_other(tmp_path):
    """kills: held-out pictures altered, a copy in place of the picture, one that differs by run."""
    root, altered = fill(tmp_path, *[{"label": 1}] * 60), Alterations(copies=2)
    source, records, _ = read(root, alterations=altered)
    _, plain, _ = read(root)
    assert all(np.array_equal(records[key][0], plain[key][0]) for key in plain)
    copies = {key for key in records if "#" in key}
    trained = [key for key in plain if source.split_and_part(key)[0] is Split.TRAIN]
    assert copies == {f"{key}#{i}" for key in trained for i in (1, 2)}
    assert len({records[key][0].tobytes() for key in copies}) > len(copies) / 2  # all show the same
    _, again, _ = read(root, alterations=altered)
    assert all(np.array_equal(records[key][0], again[key][0]) for key in copies)
    assert {records[key][1] for key in copies} == {0}
    assert source.expected(Split.TRAIN) == 3 * source.unaltered().expected(Split.TRAIN)
    assert source.unaltered() == Folder("test", str(root), 16)


def test_what_changes_the_truth_is_said(tmp_path):
    """kills: red turned blue, or left exchanged with right, under a caption that is silent; a hue
    that is turned by another angle than is said."""
    picture = read(fill(tmp_path, {}))[1]["0.png"][0]
    still = Alterations(shift=0, scale=1.0)
    said = set()
    for i in range(40):
        image, caption = still.altered(picture, "x", str(i))
        words = caption.removeprefix("x")
        turns = ("hues turned once" in words) + 2 * ("hues turned twice" in words)
        expected = picture[:, :, ::-1] if "mirrored" in words else picture
        np.testing.assert_allclose(image, np.roll(expected, turns, axis=0), atol=1e-6)
        said.add(words)
    assert len(said) == 6
    for i in range(20):
        moved, caption = Alterations(flip=0, hue=0, shift=2).altered(picture, "x", str(i))
        assert caption == "x"
        assert moved[:, 0].min() > 0.9  # white comes in
        shown = (moved < 0).any(axis=0)  # red or blue
        assert 0.6 < shown.sum() / (picture < 0).any(axis=0).sum() <= 1.0
        assert np.abs(np.argwhere(shown).mean(axis=0) - 7.5).max() <= 2 + 0.8


@pytest.mark.parametrize("fault", [{"copies": 0}, {"flip": 1.5}, {"scale": 0.0}, {"shift": -1}])
def test_impossible_alterations_are_refused(fault):
    """kills: a copy of no size, a share above 1."""
    with pytest.raises(ValueError, match="Alterations"):
        Alterations(**fault)
