"""Training runs under Lightning: averages, checkpoints, logs, bars, and going on after a kill."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import pandas as pd
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from torch import nn

from datamodules.stacked import StackedBatches
from experiments.pipeline.store import Context
from experiments.training import checkpoints, isolation, loggers
from experiments.training.callbacks import Averaging, Curve, StageBar
from experiments.training.compiling import compile_blocks
from experiments.training.strategies import autocast, strategy
from modules.dit import Trunk
from modules.mmdit import MMDiTNetwork
from modules.together import Together
from modules.training import DiffusionModule, Optim
from modules.weights.checkpoint import save_weights

SAVES = 5
"""Checkpoints in a run: what a kill can cost is one part in this many of the steps."""


@dataclass(frozen=True)
class Run:
    """One training: its module, its batches, the folder of its weights and log, and its label."""

    module: DiffusionModule
    data: L.LightningDataModule
    folder: Path
    label: str

    def save(self, first: bool = True) -> None:
        """weights.safetensors and log.csv, by the first process."""
        save_weights(self.module.network, self.folder / "weights.safetensors", first)
        if first:
            _join_logs(self.folder)


def fit(runs: Sequence[Run], context: Context, every: int | None = None) -> None:
    """Train what the runs have, and leave log.csv and weights.safetensors, averaged or not, in
    their folders. Training goes on from checkpoints there, bit for bit.

    Several runs share calls and nothing else, and have one recipe. On several devices there is
    one run; each process calls this, and the first one writes.
    every: optimiser steps between validations on the held-out batches of the only run, which
    validation.csv records and training does not notice; None for none.
    Raises CheckpointError if a checkpoint is damaged, RuntimeError if not every step was taken.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*(isinstance.treespec|returned a view tensor).*")
    warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout")
    for run in runs:
        checkpoints.check(run.folder / checkpoints.NAME)
    if context.hardware.devices > 1:
        (run,) = runs
        _fit_divided(run, context, every)
    else:
        with isolation.alone():
            for group in _at_one_step(runs):
                _fit_together(group, context, every)
    for run in runs:  # not before the last is saved: until then each may have to go on
        (run.folder / checkpoints.NAME).unlink(missing_ok=True)


def _at_one_step(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """The runs in groups that stand at the same step, where a kill has set them apart."""
    at = [checkpoints.step(run.folder) if len(runs) > 1 else 0 for run in runs]
    for step in sorted(set(at)):
        yield [run for run, own in zip(runs, at, strict=True) if own == step]


def _fit_together(runs: Sequence[Run], context: Context, every: int | None) -> None:
    modules = [run.module for run in runs]
    together = Together(modules, context.torch_device, _log_every(modules[0].optim))
    _prepare(together.network, context)
    one_each = checkpoints.OneEach([run.folder for run in runs])
    label = runs[0].label + (f" and {len(runs) - 1} in its stack" if len(runs) > 1 else "")
    callbacks = _callbacks(together.optim, runs[0].folder, label, context, every is not None)
    folder = runs[0].folder
    last = folder / checkpoints.NAME
    data = StackedBatches([run.data for run in runs])
    with loggers.opened([run.folder for run in runs], context) as logs:
        trainer = _trainer(together.optim, callbacks, logs, folder, one_each, context, every)
        trainer.fit(together, data, ckpt_path=last if last.exists() else None, weights_only=False)
    _require_all_steps(trainer, together.optim)
    together.finish()
    for run in runs:
        run.save()


def _fit_divided(run: Run, context: Context, every: int | None) -> None:
    """The part of one of several devices."""
    module, optim = run.module, run.module.optim
    _prepare(module.network, context)
    callbacks = _callbacks(optim, run.folder, run.label, context, every is not None)
    averaging: list[Averaging] = []
    if optim.ema is not None:
        averaging.append(Averaging(decay=optim.ema, update_starting_at_step=optim.ema_start))
    last, divided = run.folder / checkpoints.NAME, checkpoints.Divided()
    with loggers.opened([run.folder], context) as logs:
        every_callback = [*averaging, *callbacks]
        trainer = _trainer(optim, every_callback, logs, run.folder, divided, context, every)
        trainer.fit(module, run.data, ckpt_path=last if last.exists() else None)
    _require_all_steps(trainer, optim)
    for callback in averaging:
        # Lightning does so itself unless a resumed run had no step left to take.
        callback.on_train_end(trainer, module)
    run.save(trainer.is_global_zero)


def _require_all_steps(trainer: L.Trainer, optim: Optim) -> None:
    """RuntimeError for a training that something ended early: its weights are not the recipe's."""
    if trainer.global_step != optim.steps:
        raise RuntimeError(
            f"the training ended at step {trainer.global_step} of {optim.steps}: nothing is kept "
            "of it but its last checkpoint"
        )


def _prepare(network: nn.Module, context: Context) -> None:
    if context.hardware.compile:
        compile_blocks(network)
    for part in network.modules():
        if isinstance(part, Trunk | MMDiTNetwork):
            part.checkpoint(context.hardware.checkpointing)


def _callbacks(
    optim: Optim, folder: Path, label: str, context: Context, validating: bool
) -> list[Callback]:
    """A validated run saves after each validation: Lightning would not make up for one that a kill
    cut short behind a checkpoint of the same step."""
    callbacks: list[Callback] = [
        ModelCheckpoint(
            folder,
            filename="last",
            every_n_train_steps=None if validating else max(1, min(5_000, optim.steps // SAVES)),
            every_n_epochs=1 if validating else None,
            save_on_train_epoch_end=False if validating else None,
            enable_version_counter=False,
        )
    ]
    if validating:
        callbacks.append(Curve(folder))
    if context.bar is not None:
        callbacks.append(StageBar(label, context.bar))
    return callbacks


def _join_logs(folder: Path) -> None:
    """log.csv from the logs of every part of the run; a step trained twice counts once."""
    parts = sorted(folder.glob("log-*/metrics.csv"), key=lambda path: int(path.parent.name[4:]))
    parts = [path for path in parts if path.stat().st_size]  # a kill may leave one empty
    if parts:
        log = pd.concat([pd.read_csv(path) for path in parts])
        log.drop_duplicates("step", keep="last").to_csv(folder / "log.csv", index=False)


def _log_every(optim: Optim) -> int:
    return min(50, optim.steps)


def _trainer(
    optim: Optim,
    callbacks: list[Callback],
    logs: list[Logger],
    folder: Path,
    written: checkpoints.WholeCheckpointIO,
    context: Context,
    every: int | None,
) -> L.Trainer:
    return L.Trainer(
        max_steps=optim.steps,
        max_epochs=-1,
        accelerator=context.torch_device.type,
        devices=context.hardware.devices,
        strategy=strategy(context.hardware, optim.precision),
        accumulate_grad_batches=optim.accumulate,
        gradient_clip_val=optim.clip,
        callbacks=callbacks,
        limit_val_batches=0 if every is None else None,
        val_check_interval=None if every is None else every * optim.accumulate,
        check_val_every_n_epoch=1 if every is None else None,
        num_sanity_val_steps=0,
        plugins=[written, *autocast(optim.precision, context.torch_device.type)],
        logger=logs,
        default_root_dir=folder,
        log_every_n_steps=_log_every(optim),
        enable_progress_bar=context.bar is not None,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
