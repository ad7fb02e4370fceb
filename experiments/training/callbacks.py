"""What accompanies a training: the average of divided networks, the curve, bars."""

import sys
from pathlib import Path
from typing import Any, cast

import lightning as L
import pandas as pd
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from torch import nn

from experiments.pipeline.files import write_whole
from experiments.training.strategies import Sharded
from modules.together import Together
from modules.weights.checkpoint import gathered


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
        if isinstance(pl_module, Together):
            metrics["loss"] = pl_module.loss()
        return metrics
