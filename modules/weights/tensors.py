"""Weights too large to hold twice: tensors by name, each read from its file when it is asked for.

One safetensors file, or several with Hugging Face's index; or PyTorch's .bin files with such an
index, as Colossal-AI writes them, of which nothing is executed.
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


@dataclass(frozen=True)
class Tensors(Mapping[str, Tensor]):
    """files: an open file, by the name of each tensor in it.  prefix: of all names, taken off."""

    files: Mapping[str, Any]
    prefix: str = ""

    def __getitem__(self, name: str) -> Tensor:
        whole = self.prefix + name
        file = self.files[whole]
        found: Tensor = file[whole] if isinstance(file, dict) else file.get_tensor(whole)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self.prefix) for name in self.files)

    def __len__(self) -> int:
        return len(self.files)


def shapes(tensors: Mapping[str, Tensor]) -> Shapes:
    """Of every tensor, held one at a time."""
    return {name: tuple(x.shape) for name, x in tensors.items()}


def _opened(path: Path) -> tuple[Any, list[str]]:
    """The file and its names. CheckpointError if it cannot be read or holds more than tensors."""
    try:
        if path.suffix == ".safetensors":
            file = safe_open(path, "pt")
            return file, list(file.keys())
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(x, Tensor) for x in found.values()):
        raise CheckpointError(f"{path} holds more than tensors by name")
    return found, list(found)


def parts(place: Path) -> list[Path]:
    """The files of a checkpoint: a file, those that a folder's index names, or its only one.

    CheckpointError, naming what is missing.
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
        said = ", ".join(path.name for path in indices or files) or "none"
        raise CheckpointError(
            f"{place} must hold one file of weights or an index; there is: {said}"
        )
    return files


def stored(place: Path) -> Tensors:
    """All tensors of a checkpoint, without what a wrapper put before all their names.

    CheckpointError if a file is missing or damaged, or a tensor lies in two.
    """
    files: dict[str, Any] = {}
    for path in parts(place):
        file, names = _opened(path)
        twice = files.keys() & set(names)
        if twice:
            raise CheckpointError(f"{path} holds again {', '.join(sorted(twice)[:5])}")
        files |= dict.fromkeys(names, file)
    prefix = (p for p in WRAPPERS if all(name.startswith(p) for name in files))
    return Tensors(files, next(prefix, ""))
