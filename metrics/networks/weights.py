"""Where downloaded networks lie, and one line for a file that does not.

Nothing here asks the network. A hub without an answer hangs a job for minutes, and one with an
answer may send other weights than last month's: files are fetched once, by hand, by the command
that the error prints.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError


class WeightsError(RuntimeError):
    """Weights that are absent, damaged or another network's: which file, and how to get it."""


def torch_file(url: str) -> Path:
    """The file that torch.hub reads in the place of `url`, below TORCH_HOME.

    Raises WeightsError, with the command that puts it there, where it is absent.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.is_file():
        raise WeightsError(f"no weights at {path}: curl -L --create-dirs -o {path} {url}")
    return path


def hub_file(repository: str, names: tuple[str, ...]) -> Path:
    """The first of `names` that Hugging Face's cache, below HF_HOME, holds of a repository.

    Raises WeightsError, with the command that puts it there, where none is.
    """
    from huggingface_hub import constants, try_to_load_from_cache  # half a second to import

    for name in names:
        found = try_to_load_from_cache(repository, name, cache_dir=constants.HF_HUB_CACHE)
        if isinstance(found, str):
            return Path(found)
    raise WeightsError(
        f"no {names[0]} of {repository} in {constants.HF_HUB_CACHE}: "
        f"hf download {repository} {names[0]}"
    )


def folder_file(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of `names` in a folder that the caller filled. WeightsError where none is."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"no {names[0]} in {folder}: download it and put it there")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever a library says of a file cut short, or of another network's, as a WeightsError."""
    damage = (OSError, RuntimeError, ValueError, KeyError, EOFError)
    try:
        yield
    except (*damage, pickle.PickleError, SafetensorError) as error:
        said = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"cannot load {path}: download it again ({type(error).__name__}: {said})"
        ) from error
