"""Weights on disk: safetensors, loaded strictly, every differing key named."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

Shapes = dict[str, tuple[int, ...]]


class CheckpointError(RuntimeError):
    """Weights that cannot be read, or are another network's. Names the file and the keys."""


def require_same(found: Shapes, wanted: Shapes, where: str) -> None:
    """CheckpointError, naming every key, unless names and shapes are the same."""
    differing = {
        "missing": sorted(wanted.keys() - found.keys()),
        "unused": sorted(found.keys() - wanted.keys()),
        "of another shape": sorted(
            f"{key} {list(found[key])} for {list(wanted[key])}"
            for key in wanted.keys() & found.keys()
            if wanted[key] != found[key]
        ),
    }
    if any(differing.values()):
        said = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in differing.items() if keys)
        raise CheckpointError(f"{where} holds another architecture: {said}")


def whole(x: Tensor) -> Tensor:
    """The tensor itself; of one that lies in parts on several devices all of it, on the CPU: they
    must all ask for it."""
    gather = getattr(x, "full_tensor", None)  # a DTensor, whose import takes seconds
    return x if gather is None else gather().cpu()


def save_weights(network: nn.Module, path: Path, write: bool = True) -> None:
    """All parameters and buffers of `network`, as safetensors. OSError if it cannot write.

    write: false on a device that only gives its part of them.
    """
    state = network.state_dict().items()
    tensors = {name: whole(x.detach()).cpu().contiguous() for name, x in state}
    if write:
        path.write_bytes(save(tensors))  # safetensors' own writer reports a full disk as no OSError


def load_weights(network: nn.Module, path: Path) -> None:
    """Load `path` into `network`.

    Raises CheckpointError if the file is damaged, or if any key is missing, unused or of another
    shape; nothing is loaded then.
    """
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}") from error
    shapes = {name: tuple(x.shape) for name, x in found.items()}
    wanted = {name: tuple(x.shape) for name, x in network.state_dict().items()}
    require_same(shapes, wanted, str(path))
    network.load_state_dict(found)
