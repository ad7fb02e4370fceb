"""Finds the weights of pretrained judges on this machine, with one clear error for a missing file.

Nothing here uses the network. A hub that does not answer hangs a job, and one that answers may send
other weights than last month. Missing files are downloaded once, by hand; the error gives the
command.
"""

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""The variable that torch.load obeys before its own argument."""


class WeightsFileError(RuntimeError):
    """A file of weights is missing, damaged or another network's. Says how to get it."""


def torch_file(url: str) -> Path:
    """The file below TORCH_HOME that torch.hub reads for `url`.

    Raises WeightsFileError, with the command to download it, if it is missing.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.is_file():
        raise WeightsFileError(f"no weights at {path}: curl -L --create-dirs -o {path} {url}")
    return path


def hub_file(repository: str, names: tuple[str, ...]) -> Path:
    """The first of `names` that Hugging Face's cache, below HF_HOME, has of a repository.

    Raises WeightsFileError, with the command to download it, if there is none.
    """
    from huggingface_hub import constants, try_to_load_from_cache  # half a second to import

    for name in names:
        path = try_to_load_from_cache(repository, name, cache_dir=constants.HF_HUB_CACHE)
        if isinstance(path, str):
            return Path(path)
    raise WeightsFileError(
        f"no {names[0]} of {repository} in {constants.HF_HUB_CACHE}: "
        f"hf download {repository} {names[0]}"
    )


def folder_file(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of `names` in a local folder. WeightsFileError if there is none."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise WeightsFileError(f"no {names[0]} in {folder}: download it and put it there")


@contextmanager
def tensors_alone() -> Iterator[None]:
    """torch.load makes nothing but tensors within the block, even where a library says otherwise,
    as torch.hub's loader does by default."""
    before = os.environ.get(FORCED)
    os.environ[FORCED] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FORCED]
        else:
            os.environ[FORCED] = before


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise any library's error about a damaged or wrong file as a WeightsFileError.

    Whatever a library asks for, torch.load makes tensors alone within the block: a pickle that
    would run code is an error.
    """
    damage = (OSError, RuntimeError, ValueError, KeyError, EOFError)
    try:
        with tensors_alone():
            yield
    except (*damage, pickle.PickleError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsFileError(
            f"cannot load {path}: download it again ({type(error).__name__}: {reason})"
        ) from error
