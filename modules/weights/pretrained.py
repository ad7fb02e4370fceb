"""A network that starts from the weights of one trained on another objective.  (HDDM, §2.6)

What is not taken over stays as the network drew it: `DiT.text_std` and `DiT.head_std` are the
deviations of Eq. 20's new layers. Eq. 21 is `modules.timesteps`; a network that keeps reading what
its source read needs no map.
"""

from dataclasses import dataclass

import torch

from modules.dit import DiTNetwork
from modules.weights.checkpoint import CheckpointError


@dataclass(frozen=True)
class Transfer:
    """What is taken over beside patch embedding, positions, time and blocks. Default: Eq. 20.

    captions: the text projection, the null embedding and the blocks' cross-attention, which an
    ImageNet DiT has not.  head: the final layer, made for the source's own target.
    """

    captions: bool = False
    head: bool = False

    def takes(self, name: str) -> bool:
        """Whether the tensor of this name in a DiTNetwork is taken over.  (HDDM, Eq. 20)"""
        if name.startswith("final."):
            return self.head
        if name == "null" or name.startswith("text.") or ".cross." in name:
            return self.captions
        return name.startswith("trunk.")


def transfer(source: DiTNetwork, target: DiTNetwork, what: Transfer = Transfer()) -> None:
    """Copy into `target` the tensors that `what` takes from `source`; leave the rest as drawn.

    Raises CheckpointError, before anything is copied, for a tensor that the source has not, or has
    in another shape.
    """
    found = source.state_dict()
    wanted = {name: x for name, x in target.state_dict().items() if what.takes(name)}
    bad = [n for n, x in wanted.items() if n not in found or found[n].shape != x.shape]
    if bad:
        raise CheckpointError(f"the source does not have, in this shape: {', '.join(bad)}")
    with torch.no_grad():
        for name, x in wanted.items():
            x.copy_(found[name])
