"""Weights on disk as safetensors, loaded strictly: an error names every key that differs."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

Shapes = dict[str, tuple[int, ...]]
"""A tensor's shape, by its name."""


class CheckpointError(RuntimeError):
    """Weights that cannot be read, or belong to another network. Names the file and the keys."""


def require_same(given: Shapes, wanted: Shapes, where: str) -> None:
    """Raise CheckpointError, naming every key that differs, unless names and shapes are equal.

    where: what the error names, such as the file.
    """
    differing = {
        "missing": sorted(wanted.keys() - given.keys()),
        "unused": sorted(given.keys() - wanted.keys()),
        "of another shape": sorted(
            f"{key} {list(given[key])} for {list(wanted[key])}"
            for key in wanted.keys() & given.keys()
            if wanted[key] != given[key]
        ),
    }
    if any(differing.values()):
        text = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in differing.items() if keys)
        raise CheckpointError(f"{where} holds another architecture: {text}")


def gathered(x: Tensor) -> Tensor:
    """x [...] itself; of a tensor sharded over devices, the full tensor on the CPU.

    Gathering is collective: every device must call this.
    """
    gather = getattr(x, "full_tensor", None)  # a DTensor, whose import takes seconds
    return x if gather is None else gather().cpu()


def save_weights(network: nn.Module, path: Path, write: bool = True) -> None:
    """Write all parameters and buffers of `network` as safetensors.

    Raises OSError, and CheckpointError for a tensor with a number that is not finite, by name.

    write: False on a device that only contributes its shards.
    """
    state = network.state_dict().items()
    tensors = {name: gathered(x.detach()).cpu().contiguous() for name, x in state}
    for name, x in tensors.items():
        if not bool(torch.isfinite(x).all()):
            raise CheckpointError(f"{name} has numbers that are not finite: the training diverged")
    if write:
        path.write_bytes(save(tensors))  # safetensors' own writer reports a full disk as no OSError


def _read(network: nn.Module, path: Path) -> dict[str, Tensor]:
    """The tensors of `path` by name, mapped from the file, those that the network has.

    Raises CheckpointError as `load_weights` does.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}") from error
    shapes = {name: tuple(x.shape) for name, x in tensors.items()}
    wanted = {name: tuple(x.shape) for name, x in network.state_dict().items()}
    require_same(shapes, wanted, str(path))
    return tensors


def load_weights(network: nn.Module, path: Path) -> None:
    """Load `path` into `network`.

    Raises CheckpointError if the file is damaged or any key is missing, unused or of another shape.
    Nothing is loaded then.
    """
    network.load_state_dict(_read(network, path))


def map_weights(network: nn.Module, path: Path) -> None:
    """Have `network`, built on the meta device, read its weights from `path` as it asks for them.

    A network that nobody asks takes no memory, and pages of one that was asked can be dropped
    again. What is written to a weight stays in this process. Nobody may change the file meanwhile.
    Raises CheckpointError as `load_weights` does.
    """
    kinds = {name: x.dtype for name, x in network.state_dict().items()}
    tensors = {name: x.to(kinds[name]) for name, x in _read(network, path).items()}
    network.load_state_dict(tensors, assign=True)
