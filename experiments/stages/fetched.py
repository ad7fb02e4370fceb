"""One cluster's shards on a machine that has no other: fetched by address, held against SHA-256."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from datamodules.encoders.encoder import LatentEncoder, TextEncoder
from datamodules.shards import ShardError, read_index, write_index
from datamodules.sources.opening import CHUNK, open_address
from datamodules.validation import ValidationBatches
from datamodules.windows import ALL
from experiments.pipeline.files import sha256
from experiments.pipeline.store import Context, Store
from experiments.stages.corpus import Corpus, batches
from modules.training import Optim

if TYPE_CHECKING:  # it imports Lightning
    from datamodules.latents import Latents

PROTOCOLS = ("https", "http", "s3", "gs", "gcs", "hf", "file")
"""Those that only read. Others of fsspec's, and `pipe:`, may run what a stranger wrote."""
NAME = re.compile(r"\d{6}\.tar")


@dataclass(frozen=True)
class ShardFile:
    """A shard as its cluster's index has it. ValueError for a name that is none, or no size."""

    name: str
    samples: int
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no name of a shard: it is six digits and .tar")
        if min(self.samples, self.bytes) < 1 or not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.name} of {self.samples} samples, {self.bytes} bytes: no shard")


def check_address(address: str) -> None:
    """ValueError for an address that could run a command."""
    protocol, remote, _ = address.partition("://")
    local = not remote and re.match(r"[\w+-]+:", address) is None
    if not (local or protocol in PROTOCOLS) or "::" in address:
        known = ", ".join(PROTOCOLS)
        raise ValueError(f"{address!r}: shards lie in a folder, or are read by {known}")


def fetch(shard: ShardFile, address: str, path: Path) -> None:
    """Write a shard to `path`, unless it is there. ShardError if it is not the one meant."""
    if path.exists() and sha256(path) == shard.sha256:
        return
    digest, size, aside = hashlib.sha256(), 0, path.with_suffix(".part")
    with open_address(address) as stream, open(aside, "wb") as file:
        while size <= shard.bytes and (chunk := stream.read(CHUNK)):
            size += file.write(chunk)
            digest.update(chunk)
    if (size, digest.hexdigest()) != (shard.bytes, shard.sha256):
        raise ShardError(f"{address} is not the shard that the manifest has the SHA-256 of")
    aside.rename(path)


@dataclass(frozen=True)
class Fetched(Corpus):
    """cluster-KK/ of one cluster, as `Shards` has it; the same batches come from it to the bit.

    partition: the clustering whose number `cluster` is.  experts: K.  shape: of a latent.
    address: the folder of the shards, or where it is on a network; part of no key.
    ValueError for an address that could run a command, or for no shards.
    """

    resumes: ClassVar[bool] = True
    partition: str
    experts: int
    latents: LatentEncoder
    text: TextEncoder
    shape: tuple[int, ...]
    cluster: int
    files: tuple[ShardFile, ...]
    address: str = field(metadata={"key": False})

    def __post_init__(self) -> None:
        check_address(self.address)
        if len({file.name for file in self.files}) != len(self.files) or not self.files:
            raise ValueError(f"cluster {self.cluster} has no shards, or one of them twice")

    @property
    def label(self) -> str:
        return f"shards of cluster {self.cluster}"

    @property
    def k(self) -> int:
        return self.experts

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.shape

    def make(self, folder: Path, context: Context) -> None:
        inside = folder / self._inside
        inside.mkdir(exist_ok=True)
        for file in self.files:
            fetch(file, f"{self.address.rstrip('/')}/{file.name}", inside / file.name)
        write_index(inside, self.cluster, [vars(file) for file in self.files])

    @property
    def _inside(self) -> str:
        return f"cluster-{self.cluster:02d}"

    def _folder(self, store: Store, clusters: Sequence[int]) -> Path:
        """ValueError for any but the one cluster."""
        if tuple(clusters) != (self.cluster,):
            raise ValueError(f"clusters {[*clusters]} asked of the {self.label}")
        return store.path(self) / self._inside

    def samples(self, store: Store, clusters: Sequence[int]) -> int:
        return sum(shard.samples for shard in read_index(self._folder(store, clusters)))

    def loader(
        self,
        store: Store,
        clusters: Sequence[int],
        optim: Optim,
        seed: int,
        rows: slice = ALL,
        heldout: ValidationBatches | None = None,
    ) -> "Latents":
        return batches(self, [self._folder(store, clusters)], optim, seed, rows, heldout)
