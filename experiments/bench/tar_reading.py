"""Reading shards as training does, against a plain webdataset loop and against the disk."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
import webdataset as wds
from torch import Tensor

from datamodules.latents import BatchStream
from datamodules.shards import ClusterWriter, Shard, read_index
from experiments.bench.commands.memory import forget
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import versioned
from experiments.bench.ratios import Clock, RateRatio

BATCH = 128
LATENT, IDS = (4, 32, 32), 77
SAMPLES, BRIEF, PER_SHARD = 20_000, 512, 2_500
CHUNK = 2**20
Latents = Callable[[], Iterator[Tensor]]
"""Begins to read: latents [B, 4, 32, 32], batch by batch."""


def written(folder: Path, samples: int) -> list[Shard]:
    """Shards of latents [4, 32, 32] in float16 and 77 token ids, drawn from a seed."""
    rng = np.random.default_rng(0)
    with ClusterWriter(folder, 0, PER_SHARD) as writer:
        for i in range(samples):
            writer.write(
                {
                    "__key__": f"{i:08d}",
                    "latent.npy": rng.standard_normal(LATENT, np.float32).astype(np.float16),
                    "ids.npy": rng.integers(0, 49_408, IDS, dtype=np.int32),
                    "caption.txt": f"caption {i}",
                }
            )
    return read_index(folder)


def ours(shards: Sequence[Shard], samples: int) -> Iterator[Tensor]:
    """An epoch of batches, checked, shuffled and stacked as training reads them."""
    stream = BatchStream(shards, BATCH, 0, 0, samples // BATCH, window=samples)
    return (batch["x0"] for batch in stream)


def plain(shards: Sequence[Shard]) -> Iterator[Tensor]:
    """The same in webdataset's own loop: shuffled in a buffer, decoded, batched."""
    names = [str(shard.path) for shard in shards]
    data = wds.WebDataset(names, shardshuffle=len(names), empty_check=False, seed=0)
    batches = data.shuffle(1000).decode().to_tuple("latent.npy", "ids.npy").batched(BATCH)
    return (torch.as_tensor(latents) for latents, _ in batches)


def count(latents: Latents) -> int:
    """Samples of all batches: each is read, and nothing is done with its numbers."""
    return sum(len(x0) for x0 in latents())


def total(latents: Latents) -> float:
    """The sum of all latents. It takes as long as their reading, and so is no part of a timing."""
    return sum(x0.double().sum().item() for x0 in latents())


def off_the_disk(shards: Sequence[Shard]) -> int:
    """Bytes of all shards, read and thrown away."""
    count = 0
    for shard in shards:
        with open(shard.path, "rb", buffering=0) as file:
            while part := file.read(CHUNK):
                count += len(part)
    return count


def _laid(room: Room) -> tuple[list[Shard], int, Latents, Latents]:
    """The shards, their samples, and both ways to read them."""
    samples = room.amount(SAMPLES, BRIEF) // BATCH * BATCH
    shards = written(room.folder / "cluster", samples)
    return shards, samples, partial(ours, shards, samples), partial(plain, shards)


def _same_latents(reading: Latents, other: Latents) -> Alike:
    """Both read once more, untimed. A count would not tell an epoch from parts of two."""
    return Alike("sum of all latents", total(reading), total(other), 1e-9)


def _against_webdataset(room: Room) -> TwoSides:
    _, samples, reading, other = _laid(room)

    def alike(one: int, many: int) -> Sequence[Alike]:
        return (Alike("samples", one, many), _same_latents(reading, other))

    return TwoSides(
        Side(partial(count, reading), samples), Side(partial(count, other), samples), alike
    )


def _against_disk(cold: bool, room: Room) -> TwoSides:
    shards, samples, reading, other = _laid(room)
    held = sum(shard.bytes for shard in shards)
    before = partial(forget, [shard.path for shard in shards]) if cold else None

    def alike(read: int, passed: int) -> Sequence[Alike]:
        return (
            Alike("bytes", held, passed),
            Alike("samples", read, samples),
            _same_latents(reading, other),
        )

    return TwoSides(
        Side(partial(count, reading), held, before),
        Side(partial(off_the_disk, shards), held, before),
        alike,
    )


SHAPES = (
    f"{SAMPLES // BATCH * BATCH:,} samples: latent {list(LATENT)}, {IDS} ids, caption; "
    f"shards of {PER_SHARD:,}, batches of {BATCH}"
)
KIND = "float16 latents, int32 ids"
WHAT = "an epoch, checked by SHA-256 and shuffled"
DISK = f"the shards' bytes read in parts of {CHUNK // 1024} KiB"
READING = Bench(
    name="reading",
    title="Reading shards",
    rows=(
        BenchRow(
            name="reading-webdataset",
            what=WHAT,
            peer=versioned("webdataset", "WebDataset.shuffle.decode.to_tuple.batched"),
            ratio=RateRatio(5.0),
            unit="sample",
            shapes=SHAPES,
            precision=KIND,
            prepare=_against_webdataset,
        ),
        *(
            BenchRow(
                name=f"reading-{name}",
                what=WHAT,
                peer=f"{DISK}; page cache {state}",
                ratio=RateRatio(0.7),
                unit="byte",
                shapes=SHAPES,
                precision=KIND,
                prepare=partial(_against_disk, name == "disk"),
                clock=Clock.WALL,
            )
            for name, state in (("disk", "dropped before each timing"), ("cache", "warm"))
        ),
    ),
    notes=(
        "Latents are read and counted in the timings; that all were read, by their sum, in another "
        "reading.",
        "Against webdataset the page cache is warm. It is dropped by posix_fadvise, which some "
        "file systems do not obey: then `reading-disk` says what `reading-cache` does.",
    ),
)
