"""What a training leaves behind so that a killed one goes on: written whole, checked, one each."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning_utilities import apply_to_collection
from torch import Tensor

from experiments.pipeline.files import write_whole
from modules.weights.checkpoint import CheckpointError

NAME = "last.ckpt"
SEAL = hashlib.sha256().digest_size
"""Bytes behind what torch writes, which reads past them: its SHA-256. The archive's own checksums
leave headers out."""
PART = 1 << 20
GO_ON = "go on with as many as then, or delete it to train from the start"


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
        content.write(hashlib.sha256(content.getbuffer()).digest())
        write_whole(Path(path), content.getbuffer(), part=Path(f"{path}.part"))


class Divided(WholeCheckpointIO):
    """The checkpoint of a training that several devices share."""

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        checkpoint = super().load_checkpoint(path, map_location, weights_only)
        if _in_rows(checkpoint):
            raise CheckpointError(f"{path} was left by one device: {GO_ON}")
        return checkpoint


class OneEach(WholeCheckpointIO):
    """A checkpoint of E trainings as one of each, in its own folder: any of them goes on from there
    by itself, or beside others at the same step.

    What lies in rows [E, P] is divided, by row; all else is the same for all.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        super().__init__()
        self.folders = list(folders)

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        for i, folder in enumerate(self.folders):
            super().save_checkpoint(_row(checkpoint, i), folder / NAME, storage_options)

    def load_checkpoint(
        self, path: str | Path, map_location: Any | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        parts = [
            super(OneEach, self).load_checkpoint(folder / NAME, map_location, weights_only)
            for folder in self.folders
        ]
        for part, folder in zip(parts, self.folders, strict=True):
            if not _in_rows(part):
                raise CheckpointError(f"{folder / NAME} was left by several devices: {GO_ON}")
        return _joined(parts)


def _in_rows(checkpoint: dict[str, Any]) -> bool:
    """Whether it is of a training on one device, as `Together.state_dict` has it."""
    return checkpoint["state_dict"].keys() == {"weights", "average"}


def _row(value: Any, i: int) -> Any:
    """Row i of every matrix in `value`, as a matrix of one row of its own memory."""
    return apply_to_collection(value, Tensor, lambda x: x[i : i + 1].clone() if x.ndim == 2 else x)


def _joined(parts: Sequence[Any]) -> Any:
    """The matrices of all parts as one; what is no matrix, of the first."""
    first = parts[0]
    if isinstance(first, Tensor) and first.ndim == 2:
        return torch.cat(list(parts))
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts]) for key in first}
    if isinstance(first, list):
        return [_joined(list(items)) for items in zip(*parts, strict=True)]
    return first


def check(checkpoint: Path) -> None:
    """CheckpointError unless the digest behind it is its own; nothing if there is none."""
    if not checkpoint.exists():
        return
    digest, left = hashlib.sha256(), checkpoint.stat().st_size - SEAL
    with open(checkpoint, "rb") as file:
        while part := file.read(min(max(left, 0), PART)):
            digest.update(part)
            left -= len(part)
        if file.read() != digest.digest():
            raise CheckpointError(f"{checkpoint} is damaged; delete it to train from the start")


def step(folder: Path) -> int:
    """The optimiser step of the checkpoint in a folder; 0 if there is none."""
    path = folder / NAME
    if not path.exists():
        return 0
    return int(torch.load(path, map_location="cpu", weights_only=False, mmap=True)["global_step"])
