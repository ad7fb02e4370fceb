"""An MM-DiT initialised with the weights of FLUX.1-dev or of an earlier training stage.

(Paris 2.0, §3.1: "initialized only from FLUX.1-dev image weights")
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.mmdit import MMDiTNetwork
from modules.weights.checkpoint import CheckpointError

WIDENED = "x_embedder.weight"
"""May gain the columns of a given first frame. They are initialised to zero, so that the network's
output does not change."""
GUIDANCE = "time_text_embed.guidance_embedder."
"""Reads the scale of FLUX.1-dev's distilled guidance; dropped, since experts are not distilled."""


@dataclass(frozen=True)
class FluxReport:
    """What became of every tensor, by name: copied, copied and widened, or dropped."""

    copied: list[str]
    widened: list[str]
    dropped: list[str]

    def __str__(self) -> str:
        groups = {"copied": self.copied, "widened": self.widened, "left out": self.dropped}
        return "\n".join(f"{what:<9} {name}" for what, names in groups.items() for name in names)


def initialise(tensors: Mapping[str, Tensor], network: MMDiTNetwork, where: str) -> FluxReport:
    """Copy a FluxTransformer2DModel's tensors [...], by diffusers' names, into an expert's network.

    A guidance embedder is dropped. Raises CheckpointError, before anything is copied, for a tensor
    that is missing, of another shape or unused.  where: what the error names.
    """
    own = network.transformer.state_dict()
    dropped = [name for name in tensors if name.startswith(GUIDANCE)]
    given = {name: tuple(x.shape) for name, x in tensors.items() if name not in dropped}
    wanted = {name: tuple(x.shape) for name, x in own.items()}
    plain = (wanted[WIDENED][0], network.shape.width)
    widened = [WIDENED] if given.get(WIDENED) == plain != wanted[WIDENED] else []
    wrong = sorted(
        name for name in given.keys() | wanted.keys()
        if given.get(name) != wanted.get(name) and name not in widened
    )  # fmt: skip
    if wrong:
        raise CheckpointError(f"{where} is another network's: {', '.join(wrong[:5])}")
    with torch.no_grad():
        for name, x in own.items():
            if name in widened:
                x.zero_()
                x[:, : tensors[name].shape[1]] = tensors[name]
            else:
                x.copy_(tensors[name])
    return FluxReport(sorted(own.keys() - set(widened)), widened, sorted(dropped))
