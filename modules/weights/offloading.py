"""Networks that lie in main memory, or mapped in a file, and are brought to a device when asked."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from modules.text import Text


class Offloaded(nn.Module):
    """A network whose weights are on x's device while it is asked, and never longer.

    `.to(device)` leaves it where it is. Among K experts of a Top-2 the device holds one at a time.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        """y [B, ...] of the network at x [B, ...], t [B]."""
        state = self.network.state_dict()
        here = {name: w.to(x.device, non_blocking=True) for name, w in state.items()}
        answer: Tensor = torch.func.functional_call(self.network, here, (x, t, c))
        return answer

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        return self
