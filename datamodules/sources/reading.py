"""How sources read their records: whole splits, batches in memory, and entries one by one."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

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


Captioned = tuple[NDArray[np.float32], str]
"""A picture [C, H, W] or clip [C, T, H, W] in [-1, 1], and its caption."""


def read_entries(
    entries: Iterable[tuple[str, Callable[[], Captioned]]], size: int, counts: RecordCounts
) -> Iterator[Records]:
    """Batches of one part's readable entries, without labels; adds to `counts`.

    entries: a key and a function that reads the record, which may raise BadRecordError or
    LeftOutError. An entry whose key was read before is bad.
    """
    keys: set[str] = set()
    batch: list[tuple[str, Captioned]] = []
    for key, read in entries:
        try:
            if not _encodable(key):
                key = key.encode(errors="replace").decode()
                raise BadRecordError("a key that is no Unicode")
            if key in keys:
                raise BadRecordError("duplicated key")
            keys.add(key)
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


def checked_caption(caption: object) -> str:
    """The caption, stripped. BadRecordError if it is no text, empty or no valid Unicode."""
    if not isinstance(caption, str) or not caption.strip():
        raise BadRecordError("no caption")
    if not _encodable(caption):
        raise BadRecordError("a caption that is no Unicode")
    return caption.strip()


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
