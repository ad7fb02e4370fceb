"""Models that others trained, by hub name or folder: found on this machine, loaded whole.

Nothing here asks the network. A hub without an answer hangs a job for minutes, and one with an
answer may send other weights than last month's: what is not here is fetched once, by hand, by the
command that the error prints.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch


class WeightsError(RuntimeError):
    """Weights that are absent, damaged or another network's: which, and how to get them."""


def find(name: str, files: Sequence[str]) -> Path:
    """The folder that holds `files` of a hub repository `name`, or of a local folder.

    Raises WeightsError, with the command that fetches them, if they are not all there.
    """
    here = Path(name).expanduser()
    if here.is_dir():
        missing = [file for file in files if not (here / file).is_file()]
        if missing:
            raise WeightsError(f"{here} has no {', '.join(missing)}")
        return here
    if here.is_absolute() or name.startswith((".", "~")):
        raise WeightsError(f"{name} is no folder")
    from huggingface_hub import constants, try_to_load_from_cache  # half a second to import

    cache = constants.HF_HUB_CACHE
    found = [try_to_load_from_cache(name, file, cache_dir=cache) for file in files]
    paths = [Path(path) for path in found if isinstance(path, str)]
    if len(paths) < len(files):
        raise WeightsError(
            f"not all of {', '.join(files)} of {name} is in {cache}: "
            f"hf download {name} {' '.join(files)}"
        )
    return paths[0].parent


@contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' own bars, which belong to no bar of ours."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def precision(device: torch.device) -> torch.dtype:
    """What others' models compute in: bfloat16 on a GPU, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def whole(kind: Any, folder: Path, device: torch.device, kept: torch.dtype | None = None) -> Any:
    """A frozen model of diffusers or transformers, every weight found and every weight used.

    kept: what it computes in, `precision` of the device unless said.
    By default both libraries only warn, and draw at random what is missing. Raises WeightsError,
    naming the keys.
    """
    from safetensors import SafetensorError

    damage = (OSError, RuntimeError, ValueError, KeyError, SafetensorError)
    try:
        with _quietly():
            model, info = kind.from_pretrained(
                folder, local_files_only=True, output_loading_info=True
            )
    except damage as error:
        said = " ".join(str(error).split())[:300]
        raise WeightsError(f"cannot load {kind.__name__} from {folder}: {said}") from error
    # Indices that older versions of transformers saved among the weights.
    unused = [k for k in info["unexpected_keys"] if not k.endswith("position_ids")]
    refuse(folder, info["missing_keys"], unused, info["mismatched_keys"])
    return model.to(device, kept or precision(device)).eval().requires_grad_(False)


def refuse(
    place: Path, missing: Iterable[Any], unused: Iterable[Any], other: Iterable[Any]
) -> None:
    """WeightsError that names the keys, three of each kind, unless there are none.

    other: those of another shape.
    """
    differing = {"missing": missing, "unused": unused, "of another shape": other}
    named = {what: [str(key) for key in keys] for what, keys in differing.items()}
    if any(named.values()):
        said = "; ".join(f"{what}: {', '.join(k[:3])}" for what, k in named.items() if k)
        raise WeightsError(f"{place} holds another architecture: {said}")
