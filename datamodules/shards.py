"""Webdataset shards, one folder a cluster: written once, checked at every first reading.

A folder holds 000000.tar, 000001.tar, … and index.json, which gives for each shard its number of
samples, its size and its SHA-256, so that a damaged shard is named rather than half-read.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import webdataset as wds
from numpy.typing import NDArray
from webdataset.tariterators import group_by_keys, tar_file_expander

Sample = dict[str, Any]
"""__key__, latent.npy, tokens.npy, pooled.npy, caption.txt"""
ARRAYS = {"x0": "latent.npy", "tokens": "tokens.npy", "pooled": "pooled.npy"}


class ShardError(RuntimeError):
    """A shard or index that is missing, truncated or not what was written. Names the file."""


@dataclass(frozen=True)
class Shard:
    path: Path
    cluster: int
    samples: int
    bytes: int
    sha256: str


def write_cluster(folder: Path, cluster: int, samples: Sequence[Sample], per_shard: int) -> None:
    """Write one cluster's samples into `folder`, `per_shard` to a tar."""
    folder.mkdir(parents=True)
    shards = []
    for start in range(0, len(samples), per_shard):
        path = folder / f"{start // per_shard:06d}.tar"
        part = samples[start : start + per_shard]
        with open(path, "wb") as file, wds.TarWriter(file, mtime=0) as writer:
            for sample in part:
                writer.write(sample)
        shards.append(
            {
                "name": path.name,
                "samples": len(part),
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        )
    index = {"cluster": cluster, "shards": shards}
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")


def read_index(folder: Path) -> list[Shard]:
    """The shards of one cluster's folder. ShardError if the index is missing or malformed."""
    path = folder / "index.json"
    try:
        index = json.loads(path.read_text())
        return [
            Shard(folder / s["name"], index["cluster"], s["samples"], s["bytes"], s["sha256"])
            for s in index["shards"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShardError(f"cannot read the shard index {path}: {error}") from error


def _content(shard: Shard) -> bytes:
    """The shard's bytes, once they are known to be those that were written."""
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
    """x0 [N, ...], tokens [N, L, D], pooled [N, P] and cluster [N] of one shard, in its order."""
    # From the checked bytes rather than by name: webdataset takes a name for a URL or a pattern.
    source = {"url": str(shard.path), "stream": io.BytesIO(_content(shard))}
    samples = list(wds.decode()(group_by_keys(tar_file_expander([source]))))
    if len(samples) != shard.samples:
        raise ShardError(f"shard {shard.path} holds {len(samples)} of {shard.samples} samples")
    arrays = {name: np.stack([s[file] for s in samples]) for name, file in ARRAYS.items()}
    return {**arrays, "cluster": np.full(len(samples), shard.cluster, dtype=np.int64)}
