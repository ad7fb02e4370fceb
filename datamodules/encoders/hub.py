"""Pretrained models for encoders, by hub name or folder: found on this machine, loaded strictly.

Nothing here uses the network. A hub that does not answer hangs a job, and one that answers may send
other weights than last month. Missing files are downloaded once, by hand; the error gives the
command.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


class HubWeightsError(RuntimeError):
    """An encoder's weights are missing, damaged or another network's. Says how to get them."""


def find_files(name: str, files: Sequence[str]) -> Path:
    """The folder with `files`: the local folder `name`, or the cache of the hub repository `name`.

    Raises HubWeightsError, with the command to download them, if a file is missing.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            raise HubWeightsError(f"{folder} has no {', '.join(missing)}")
        return folder
    if folder.is_absolute() or name.startswith((".", "~")):
        raise HubWeightsError(f"{name} is no folder")
    from huggingface_hub import constants, try_to_load_from_cache  # half a second to import

    cache = constants.HF_HUB_CACHE
    cached = [try_to_load_from_cache(name, file, cache_dir=cache) for file in files]
    paths = [Path(path) for path in cached if isinstance(path, str)]
    if len(paths) < len(files):
        raise HubWeightsError(
            f"not all of {', '.join(files)} of {name} is in {cache}: "
            f"hf download {name} {' '.join(files)}"
        )
    return paths[0].parent


@contextmanager
def _quietly() -> Iterator[None]:
    """Hide transformers' progress bars."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def compute_dtype(device: torch.device) -> torch.dtype:
    """The dtype in which pretrained models compute: bfloat16 on a GPU, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def load_model(
    kind: Any, folder: Path, device: torch.device, dtype: torch.dtype | None = None
) -> Any:
    """A frozen model of diffusers or transformers.

    kind: its class.  dtype: in which it computes; None for `compute_dtype`.
    Raises HubWeightsError, naming the keys, unless every weight is found and used. By default
    both libraries only warn, and initialise missing weights at random.
    """
    from safetensors import SafetensorError

    damage = (OSError, RuntimeError, ValueError, KeyError, SafetensorError)
    try:
        with _quietly():
            model, info = kind.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
    except damage as error:
        reason = " ".join(str(error).split())[:300]
        raise HubWeightsError(f"cannot load {kind.__name__} from {folder}: {reason}") from error
    # Older versions of transformers saved position indices among the weights.
    unused = [k for k in info["unexpected_keys"] if not k.endswith("position_ids")]
    check_keys(folder, info["missing_keys"], unused, info["mismatched_keys"])
    return model.to(device, dtype or compute_dtype(device)).eval().requires_grad_(False)


def check_keys(
    place: Path, missing: Iterable[Any], unused: Iterable[Any], reshaped: Iterable[Any]
) -> None:
    """Raise HubWeightsError, naming three keys of each kind, if there are any.

    reshaped: keys of another shape.
    """
    differing = {"missing": missing, "unused": unused, "of another shape": reshaped}
    named = {what: [str(key) for key in keys] for what, keys in differing.items()}
    if any(named.values()):
        text = "; ".join(f"{what}: {', '.join(k[:3])}" for what, k in named.items() if k)
        raise HubWeightsError(f"{place} holds another architecture: {text}")
