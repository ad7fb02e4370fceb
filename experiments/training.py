"""One training run under Lightning: EMA, checkpoints, logs, bars, and going on after a kill."""

import io
import logging
import sys
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

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

from datamodules.latents import Latents
from experiments.files import write_whole
from experiments.identity import Context
from modules.checkpoint import CheckpointError, save_weights
from modules.training import DiffusionModule

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


class StageBar(TQDMProgressBar):
    """Lightning's bar on this process's own row, named after the stage, gone when it is done."""

    def __init__(self, label: str, row: int) -> None:
        super().__init__(refresh_rate=20)
        self.label, self.row = label, row

    def init_train_tqdm(self) -> Tqdm:
        return Tqdm(
            desc=self.label, position=self.row, leave=False, dynamic_ncols=True, file=sys.stderr
        )

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
    module: DiffusionModule, folder: Path, label: str, context: Context
) -> list[Callback]:
    optim = module.optim
    callbacks: list[Callback] = [
        ModelCheckpoint(
            folder,
            filename="last",
            every_n_train_steps=max(1, min(5_000, optim.steps // SAVES)),
            enable_version_counter=False,
        )
    ]
    if optim.ema is not None:
        callbacks.append(
            EMAWeightAveraging(decay=optim.ema, update_starting_at_step=optim.ema_start)
        )
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


def fit(module: DiffusionModule, data: Latents, folder: Path, label: str, context: Context) -> None:
    """Train `module` and leave weights.safetensors (averaged, if so asked) and log.csv in `folder`.

    A checkpoint found in `folder` is gone on from, bit for bit. Raises CheckpointError if it is
    damaged.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    warnings.filterwarnings("ignore", message=".*isinstance.treespec.*")
    last = folder / "last.ckpt"
    if last.exists() and _damaged(last):
        raise CheckpointError(f"{last} is damaged; delete it to train from the start")
    optim = module.optim
    callbacks = _callbacks(module, folder, label, context)
    trainer = L.Trainer(
        max_steps=optim.steps,
        max_epochs=-1,
        accelerator=context.torch_device.type,
        accumulate_grad_batches=optim.accumulate,
        devices=1,
        gradient_clip_val=optim.clip,
        callbacks=callbacks,
        plugins=[WholeCheckpointIO()],
        logger=_loggers(folder, context),
        log_every_n_steps=min(50, optim.steps),
        enable_progress_bar=context.bar is not None,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, data, ckpt_path=last if last.exists() else None)
    for callback in callbacks:
        if isinstance(callback, EMAWeightAveraging):
            # Lightning does so itself unless a resumed run had no step left to take.
            callback.on_train_end(trainer, module)
    save_weights(module.network, folder / "weights.safetensors")
    _join_logs(folder)
    last.unlink(missing_ok=True)
