"""The run of a stage that trains: on its clusters' shards, on one device or on several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar, cast

import torch
from torch import nn

from datamodules.validation import ValidationBatches
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Artifact, Context, Store
from experiments.stages.clusters import Encoded
from experiments.stages.corpus import Corpus
from experiments.training import distributed
from experiments.training.compiling import compile_blocks
from modules.training import DiffusionModule, Optim
from modules.weights.checkpoint import load_weights

M = TypeVar("M", bound=nn.Module, covariant=True)
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
    stages: Sequence[Trained],
    folders: Sequence[Path],
    context: Context,
    validation: Validation | None = None,
) -> None:
    """Fit the modules of `stages` to their clusters, and leave the weights in `folders`.

    Several stages have one recipe and no validation. On several devices they follow each other,
    and each device has its share of every batch; ValueError if that is no whole number.
    """
    devices = context.hardware.devices
    if devices == 1:
        _train(0, stages, folders, context, validation)
        return
    for stage, folder in zip(stages, folders, strict=True):
        batch = stage.optim.batch
        if batch % devices:
            raise ValueError(
                f"{stage.label}: batch {batch} does not divide among {devices} devices"
            )
        distributed.run(_train, ([stage], [folder], context, validation), devices)


def _train(
    rank: int,
    stages: Sequence[Trained],
    folders: Sequence[Path],
    context: Context,
    validation: Validation | None,
) -> None:
    """The part of one device, by its rank."""
    from experiments.training.fit import Run, fit  # Lightning, which only training needs

    context = context if rank == 0 else replace(context, bar=None)
    rows = slice(rank, None, context.hardware.devices)
    every = None if validation is None else validation.every
    runs = []
    for stage, folder in zip(stages, folders, strict=True):
        module = stage.begun(context.store, rows)
        heldout = None if validation is None else validation.heldout(context.store, stage.clusters)
        data = stage.shards.loader(
            context.store, stage.clusters, module.optim, module.seed, rows, heldout
        )
        runs.append(Run(module, data, folder, stage.label))
    fit(runs, context, every)


ROUTER_SHARE = 0.5
"""What a router's training costs, of what an expert's of the same recipe costs, at `small`."""


def training_cost(optim: Optim) -> float:
    """Seconds on one core at `small`, about: an overhead a step, and a time a sample."""
    return optim.steps * optim.accumulate * (0.0098 + 0.000165 * optim.batch)


def load_trained(network: nn.Module, stage: Stage, store: Store) -> None:
    """Load a stage's weights. CheckpointError if they do not fit, StoreError if they changed."""
    load_weights(network, store.file(stage, "weights.safetensors"))


class Loads(Artifact, Protocol[M]):
    """A stage whose artifact is the weights of a module."""

    def load(self, store: Store) -> M: ...


LOADED_NUMBERS = 64_000_000
"""Parameters of all modules that a process keeps as loaded, at most: 256 MB."""
_loaded = dict[tuple[Path, int, torch.device, bool], tuple[nn.Module, int]]()
"""Modules by what was asked for, each with its number of parameters: counting them again at each
call took most of a small sample set's time."""


def loaded_once(stage: Loads[M], store: Store, device: torch.device, compiled: bool) -> M:
    """A trained module on a device, its blocks compiled or not, loaded now or before.

    A table's sample sets are of the same few experts. The file is checked at each call; one that
    was made anew is read anew. CheckpointError, StoreError as by `load_trained`.
    """
    path = store.file(stage, "weights.safetensors")
    asked = path.resolve(), path.stat().st_mtime_ns, device, compiled
    kept = _loaded.pop(asked, None)
    if kept is None:
        module = stage.load(store).to(device)
        if compiled:
            compile_blocks(module, rows_vary=True)
        kept = module, sum(p.numel() for p in module.parameters())
    _loaded[asked] = kept  # as the last: those that nobody has asked for are dropped first
    while sum(numbers for _, numbers in _loaded.values()) > LOADED_NUMBERS:
        del _loaded[next(iter(_loaded))]
    return cast(M, kept[0])
