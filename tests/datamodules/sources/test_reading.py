"""Entries are read in threads, and nobody can tell but by the clock."""

import threading
from collections import Counter

import numpy as np
import pytest

from datamodules.sources import reading
from datamodules.sources.reading import read_entries
from datamodules.sources.source import BadRecordError, LeftOutError, RecordCounts, SourceError


def entry(i, after=None):
    """Picture i, read once `after` is set; every seventh is bad, every fifth left out."""

    def read():
        if after is not None:
            assert after.wait(10)
        if i % 7 == 3:
            raise BadRecordError(f"bad {i}")
        if i % 5 == 4:
            raise LeftOutError("small")
        return np.full((3, 2, 2), i, np.float32), f"caption {i}"

    return f"key-{i}", read


def test_the_order_is_the_sources(monkeypatch):
    """kills: records, or what is said of bad ones, in the order in which threads finish."""
    monkeypatch.setattr(reading.os, "cpu_count", lambda: 4)
    last, counts = threading.Event(), RecordCounts()

    def entries():
        yield entry(0, after=last)  # ends after those that follow it
        yield from map(entry, range(1, 5))
        last.set()
        yield from map(entry, range(5, 50))
        yield entry(7)

    batches = list(read_entries(entries(), 4, counts))
    kept = [i for i in range(50) if i % 7 != 3 and i % 5 != 4]
    assert [key for batch in batches for key in batch.keys] == [f"key-{i}" for i in kept]
    assert np.concatenate([b.images for b in batches])[:, 0, 0, 0].tolist() == kept
    bad = [(f"key-{i}", f"bad {i}") for i in range(3, 50, 7)]
    assert counts.bad == [*bad, ("key-7", "duplicated key")]
    assert counts.left_out == Counter(small=sum(i % 5 == 4 and i % 7 != 3 for i in range(50)))
    assert [len(batch) for batch in batches[:-1]] == [4] * (len(batches) - 1)


def test_records_are_read_while_a_batch_is_used(monkeypatch):
    """kills: threads that wait for the next batch to be asked for; a whole part held in memory."""
    monkeypatch.setattr(reading.os, "cpu_count", lambda: 2)
    asked = []

    def entries():
        for i in range(0, 7_000, 7):  # none is bad
            asked.append(i)
            yield f"key-{i}", lambda: (np.zeros((3, 2, 2), np.float32), "a caption")

    next(read_entries(entries(), 10, RecordCounts()))
    assert len(asked) == 10 + 10 + 2 * 2


def test_a_source_that_breaks_off_gives_what_came_before():
    """kills: records lost that stood before a shard's damage, an error swallowed with its shard."""

    def entries():
        yield from map(entry, range(3))
        raise SourceError("cut short")

    batches = read_entries(entries(), 2, RecordCounts())
    assert next(batches).keys == ["key-0", "key-1"]
    with pytest.raises(SourceError, match="cut short"):
        list(batches)
