"""Weights too large to hold twice: a tensor is read from its file when it is accessed.

Reads one safetensors file, several with Hugging Face's index, or PyTorch's .bin files with such an
index, as Colossal-AI writes them. Nothing in the files is executed.
"""

import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from modules.weights.checkpoint import CheckpointError, Shapes

SUFFIXES = (".safetensors", ".bin", ".pt")
WRAPPERS = ("model.diffusion_model.", "model.", "module.")
"""Prefixes that training wrappers put before all names."""


@dataclass(frozen=True)
class LazyTensors(Mapping[str, Tensor]):
    """{name: tensor [...]}, each read on access.

    files: the open file that holds each tensor, by the tensor's full name.
    prefix: of all full names; it is left out of the names here.
    """

    files: Mapping[str, Any]
    prefix: str = ""

    def __getitem__(self, name: str) -> Tensor:
        full_name = self.prefix + name
        file = self.files[full_name]
        x: Tensor = file[full_name] if isinstance(file, dict) else file.get_tensor(full_name)
        return x

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self.prefix) for name in self.files)

    def __len__(self) -> int:
        return len(self.files)


def shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    """The shape of every tensor [...]. Holds one at a time."""
    return {name: tuple(x.shape) for name, x in tensors.items()}


def _opened(path: Path) -> tuple[Any, list[str]]:
    """The open file and the names in it.

    Raises CheckpointError if it cannot be read or holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            file = safe_open(path, "pt")
            return file, list(file.keys())
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}") from error
    if not isinstance(tensors, dict) or not all(isinstance(x, Tensor) for x in tensors.values()):
        raise CheckpointError(f"{path} holds more than tensors by name")
    return tensors, list(tensors)


def checkpoint_files(place: Path) -> list[Path]:
    """The files of a checkpoint: `place` itself, those in a folder's index, or its only file.

    Raises CheckpointError, naming what is missing.
    """
    if place.is_file():
        return [place]
    indices = sorted(place.glob("*.index.json"))
    if len(indices) == 1:
        try:
            names = sorted(set(json.loads(indices[0].read_text())["weight_map"].values()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"cannot read {indices[0]}: {error!r}") from error
        lost = [name for name in names if not (place / name).is_file()]
        if lost:
            raise CheckpointError(f"{place} has no {', '.join(lost)}, which its index names")
        return [place / name for name in names]
    files = sorted(path for path in place.glob("*") if path.suffix in SUFFIXES)
    if len(indices) > 1 or len(files) != 1:
        listed = ", ".join(path.name for path in indices or files) or "none"
        raise CheckpointError(
            f"{place} must hold one file of weights or an index; there is: {listed}"
        )
    return files


def open_tensors(place: Path) -> LazyTensors:
    """All tensors [...] of a checkpoint, by name, without a wrapper's prefix.

    Raises CheckpointError if a file is missing or damaged, or a tensor stands in two files.
    """
    files: dict[str, Any] = {}
    for path in checkpoint_files(place):
        file, names = _opened(path)
        duplicates = files.keys() & set(names)
        if duplicates:
            raise CheckpointError(f"{path} holds again {', '.join(sorted(duplicates)[:5])}")
        files |= dict.fromkeys(names, file)
    prefix = (p for p in WRAPPERS if all(name.startswith(p) for name in files))
    return LazyTensors(files, next(prefix, ""))
