"""Digits: which picture is in which split, its pixels, its caption, told from scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from datamodules.sources.digits import Digits
from datamodules.sources.source import Split

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
every_split = pytest.mark.parametrize("split", Split)


@pytest.fixture(scope="module")
def file():
    return load_digits()


@pytest.fixture(scope="module")
def records():
    return {split: Digits().read(split) for split in Split}


def places(keys):
    """The picture's place in the file, from its key."""
    return np.array([int(key.removeprefix("digit-")) for key in keys])


def test_splits_are_disjoint_and_of_the_sizes_asked(records):
    """kills: overlapping splits, or one that starts or ends a picture early."""
    sizes = {split: len(set(records[split].keys)) for split in Split}
    assert sizes == {Split.TRAIN: 800, Split.JUDGE: 397, Split.HELDOUT: 400}
    assert len(set().union(*(records[split].keys for split in Split))) == 1597


@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 50, 7), (900, 10, 100), (2, 2, 1593)])
def test_other_sizes_are_disjoint_too(sizes):
    """kills: starts that fit the default sizes only."""
    digits = Digits(*sizes)
    keys = [digits.read(split).keys for split in (Split.TRAIN, Split.JUDGE, Split.HELDOUT)]
    assert tuple(map(len, keys)) == sizes
    assert len(set().union(*keys)) == sum(sizes)


@every_split
def test_a_split_is_the_same_at_every_call(split, records):
    """kills: a shuffle drawn from the global generator, or from the clock."""
    np.random.seed(5)
    again = Digits().read(split)
    assert again.keys == records[split].keys
    assert again.captions == records[split].captions
    assert np.array_equal(again.images, records[split].images)
    assert np.array_equal(again.labels, records[split].labels)


def test_the_shuffle_is_the_one_of_every_number_published(records):
    """kills: another shuffle, under which stored experts have been trained on the held-out."""
    order = np.random.default_rng(20261121).permutation(1797)
    joined = [places(records[s].keys) for s in (Split.TRAIN, Split.JUDGE, Split.HELDOUT)]
    assert np.array_equal(np.concatenate(joined), order[:1597])


def test_divisions_share_their_digits_and_not_their_splits():
    """kills: seeds that all have the first division, or that take digits from those set apart."""
    every = [Digits().divided(seed) for seed in range(4)]
    keys = [{split: set(source.read(split).keys) for split in Split} for source in every]
    together = [set().union(*splits.values()) for splits in keys]
    assert all(union == together[0] and len(union) == 1597 for union in together)
    for one, other in [(0, 1), (0, 2), (1, 2), (2, 3)]:
        shared = len(keys[one][Split.HELDOUT] & keys[other][Split.HELDOUT])
        assert shared == pytest.approx(400 * 400 / 1597, abs=35)  # of independent draws, 4 sigma


def test_the_first_division_is_the_source_itself_and_they_add_up():
    """kills: a seed of 0 that divides anew, or one that forgets the division asked for."""
    assert Digits().divided(0) == Digits()
    assert Digits(division=5).divided(2) == Digits(division=7)


@pytest.mark.parametrize("division", [0, 3])
def test_dials_are_chosen_on_digits_that_no_division_has(division):
    """kills: tuning on pictures that some seed's table scores, or experts' splits that move."""
    source = Digits().divided(division)
    tuned = source.tuning()
    apart = set(tuned.read(Split.HELDOUT).keys)
    order = np.random.default_rng(20261121).permutation(1797)
    assert apart == {f"digit-{i:04d}" for i in order[1597:]}
    assert tuned.expected(Split.HELDOUT) == len(apart)
    for split in (Split.TRAIN, Split.JUDGE):
        assert tuned.read(split).keys == source.read(split).keys


@every_split
def test_writers_are_spread_over_the_splits(split, records):
    """kills: splits cut from the file's own order, which goes writer by writer."""
    found = places(records[split].keys)
    quarters = np.bincount(found * 4 // 1797, minlength=4) / len(found)
    assert quarters == pytest.approx(0.25, abs=0.07)


@every_split
def test_pixels_and_labels_are_those_of_the_keys_picture(split, records, file):
    """kills: another scaling, a transposed picture, or keys that point at a neighbour."""
    r = records[split]
    assert r.images.dtype == np.float32
    assert r.labels.dtype == np.int64
    assert r.images.shape == (len(r), 1, 8, 8)
    for key, image, label in zip(places(r.keys), r.images, r.labels, strict=True):
        assert image[0].tolist() == [[p / 8 - 1 for p in row] for row in file.images[key]]
        assert label == file.target[key]


def test_pixels_fill_the_range(records):
    """kills: a scaling by 255 or by the split's own extremes."""
    for r in records.values():
        assert (r.images.min(), r.images.max()) == (-1, 1)


@every_split
def test_a_caption_names_its_label_and_no_other(split, records):
    """kills: words out of order, or captions of another picture's label."""
    r = records[split]
    for caption, label in zip(r.captions, r.labels, strict=True):
        named = [NUMBERS.index(word) for word in caption.split() if word in NUMBERS]
        assert named == [label]


def test_captions_are_english(records):
    """kills: "a eight", or an article that follows another word than the next."""
    found = {tuple(c.split()[:2]) for r in records.values() for c in r.captions if c[0] == "a"}
    expected = {("an" if word == "eight" else "a", word) for word in NUMBERS}
    assert found == expected | {("a", "handwritten"), ("a", "scan")}


def test_every_class_has_every_wording(records):
    """kills: one wording for all, or a wording tied to the label, which would give it away."""
    for split in Split:
        r = records[split]
        pairs = zip(r.captions, r.labels, strict=True)
        wordings = {(c.replace(NUMBERS[k], "#").replace("an #", "a #"), k) for c, k in pairs}
        assert len(wordings) == 4 * Digits.classes
        assert len({wording for wording, _ in wordings}) == 4


@pytest.mark.parametrize(
    "sizes", [(1, 2, 2), (2, 1, 2), (2, 2, 1), (-5, 10, 10), (10, 10, -5), (800, 597, 201)]
)
def test_impossible_sizes_are_refused(sizes):
    """kills: a split of one, which has no covariance, or one picture more than the file has."""
    with pytest.raises(ValueError, match="1797"):
        Digits(*sizes)


def test_impossible_divisions_are_refused():
    """kills: a traceback of numpy's for a negative division, dials chosen on no digit."""
    with pytest.raises(ValueError, match="division -1"):
        Digits(division=-1)
    with pytest.raises(ValueError, match="too few to choose dials on"):
        Digits(set_apart=1, tunes=True)
