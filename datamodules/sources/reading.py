"""How sources read their records: whole splits, batches in memory, and entries one by one."""

import os
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from numpy.typing import NDArray

from datamodules.encoders.captions import plain
from datamodules.sources.source import (
    BAD_SHARE,
    BadRecordError,
    LeftOutError,
    RecordCounts,
    Records,
    Source,
    SourceError,
    Split,
)


def read_all(source: Source, split: Split, limit: float = BAD_SHARE, size: int = 256) -> Records:
    """Every part of a split, joined.

    limit: the largest share of bad records.  size: records in a batch while reading.
    Raises SourceError if the split is empty or has too many bad records.
    """
    counts, batches = RecordCounts(), []
    for part in source.parts(split):
        for batch in source.batches(split, part, size, counts):
            batches.append(batch)
            counts.check(limit)
        counts.check(limit)
    if not batches:
        raise SourceError(
            f"no picture in the {split.value} split of {source}: {len(counts.bad)} bad, left out "
            f"{dict(counts.left_out)}"
        )
    return Records(
        keys=[key for batch in batches for key in batch.keys],
        images=np.concatenate([batch.images for batch in batches]),
        labels=np.concatenate([batch.labels for batch in batches]),
        captions=[caption for batch in batches for caption in batch.captions],
    )


def record_batches(records: Records, size: int, counts: RecordCounts) -> Iterator[Records]:
    """Records that are in memory, as batches of `size`; adds to `counts`."""
    for start in range(0, len(records), size):
        batch = records[start : start + size]
        counts.kept += len(batch)
        yield batch


BLANK = re.compile(r"^[\s\ufeff]+|[\s\ufeff]+\Z")
"""What captions are stripped of; Windows begins its files with a byte-order mark."""
Captioned = tuple[NDArray[np.float32], str]
"""A picture [C, H, W] or clip [C, T, H, W] in [-1, 1], and its caption."""
Entry = tuple[str, Callable[[], Captioned]]
"""A record's key, and a function that reads it."""


def read_entries(entries: Iterable[Entry], size: int, counts: RecordCounts) -> Iterator[Records]:
    """Batches of one part's readable entries, without labels; adds to `counts`.

    entries: a key and a function that reads the record, in a thread, which may raise BadRecordError
    or LeftOutError. An entry whose key was read before is bad.
    """
    batch: list[tuple[str, Captioned]] = []
    for key, read in _ahead(_with_keys_checked(entries), size):
        try:
            batch.append((key, read()))
        except BadRecordError as error:
            counts.bad.append((key, str(error)))
            continue
        except LeftOutError as error:
            counts.left_out[str(error)] += 1
            continue
        counts.kept += 1
        if len(batch) == size:
            yield _joined(batch)
            batch = []
    if batch:
        yield _joined(batch)


def _with_keys_checked(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries; one whose key is no Unicode or was read before raises BadRecordError instead."""
    keys: set[str] = set()
    for key, read in entries:
        if not _encodable(key):
            yield (
                key.encode(errors="replace").decode(),
                partial(_refuse, "a key that is no Unicode"),
            )
        elif key in keys:
            yield key, partial(_refuse, "duplicated key")
        else:
            keys.add(key)
            yield key, read


def _refuse(reason: str) -> Captioned:
    raise BadRecordError(reason)


def _ahead(entries: Iterable[Entry], size: int) -> Iterator[Entry]:
    """The entries in their order, read in threads while earlier ones are encoded.

    PIL decodes and resizes without Python's lock. Up to `size` entries and two a thread are held.
    """
    threads, failed = os.cpu_count() or 1, None
    with ThreadPoolExecutor(threads, "decoding") as pool:
        pending: deque[Entry] = deque()
        try:
            for key, read in entries:
                pending.append((key, pool.submit(read).result))
                if len(pending) > size + 2 * threads:
                    yield pending.popleft()
        except SourceError as error:  # of the source's end, met before what precedes it was asked
            failed = error
        yield from pending
        if failed is not None:
            raise failed


def checked_caption(caption: object) -> str:
    """The caption as words alone: stripped, without a byte-order mark, and with what a tokenizer
    would take for its own end token in two words.

    BadRecordError if it is no text, empty or no valid Unicode.
    """
    if not isinstance(caption, str) or not BLANK.sub("", caption):
        raise BadRecordError("no caption")
    if not _encodable(caption):
        raise BadRecordError("a caption that is no Unicode")
    return plain(BLANK.sub("", caption))


def _encodable(text: str) -> bool:
    """Whether a text can be encoded: json and tar let lone surrogates through."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _joined(batch: list[tuple[str, Captioned]]) -> Records:
    return Records(
        keys=[key for key, _ in batch],
        images=np.stack([image for _, (image, _) in batch]),
        labels=np.full(len(batch), -1, dtype=np.int64),
        captions=[caption for _, (_, caption) in batch],
    )
