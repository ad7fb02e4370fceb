"""One training run under Lightning: EMA, checkpoints, logs, bars, and going on after a kill."""

import io
import logging
import sys
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any, cast

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins import TorchCheckpointIO
from torch import nn

from experiments.pipeline.files import write_whole
from experiments.pipeline.store import Context
from experiments.training.strategies import Sharded, autocast, strategy
from modules.dit import Trunk
from modules.mmdit import MMDiTNetwork
from modules.training import DiffusionModule, Optim
from modules.weights.checkpoint import CheckpointError, gathered, save_weights

SAVES = 5
"""Checkpoints in a run: what a kill can cost is one part in this many of the steps."""


class WholeCheckpointIO(TorchCheckpointIO):
    """Checkpoints written beside their place and renamed: a kill leaves the last one as it was.

    Lightning's own writer goes through the system's temporary folder, and moving from there to
    another file system is a copy, which a kill can cut short.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        content = io.BytesIO()  # torch's own writer reports a full disk as no OSError
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getbuffer(), part=Path(f"{path}.part"))


class Averaging(EMAWeightAveraging):
    """Lightning's average, validated on only where it has begun: until then it is what the network
    was before its first step, and the network itself is validated. It lies where the network does,
    and is divided as it is."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if isinstance(trainer.strategy, Sharded):
            assert self._average_model is not None
            trainer.strategy.shard(cast(nn.Module, self._average_model.module.network))

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        checkpoint["state_dict"] = {k: gathered(x) for k, x in checkpoint["state_dict"].items()}

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._begun(trainer):
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._begun(trainer):
            super().on_validation_epoch_end(trainer, pl_module)

    def _begun(self, trainer: L.Trainer) -> bool:
        return trainer.global_step > (self.update_starting_at_step or 0)


class Curve(Callback):
    """validation.csv: a line `step,loss` for every validation, once if it is made again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "validation.csv"

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        step, loss = trainer.global_step, trainer.callback_metrics["validation"].item()
        known = read_curve(self.path) if self.path.exists() else pd.DataFrame()
        if len(known):
            known = known[known["step"] < step]
        whole = pd.concat([known, pd.DataFrame({"step": [step], "loss": [loss]})])
        write_whole(self.path, whole.to_csv(index=False).encode(), Path(f"{self.path}.part"))


def read_curve(path: Path) -> pd.DataFrame:
    """step and loss of every validation, in order, as they were written to the last bit."""
    return pd.read_csv(path, float_precision="round_trip")


class StageBar(TQDMProgressBar):
    """Lightning's bar on this process's own row, named after the stage, gone when it is done."""

    def __init__(self, label: str, row: int) -> None:
        super().__init__(refresh_rate=20)
        self.label, self.row = label, row

    def init_train_tqdm(self) -> Tqdm:
        return Tqdm(
            desc=self.label, position=self.row, leave=False, dynamic_ncols=True, file=sys.stderr
        )

    def init_validation_tqdm(self) -> Tqdm:
        return Tqdm(disable=True)

    def on_train_epoch_start(self, trainer: L.Trainer, *_: object) -> None:
        super().on_train_epoch_start(trainer)
        self.train_progress_bar.set_description(self.label)

    def get_metrics(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


def _callbacks(
    module: DiffusionModule, folder: Path, label: str, context: Context, validating: bool
) -> list[Callback]:
    """A validated run saves after each validation: Lightning would not make up for one that a kill
    cut short behind a checkpoint of the same step."""
    optim = module.optim
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
    if optim.ema is not None:
        callbacks.append(Averaging(decay=optim.ema, update_starting_at_step=optim.ema_start))
    if validating:
        callbacks.append(Curve(folder))
    if context.bar is not None:
        callbacks.append(StageBar(label, context.bar))
    return callbacks


def _loggers(folder: Path, context: Context) -> list[Logger]:
    part = len(list(folder.glob("log-*")))
    loggers: list[Logger] = [CSVLogger(folder, name="", version=f"log-{part}")]
    if context.tensorboard:
        root = context.store.root / "tensorboard"
        loggers.append(TensorBoardLogger(root, name=folder.name, version=""))
    return loggers


def _join_logs(folder: Path) -> None:
    """log.csv from the logs of every part of the run; a step trained twice counts once."""
    parts = sorted(folder.glob("log-*/metrics.csv"), key=lambda path: int(path.parent.name[4:]))
    if parts:
        log = pd.concat([pd.read_csv(path) for path in parts])
        log.drop_duplicates("step", keep="last").to_csv(folder / "log.csv", index=False)


def _damaged(checkpoint: Path) -> bool:
    """Whether any part of the archive fails its checksum."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is not None
    except (zipfile.BadZipFile, EOFError, zlib.error):
        return True


def _trainer(
    optim: Optim, callbacks: list[Callback], folder: Path, context: Context, every: int | None
) -> L.Trainer:
    return L.Trainer(
        max_steps=optim.steps,
        max_epochs=-1,
        accelerator=context.torch_device.type,
        devices=context.hardware.devices,
        strategy=strategy(context.hardware),
        accumulate_grad_batches=optim.accumulate,
        gradient_clip_val=optim.clip,
        callbacks=callbacks,
        limit_val_batches=0 if every is None else None,
        val_check_interval=None if every is None else every * optim.accumulate,
        check_val_every_n_epoch=1 if every is None else None,
        num_sanity_val_steps=0,
        plugins=[WholeCheckpointIO(), *autocast(optim.precision, context.torch_device.type)],
        logger=_loggers(folder, context),
        log_every_n_steps=min(50, optim.steps),
        enable_progress_bar=context.bar is not None,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def fit(
    module: DiffusionModule,
    data: L.LightningDataModule,
    folder: Path,
    label: str,
    context: Context,
    every: int | None = None,
) -> None:
    """Train `module` and leave log.csv and weights.safetensors, averaged or not, in `folder`.

    On several devices each process calls it, and the first one writes. Training goes on from a
    checkpoint in `folder`, bit for bit.
    label: of the progress bar.  every: optimiser steps between validations on `data.heldout`, which
    validation.csv records and training does not notice; None for none.
    Raises CheckpointError if the checkpoint is damaged.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*(isinstance.treespec|returned a view tensor).*")
    last = folder / "last.ckpt"
    if last.exists() and _damaged(last):
        raise CheckpointError(f"{last} is damaged; delete it to train from the start")
    for part in module.network.modules():
        if isinstance(part, Trunk | MMDiTNetwork):
            part.checkpoint(context.hardware.checkpointing)
            if context.hardware.compile:
                part.compile_blocks()
    callbacks = _callbacks(module, folder, label, context, every is not None)
    trainer = _trainer(module.optim, callbacks, folder, context, every)
    trainer.fit(module, data, ckpt_path=last if last.exists() else None)
    for callback in callbacks:
        if isinstance(callback, Averaging):
            # Lightning does so itself unless a resumed run had no step left to take.
            callback.on_train_end(trainer, module)
    save_weights(module.network, folder / "weights.safetensors", trainer.is_global_zero)
    if trainer.is_global_zero:
        _join_logs(folder)
        last.unlink(missing_ok=True)
