"""Real pictures and clips, scored beside samples: what a perfect copy of the data would get."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.encoders.encoder import CPU
from datamodules.sources.source import AlteredSource, DrawingSource, RecordCounts, Source, Split
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.corpus import Shards
from experiments.stages.encode import BATCH
from experiments.stages.prompts import Asked, Heldout
from experiments.stages.samples import Images, Pictures, decoded
from experiments.stages.seeds import SAMPLING, run_seed
from metrics.pixels import to_uint8


@dataclass(frozen=True)
class Real(Pictures):
    """images.npy: n training pictures that show what the prompts name, drawn by seed; where nothing
    has a class, any n, with their own captions.

    Scored like samples they are what a perfect copy of the data would get: no sample set of this
    size and these prompts should be expected closer to the held-out pictures. None is altered, so
    that a model of altered ones is not to be expected as close.
    """

    shards: Shards
    n: int
    seed: int

    @property
    def label(self) -> str:
        return f"real pictures, seed {self.seed}"

    def inputs(self) -> tuple[Stage, ...]:
        """The held-out split, whose captions are asked."""
        return (self.shards.heldout,)

    def prompts(self, store: Store) -> Asked:
        if self.shards.source.classes == 0:
            captions: list[str] = json.loads(store.file(self, "captions.json").read_text())
            return captions, np.full(len(captions), -1, dtype=np.int64)
        return Heldout(self.n).read(self.shards.heldout.captions(store))

    def make(self, folder: Path, context: Context) -> None:
        if self.shards.source.classes == 0:
            images, captions = self._any()
            np.save(folder / "images.npy", images)
            (folder / "captions.json").write_text(json.dumps(captions))
            return
        train = self._source.read(Split.TRAIN)
        _, named = self.prompts(context.store)
        rng = np.random.default_rng([self.seed, SAMPLING])
        rows = np.empty(self.n, dtype=np.int64)
        for label in np.unique(named):
            wanted, there = np.flatnonzero(named == label), np.flatnonzero(train.labels == label)
            if len(there) == 0:
                raise ValueError(f"no training picture shows class {label}: enlarge the split")
            # Without repetition as far as the split goes.
            rounds = [rng.permutation(there) for _ in range(-(-len(wanted) // len(there)))]
            rows[wanted] = np.concatenate(rounds)[: len(wanted)]
        np.save(folder / "images.npy", train.images[rows])

    @property
    def _source(self) -> Source:
        source = self.shards.source
        return source.unaltered() if isinstance(source, AlteredSource) else source

    def _any(self) -> tuple[NDArray[np.uint8], list[str]]:
        """Pictures without labels: those of parts drawn by seed, as bytes, for they are many."""
        source, refused = self._source, RecordCounts()
        pictures, captions = list[NDArray[np.uint8]](), list[str]()
        parts = source.parts(Split.TRAIN)
        for i in np.random.default_rng([self.seed, SAMPLING]).permutation(len(parts)):
            for records in source.batches(Split.TRAIN, parts[i], BATCH, refused):
                pictures.append(to_uint8(records.images))
                captions += records.captions
                refused.check()
                if len(captions) >= self.n:
                    return np.concatenate(pictures)[: self.n], captions[: self.n]
        raise ValueError(f"{self.n} real pictures asked for, but the training split has fewer")

    def pictures(self, store: Store, device: torch.device = CPU) -> Iterator[Images]:
        images = np.load(store.file(self, "images.npy"), mmap_mode="r")
        for start in range(0, self.n, BATCH):
            some = images[start : start + BATCH]
            yield some / np.float32(127.5) - 1 if some.dtype == np.uint8 else np.array(some)

    def evaluations(self, store: Store) -> dict[str, float]:
        """They took none."""
        return {"expert_evaluations": 0.0, "router_evaluations": 0.0}


@dataclass(frozen=True)
class Decoded(Pictures):
    """latents.npy: real pictures encoded, to be decoded again: what an autoencoder alone costs, and
    so each sample that it decodes. They are of half precision, as those that networks learn."""

    real: Real

    @property
    def cost(self) -> float:
        return 0.05 * self.n

    @property
    def label(self) -> str:
        return f"{self.real.label}, encoded and decoded"

    @property
    def shards(self) -> Shards:
        return self.real.shards

    @property
    def n(self) -> int:
        return self.real.n

    def prompts(self, store: Store) -> Asked:
        return self.real.prompts(store)

    def make(self, folder: Path, context: Context) -> None:
        encoder, store = self.shards.latents, context.store
        device = context.torch_device
        latents = [encoder.encode(x, device) for x in self.real.pictures(store, device)]
        np.save(folder / "latents.npy", np.concatenate(latents))

    def pictures(self, store: Store, device: torch.device = CPU) -> Iterator[Images]:
        latents = np.load(store.file(self, "latents.npy"), mmap_mode="r")
        for start in range(0, self.n, BATCH):
            yield decoded(self.shards.latents, np.array(latents[start : start + BATCH]), device)

    def evaluations(self, store: Store) -> dict[str, float]:
        return self.real.evaluations(store)


@dataclass(frozen=True)
class RealClips(Pictures):
    """n clips of the training split, drawn by seed, with their own captions: what a perfect copy of
    the data would get."""

    source: DrawingSource
    n: int
    seed: int

    @property
    def label(self) -> str:
        return f"real clips, seed {self.seed}"

    def make(self, folder: Path, context: Context) -> None:
        g = torch.Generator().manual_seed(run_seed(self.seed, SAMPLING))
        drawn = self.source.draw(Split.TRAIN, range(self.source.clusters), self.n, g)
        np.savez(folder / "clips.npz", clips=drawn.clips.numpy(), labels=drawn.labels.numpy())

    def prompts(self, store: Store) -> Asked:
        labels = self._read(store, "labels")
        return [self.source.captions[label] for label in labels], labels

    def pictures(self, store: Store, device: torch.device = CPU) -> Iterator[Images]:
        clips = self._read(store, "clips")
        for start in range(0, self.n, BATCH):
            yield clips[start : start + BATCH]

    def evaluations(self, store: Store) -> dict[str, float]:
        """They took none."""
        return {"expert_evaluations": 0.0, "router_evaluations": 0.0}

    def _read(self, store: Store, name: str) -> NDArray[Any]:
        with np.load(store.file(self, "clips.npz")) as arrays:
            return arrays[name]
