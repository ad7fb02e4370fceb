"""The run of a stage that trains: on its clusters' shards, on one device or on several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from datamodules.latents import ValidationBatches
from experiments.pipeline.store import Context, Store
from experiments.stages.clusters import Encoded
from experiments.stages.corpus import Corpus
from experiments.training import distributed
from experiments.training.fit import fit
from modules.training import DiffusionModule, Optim

VALIDATION_BATCH = 256


@dataclass(frozen=True)
class Validation:
    """The loss of the held-out pictures nearest to an expert's clusters, each noised `draws` times.

    every: optimiser steps between.  seed: of t and eps, which depend on it and the picture alone.
    """

    encoded: Encoded
    every: int
    draws: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.every < 1 or self.draws < 1:
            raise ValueError(f"every {self.every} and draws {self.draws} must be positive")

    def heldout(self, store: Store, clusters: Sequence[int]) -> ValidationBatches:
        """The pictures of those clusters. ValueError if there are none."""
        data = self.encoded.load(store)
        rows = torch.isin(data["cluster"], torch.tensor(clusters)).nonzero().flatten()
        pictures = {key: data[key][rows] for key in ("x0", "tokens", "pooled")}
        return ValidationBatches(pictures, rows, self.draws, self.seed, VALIDATION_BATCH)


class Trained(Protocol):
    """A stage that trains: on the shards of these clusters, and on no other file."""

    @property
    def shards(self) -> Corpus: ...

    @property
    def clusters(self) -> tuple[int, ...]: ...

    @property
    def label(self) -> str: ...

    @property
    def optim(self) -> Optim: ...

    def begun(self, store: Store, rows: slice) -> DiffusionModule:
        """The module to train on these rows of every batch, with the weights it starts from."""
        ...


def train(
    stage: Trained, folder: Path, context: Context, validation: Validation | None = None
) -> None:
    """Fit the module of `stage` to its clusters, and leave the weights in `folder`.

    On several devices each has its share of every batch. ValueError if that is no whole number.
    """
    devices, batch = context.hardware.devices, stage.optim.batch
    if batch % devices:
        raise ValueError(f"{stage.label}: batch {batch} does not divide among {devices} devices")
    if devices == 1:
        _train(0, stage, folder, context, validation)
    else:
        distributed.run(_train, (stage, folder, context, validation), devices)


def _train(
    rank: int, stage: Trained, folder: Path, context: Context, validation: Validation | None
) -> None:
    """The part of one device, by its rank."""
    context = context if rank == 0 else replace(context, bar=None)
    rows = slice(rank, None, context.hardware.devices)
    module = stage.begun(context.store, rows)
    optim, every, heldout = module.optim, None, None
    if validation is not None:
        every, heldout = validation.every, validation.heldout(context.store, stage.clusters)
    data = stage.shards.loader(context.store, stage.clusters, optim, module.seed, rows, heldout)
    fit(module, data, folder, stage.label, context, every)


def training_cost(optim: Optim) -> float:
    """Seconds on one core at `small`, about: an overhead a step, and a time a sample."""
    return optim.steps * optim.accumulate * (0.006 + 0.0002 * optim.batch)
