"""Where a training's numbers go, through Lightning's own loggers: CSV always, others by option."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger

from experiments.pipeline.store import Context

PROJECT = "heterogeneous-ddm"
"""In Weights & Biases, unless WANDB_PROJECT names another."""


@contextmanager
def opened(folders: Sequence[Path], context: Context) -> Iterator[list[Logger]]:
    """The loggers of trainings that share calls: of each kind one a folder, kind after kind."""
    with ExitStack() as ended:
        each = [_of(folder, context, ended) for folder in folders]
        yield [log for kind in zip(*each, strict=True) for log in kind]


def _of(folder: Path, context: Context, ended: ExitStack) -> list[Logger]:
    part = len(list(folder.glob("log-*")))
    loggers: list[Logger] = [CSVLogger(folder, name="", version=f"log-{part}")]
    if context.tensorboard:
        root = context.store.root / "tensorboard"
        loggers.append(TensorBoardLogger(root, name=folder.name, version=""))
    if context.wandb:
        loggers.append(ended.enter_context(_wandb(folder.name, context.store.root)))
    return loggers


@contextmanager
def _wandb(name: str, root: Path) -> Iterator[WandbLogger]:
    """A run of Weights & Biases, below the store's `wandb/`, which ends with the block.

    One that goes on after a kill has the same id. WANDB_MODE=offline sends nothing.
    """
    import wandb

    quiet = wandb.Settings(silent=True, console="off")
    # A process trains several at once, and one after the other: each is a run of its own.
    alone: dict[str, Any] = {"reinit": "create_new", "settings": quiet}
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    logger = WandbLogger(name, root / "wandb", project=project, version=name, **alone)
    failed = 1
    try:
        yield logger
        failed = 0
    finally:
        logger.experiment.finish(failed)  # of the first process; the others have none
