"""Windows of shards in memory: each is read once, and the next one while this one is in use."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.shards import Shard, ShardError, read_shard

Arrays = dict[str, Tensor]
"""A batch: x0 [B, ...], tokens [B, L, D], pooled [B, P], cluster [B], and others, by name."""
CAPTION = "caption"
"""A name in `Arrays`: a number from 0 [B], int64, that rows of the same tokens share alone."""
HASHED = 1 << 15
"""Bytes of a sample's tokens, at most, whose captions are numbered: larger ones take longer to hash
than a network that shares them saves, and are a GPU's, which shares none.  (T5-XXL's are 8 MB.)"""
ALL = slice(None)
"""Of a batch, the rows of a device that has the whole of it."""


def read_window(shards: Sequence[Shard]) -> Arrays:
    """The samples [n, ...] of all shards by name, sorted by their shards' paths.

    Beside them only one shard is in memory. Raises ShardError if a shard cannot be read or holds
    other arrays than the first.
    """
    ordered = sorted(shards, key=lambda shard: shard.path)
    window: dict[str, NDArray[Any]] = {}
    at, total = 0, sum(shard.samples for shard in ordered)
    for shard in ordered:
        arrays = read_shard(shard)
        if not window:
            window = {key: np.empty((total, *x.shape[1:]), x.dtype) for key, x in arrays.items()}
        if _kinds(arrays) != _kinds(window):
            raise ShardError(f"shard {shard.path} holds other arrays than {ordered[0].path}")
        for key, array in arrays.items():
            window[key][at : at + shard.samples] = array
        at += shard.samples
    tokens = window.get("tokens")
    if tokens is not None and tokens[0].nbytes <= HASHED:
        window[CAPTION] = _captions(window["tokens"])
    return {key: torch.from_numpy(array) for key, array in window.items()}


def _captions(tokens: NDArray[Any]) -> NDArray[np.int64]:
    """A number [n] for the tokens [n, L, D] of each sample: of the caption, whatever the window."""
    digests = (hashlib.blake2b(x.tobytes(), digest_size=8).digest() for x in tokens)
    return (np.frombuffer(b"".join(digests), dtype=np.uint64) >> 1).astype(np.int64)


def _kinds(arrays: dict[str, NDArray[Any]]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    return {key: (array.shape[1:], array.dtype) for key, array in arrays.items()}


class WindowReader:
    """Reads one window after another in a thread, and so the next one ahead of its need.

    A context manager: on leaving, the thread is waited for.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "shards")
        self._windows: dict[frozenset[Path], Future[Arrays]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def read(self, window: Sequence[Shard], following: Sequence[Shard] = ()) -> Arrays:
        """The window, and a beginning of the one that follows, if any.

        Of the windows read before only these two are kept, so none is read twice in a row. Raises
        ShardError for this window; one for the next is raised when that is asked for.
        """
        asked = {frozenset(shard.path for shard in w): w for w in (window, following) if w}
        self._windows = {names: self._windows[names] for names in asked if names in self._windows}
        for names, shards in asked.items():
            if names not in self._windows:
                self._windows[names] = self._thread.submit(read_window, shards)
        return self._windows[next(iter(asked))].result()
