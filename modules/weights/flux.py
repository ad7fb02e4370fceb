"""An MM-DiT begun with another's weights: FLUX.1-dev's, or an earlier stage's own, key by key.

(Paris 2.0, §3.1: "initialized only from FLUX.1-dev image weights")
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.mmdit import MMDiTNetwork
from modules.weights.checkpoint import CheckpointError

WIDENED = "x_embedder.weight"
"""May gain columns, those of a given first frame, which begin at zero: until they are trained the
network answers as before."""
GUIDANCE = "time_text_embed.guidance_embedder."
"""What FLUX.1-dev reads the scale of its distilled guidance with; experts are not distilled."""


@dataclass(frozen=True)
class Begun:
    """What became of every tensor, by name."""

    copied: list[str]
    widened: list[str]
    left: list[str]

    def __str__(self) -> str:
        said = {"copied": self.copied, "widened": self.widened, "left out": self.left}
        return "\n".join(f"{what:<9} {name}" for what, names in said.items() for name in names)


def begin(found: Mapping[str, Tensor], network: MMDiTNetwork, where: str) -> Begun:
    """Copy a FluxTransformer2DModel's tensors, by diffusers' names, into the expert's.

    CheckpointError, before anything is copied, for a tensor that is missing, of another shape, or
    of no use; a guidance embedder is left out. where: what the error names.
    """
    own = network.transformer.state_dict()
    left = [name for name in found if name.startswith(GUIDANCE)]
    taken = {name: tuple(x.shape) for name, x in found.items() if name not in left}
    wanted = {name: tuple(x.shape) for name, x in own.items()}
    plain = (wanted[WIDENED][0], network.shape.width)
    widened = [WIDENED] if taken.get(WIDENED) == plain != wanted[WIDENED] else []
    wrong = sorted(
        name for name in taken.keys() | wanted.keys()
        if taken.get(name) != wanted.get(name) and name not in widened
    )  # fmt: skip
    if wrong:
        raise CheckpointError(f"{where} is another network's: {', '.join(wrong[:5])}")
    with torch.no_grad():
        for name, x in own.items():
            if name in widened:
                x.zero_()
                x[:, : found[name].shape[1]] = found[name]
            else:
                x.copy_(found[name])
    return Begun(sorted(own.keys() - set(widened)), widened, sorted(left))
