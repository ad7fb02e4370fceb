"""A network that starts from the weights of one trained on another objective.  (HDDM, §2.6)

Tensors that are not copied keep their initialisation: `DiT.text_std` and `DiT.head_std` are the
deviations of Eq. 20's new layers. Eq. 21 is in `modules.timesteps`.
"""

from dataclasses import dataclass

import torch

from modules.dit import DiTNetwork
from modules.weights.checkpoint import CheckpointError


@dataclass(frozen=True)
class Transfer:
    """What is copied besides patch embedding, positions, time and blocks.  (HDDM, Eq. 20)

    captions: the text projection, null embedding and cross-attention. An ImageNet DiT has none.
    head: the final layer, which was trained for the source's own objective.
    """

    captions: bool = False
    head: bool = False

    def takes(self, name: str) -> bool:
        """Whether the tensor of this name in a DiTNetwork is copied."""
        if name.startswith("final."):
            return self.head
        if name == "null" or name.startswith("text.") or ".cross." in name:
            return self.captions
        return name.startswith("trunk.")


def transfer(source: DiTNetwork, target: DiTNetwork, what: Transfer = Transfer()) -> None:
    """Copy the tensors that `what` takes from `source` into `target`; leave the rest unchanged.

    Raises CheckpointError, before anything is copied, if `source` lacks one or has another shape.
    """
    tensors = source.state_dict()
    wanted = {name: x for name, x in target.state_dict().items() if what.takes(name)}
    bad = [n for n, x in wanted.items() if n not in tensors or tensors[n].shape != x.shape]
    if bad:
        raise CheckpointError(f"the source does not have, in this shape: {', '.join(bad)}")
    with torch.no_grad():
        for name, x in wanted.items():
            x.copy_(tensors[name])
