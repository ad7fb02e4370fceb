"""Webdataset shards, one folder for each cluster: written once, checked whenever they are read.

A folder holds 000000.tar, 000001.tar, ... and index.json, with each shard's number of samples, size
and SHA-256. A damaged shard is therefore reported and never read in part.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from datamodules.members import MembersError, members, stacked

Sample = dict[str, Any]
"""One sample by webdataset's names: __key__, latent.npy, caption.txt, and tokens.npy with
pooled.npy, or ids.npy."""
ARRAYS = {
    **{"x0": "latent.npy", "tokens": "tokens.npy", "pooled": "pooled.npy"},
    "ids": "ids.npy",
    "frame_feature": "frame_feature.npy",
}
"""The name of an array in a batch -> its file in a sample."""


class ShardError(RuntimeError):
    """A shard or index that is missing, truncated or not what was written. Names the file."""


@dataclass(frozen=True)
class Shard:
    """One shard as its index describes it: samples, size in bytes, SHA-256 in hexadecimal."""

    path: Path
    cluster: int
    samples: int
    bytes: int
    sha256: str


def _dotless(key: str) -> str:
    """The key with its dots escaped, since webdataset ends a key at the first dot."""
    return key.replace("%", "%25").replace(".", "%2E")


class ClusterWriter:
    """Writes one cluster's samples into `folder`, `per_shard` to a shard, then the index.

    A context manager: the index is written on leaving, unless there was an error.
    """

    def __init__(self, folder: Path, cluster: int, per_shard: int) -> None:
        folder.mkdir(parents=True)
        self.folder, self.cluster, self.per_shard = folder, cluster, per_shard
        self.shards: list[dict[str, Any]] = []
        self.file: BinaryIO | None = None
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._finish()
        if kind is None:
            write_index(self.folder, self.cluster, self.shards)

    @property
    def _path(self) -> Path:
        return self.folder / f"{len(self.shards):06d}.tar"

    def write(self, sample: Sample) -> None:
        """Add a sample. OSError if the shard cannot be written."""
        import webdataset as wds

        if self.file is None:
            self.file = open(self._path, "wb")  # noqa: SIM115  closed by _finish
            self.writer = wds.TarWriter(self.file, mtime=0)
        self.writer.write({**sample, "__key__": _dotless(sample["__key__"])})
        self.count += 1
        if self.count == self.per_shard:
            self._finish()

    def _finish(self) -> None:
        if self.file is None:
            return
        self.writer.close()
        self.file.close()
        path = self._path
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        entry = {"name": path.name, "samples": self.count, "bytes": path.stat().st_size}
        self.shards.append({**entry, "sha256": digest})
        self.file, self.count = None, 0


def write_index(folder: Path, cluster: int, shards: list[dict[str, Any]]) -> None:
    """index.json of shards by name, samples, bytes and sha256, sealed with its own SHA-256."""
    index = {"cluster": cluster, "shards": shards}
    sealed = {**index, "sha256": _digest(index)}
    (folder / "index.json").write_text(json.dumps(sealed, indent=1) + "\n")


def _digest(index: dict[str, Any]) -> str:
    """The SHA-256 of what an index says."""
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()


def read_index(folder: Path) -> list[Shard]:
    """The shards in a cluster's folder. ShardError if the index is missing, malformed or not what
    was written."""
    path = folder / "index.json"
    try:
        index = json.loads(path.read_text())
        seal = index.pop("sha256", None)  # none in those of before there were seals
        if seal is not None and seal != _digest(index):
            raise ShardError(f"the shard index {path} is damaged: its SHA-256 is not its content's")
        return [
            Shard(folder / s["name"], index["cluster"], s["samples"], s["bytes"], s["sha256"])
            for s in index["shards"]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardError(f"cannot read the shard index {path}: {error}") from error


def _content(shard: Shard) -> bytes:
    """The shard's bytes. ShardError if they are not those that were written."""
    try:
        content = shard.path.read_bytes()
    except OSError as error:
        raise ShardError(f"cannot read shard {shard.path}: {error}") from error
    if len(content) != shard.bytes:
        raise ShardError(f"shard {shard.path} is truncated: {len(content)} of {shard.bytes} bytes")
    if hashlib.sha256(content).hexdigest() != shard.sha256:
        raise ShardError(f"shard {shard.path} is corrupt: its SHA-256 is not the index's")
    return content


def read_shard(shard: Shard) -> dict[str, NDArray[Any]]:
    """The arrays of one shard, in its order.

    x0 [N, ...], cluster [N], and tokens [N, L, D] with pooled [N, P], or ids [N, L]; frame_feature
    [N, F] if the shards hold it. Raises ShardError if the shard is missing, damaged or incomplete.
    """
    content = _content(shard)
    try:
        held = members(content)
        if held.samples != shard.samples:
            raise MembersError(f"holds {held.samples} of {shard.samples} samples")
        files = {name: file for name, file in ARRAYS.items() if file in held.starts}
        arrays = {name: stacked(held, file, content) for name, file in files.items()}
    except MembersError as error:
        raise ShardError(f"shard {shard.path} {error}") from error
    return {**arrays, "cluster": np.full(held.samples, shard.cluster, dtype=np.int64)}
