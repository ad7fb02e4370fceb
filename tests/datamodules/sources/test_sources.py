"""Sources: what is refused is counted, listed and skipped, and stops the reader past its share."""

from dataclasses import dataclass

import numpy as np
import pytest

from datamodules.sources.digits import Digits
from datamodules.sources.reading import checked_caption, read_all, read_entries
from datamodules.sources.source import (
    FEWEST_BAD,
    BadRecordError,
    LeftOutError,
    RecordCounts,
    Records,
    SourceError,
    Split,
)


def good(i):
    return lambda: (np.full((3, 2, 2), i, dtype=np.float32), f"caption {i}")


def fails(error):
    def read():
        raise error

    return read


def test_batches_hold_every_good_record_in_order():
    """kills: a last batch dropped, an order lost, or captions and pictures out of step."""
    refused = RecordCounts()
    batches = list(read_entries([(f"k{i}", good(i)) for i in range(7)], 3, refused))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert [key for batch in batches for key in batch.keys] == [f"k{i}" for i in range(7)]
    for i, batch in enumerate(batches):
        assert batch.images.dtype == np.float32
        assert batch.labels.tolist() == [-1] * len(batch)
        assert batch.images[:, 0, 0, 0].tolist() == [3 * i + j for j in range(len(batch))]
        assert batch.captions == [f"caption {3 * i + j}" for j in range(len(batch))]
    assert refused == RecordCounts(kept=7)


def test_bad_records_are_listed_filtered_ones_counted_and_the_rest_kept():
    """kills: a filter counted as bad, a duplicate kept or overwriting, a reason lost."""
    refused = RecordCounts()
    entries = [
        ("a", good(0)),
        ("b", fails(BadRecordError("no caption"))),
        ("c", fails(LeftOutError("too small"))),
        ("a", good(1)),
        ("d", fails(LeftOutError("too small"))),
        ("b", good(2)),
        ("\udcff", good(3)),
        ("e", good(4)),
    ]
    (batch,) = read_entries(entries, 10, refused)
    assert batch.keys == ["a", "e"]
    assert batch.captions == ["caption 0", "caption 4"]
    assert refused.kept == 2
    assert refused.left_out == {"too small": 2}
    assert refused.bad == [
        ("b", "no caption"),
        ("a", "duplicated key"),
        ("b", "duplicated key"),
        ("?", "a key that is no Unicode"),
    ]
    assert refused.total == 8


def test_an_error_of_the_code_is_not_a_bad_record():
    """kills: every exception swallowed as a bad record."""
    with pytest.raises(ZeroDivisionError):
        list(read_entries([("a", fails(ZeroDivisionError()))], 1, RecordCounts()))


@pytest.mark.parametrize(
    ("kept", "bad", "left_out", "limit", "stops"),
    [
        (0, FEWEST_BAD - 1, 0, 0.01, False),
        (0, FEWEST_BAD, 0, 0.01, True),
        (990, 10, 0, 0.01, False),
        (989, 10, 0, 0.01, True),
        (89, 10, 901, 0.01, False),
        (10, 10, 0, 0.5, False),
        (10, 10, 0, 0.49, True),
        (0, 0, 0, 0.0, False),
        (10**6, 10, 0, 0.0, True),
    ],
)
def test_the_reader_stops_past_the_share_and_no_sooner(kept, bad, left_out, limit, stops):
    """kills: > for >=, filtered records not among those seen, no least number."""
    refused = RecordCounts(kept, [(f"k{i}", "no picture") for i in range(bad)])
    refused.left_out["too small"] = left_out
    if not stops:
        return refused.check(limit)
    with pytest.raises(SourceError) as caught:
        refused.check(limit)
    said = str(caught.value)
    assert f"{bad} of {kept + bad + left_out} records" in said
    assert "k0: no picture" in said
    assert "\n" not in said


def test_counts_of_parts_add_up():
    """kills: a count left out of the sum, or one that overwrites."""
    total = RecordCounts()
    for i in (1, 2):
        part = RecordCounts(kept=i, bad=[(f"k{i}", "r")])
        part.left_out["small"] = i
        total.add(part)
    assert (total.kept, total.left_out["small"]) == (3, 3)
    assert total.bad == [("k1", "r"), ("k2", "r")]


@pytest.mark.parametrize("caption", [None, "", "  \n", 3, ["a"], "half \ud800"])
def test_what_says_nothing_is_no_caption(caption):
    """kills: an empty or unwritable caption handed on, to fail when the shards are written."""
    with pytest.raises(BadRecordError):
        checked_caption(caption)


@dataclass(frozen=True)
class Listed:
    """Parts of `sizes` records, of which the first `bad` are bad."""

    sizes: tuple[int, ...]
    bad: int = 0

    def parts(self, split):
        return tuple(map(str, range(len(self.sizes))))

    def batches(self, split, part, size, refused):
        entries = [
            (f"{part}/{i}", fails(BadRecordError("bad")) if i < self.bad else good(i))
            for i in range(self.sizes[int(part)])
        ]
        return read_entries(entries, size, refused)


def test_a_split_is_its_parts_joined():
    """kills: a part left out, or parts in another order."""
    read = read_all(Listed((3, 0, 2)), Split.TRAIN, size=2)
    assert read.keys == ["0/0", "0/1", "0/2", "2/0", "2/1"]
    assert read.images.shape == (5, 3, 2, 2)
    assert len(read.labels) == len(read.captions) == 5


def test_an_empty_split_and_one_too_bad_are_errors():
    """kills: an empty split handed on, or the share unchecked where no batch came."""
    with pytest.raises(SourceError, match="no picture in the judge split"):
        read_all(Listed(()), Split.JUDGE)
    with pytest.raises(SourceError, match="20 of 20 records are bad"):
        read_all(Listed((20,), bad=20), Split.TRAIN)
    assert len(read_all(Listed((100,), bad=20), Split.TRAIN, limit=0.2)) == 80


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_digits_in_batches_are_the_digits(size):
    """kills: a batch that starts or ends a record early, or fields record_batches apart."""
    digits = Digits(20, 10, 10)
    refused = RecordCounts()
    whole = digits.read(Split.TRAIN)
    (part,) = digits.parts(Split.TRAIN)
    batches = list(digits.batches(Split.TRAIN, part, size, refused))
    assert max(map(len, batches)) == min(size, 20)
    assert refused == RecordCounts(kept=20)
    joined = Records(
        keys=[key for b in batches for key in b.keys],
        images=np.concatenate([b.images for b in batches]),
        labels=np.concatenate([b.labels for b in batches]),
        captions=[caption for b in batches for caption in b.captions],
    )
    assert (joined.keys, joined.captions) == (whole.keys, whole.captions)
    assert np.array_equal(joined.images, whole.images)
    assert np.array_equal(joined.labels, whole.labels)
