"""One trained expert, and the one question an ensemble asks it: your velocity on my path?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.alignment import Alignment, MatchSNR
from modules.guard import Guard
from modules.objectives import OFF, SINGULAR, Objective, Velocity, refusal, velocity
from modules.schedules import Linear, Schedule, expand
from modules.text import Text

Network = Callable[[Tensor, Tensor, Text | None], Tensor]
"""(x_t [B, ...], t [B], c) -> y [B, ...]"""


@dataclass(frozen=True)
class Expert:
    """A network with the objective and schedule it was trained on."""

    network: Network
    objective: Objective
    schedule: Schedule

    def denoise(
        self,
        x_t: Tensor,
        t: Tensor,
        c: Text | None = None,
        guard: Guard = OFF,
        inverse: Schedule | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The expert's (x0, eps) at a point of its own schedule, x_t [B, ...], t [B].

        inverse: the schedule whose x_t it is taken for; its own where none is given.
        Raises ValueError where the prediction does not determine them and no guard helps: noise
        alone at t = 1, data alone at t = 0.
        """
        inverse = self.schedule if inverse is None else inverse
        t = self._invertible(t, guard, inverse)
        y = self.network(x_t, t, c)
        x0, eps = self.objective.recover(inverse, y, x_t, t, guard)
        return x0 if guard.x0_clip is None else x0.clamp(-guard.x0_clip, guard.x0_clip), eps

    def _invertible(self, t: Tensor, guard: Guard, inverse: Schedule) -> Tensor:
        """t [B], kept by the guard. ValueError where the prediction cannot be inverted even so."""
        t = self.objective.within(t, guard)
        margin = self.objective.determinant(inverse, t, guard).abs()
        if margin.min() < SINGULAR:
            raise ValueError(refusal(self.objective, inverse, float(t[margin.argmin()])))
        return t

    def is_native(self, path: Schedule) -> bool:
        """Whether the network's answer is a velocity on `path` as it stands."""
        return isinstance(self.objective, Velocity) and self.schedule == path

    def check(
        self, t: Tensor, path: Schedule, alignment: Alignment, guard: Guard, native: bool = False
    ) -> None:
        """ValueError if `velocity` on `path` would refuse some of the times t [N]; asks nothing.

        native: the times are those of its own schedule, at which `denoise` is asked.
        """
        if native:
            self._invertible(t, guard, self.schedule)
        elif not self.is_native(path):
            _, t_expert = alignment.expert_input(path, self.schedule, torch.zeros_like(t), t)
            inverse = alignment.inverse_schedule(path, self.schedule)
            self._invertible(t_expert, guard, inverse)

    def velocity(
        self,
        x: Tensor,
        t: Tensor,
        c: Text | None = None,
        path: Schedule = Linear(),
        alignment: Alignment = MatchSNR(),
        guard: Guard = OFF,
    ) -> Tensor:
        """u [B, ...] on `path` at x [B, ...], t [B], whatever the expert predicts.  (HDDM, §2.3)

        A velocity expert on its own path is returned as it is: nothing is converted or guarded.
        """
        if self.is_native(path):
            return self.network(x, t, c)
        x_expert, t_expert = alignment.expert_input(path, self.schedule, x, t)
        inverse = alignment.inverse_schedule(path, self.schedule)
        x0, eps = self.denoise(x_expert, t_expert, c, guard, inverse)
        u = velocity(alignment.velocity_schedule(path, self.schedule), x0, eps, t, guard.difference)
        return expand(guard.damping(t), u) * u
