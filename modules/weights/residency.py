"""Experts that do not fit on a device together: a bounded number of them lies there at once."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from modules.dispatch import Dispatched, Question
from modules.expert import Expert
from modules.text import Text


class Residents:
    """The last `most` experts that were asked stay on the device; the others lie in main memory, or
    mapped in their files. Called by `Dispatched`.

    The selection is known before anything is loaded: what nobody asks is not loaded, and of those
    that are asked the ones that are there come first, so that none is dropped just before its turn.
    brought: how many times an expert was brought.  ValueError unless `most` is at least 1.
    """

    def __init__(self, experts: Sequence[Expert], most: int, device: torch.device) -> None:
        if most < 1:
            raise ValueError(f"at least one expert must be resident, not {most}")
        networks = [expert.network for expert in experts]
        assert all(isinstance(network, nn.Module) for network in networks)
        self.experts, self.most, self.device = list(experts), most, device
        self.states: OrderedDict[int, dict[str, Tensor]] = OrderedDict()
        self.brought = 0

    def __call__(
        self, ensemble: Dispatched, questions: Mapping[int, Question]
    ) -> dict[int, Tensor]:
        """Velocities [M, ...] by expert."""
        there = [k for k in questions if k in self.states]
        order = [*there, *(k for k in questions if k not in self.states)]
        return {k: ensemble.velocity(self._resident(k), questions[k]) for k in order}

    def _resident(self, k: int) -> Expert:
        """The expert with its weights on the device; whoever was asked longest ago makes room."""
        network = self.experts[k].network
        assert isinstance(network, nn.Module)
        if k not in self.states:
            while len(self.states) >= self.most:
                self.states.popitem(last=False)
            state = network.state_dict()
            self.states[k] = {n: w.to(self.device, copy=True) for n, w in state.items()}
            self.brought += 1
        self.states.move_to_end(k)
        here = self.states[k]

        def asked(x: Tensor, t: Tensor, c: Text | None) -> Tensor:
            answer: Tensor = torch.func.functional_call(network, here, (x, t, c))
            return answer

        return replace(self.experts[k], network=asked)
