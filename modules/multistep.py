"""Multistep solvers on the linear path, by diffusers' schedulers.

They take one evaluation a step, and use the past ones again. Their variable is the logarithm of
alpha / sigma, which has no end at t = 1: they begin just below, with the noise of that level.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guard import Guard
from modules.guidance import Guide
from modules.schedules import Linear
from modules.solvers import Fresh, guided_field
from modules.text import Text

FLOW: dict[str, Any] = {
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "solver_order": 2,
}
"""A scheduler of velocities: its sigmas [steps + 1], which fall to 0, are our times."""


class Multistep(ABC):
    """A solver that a scheduler of diffusers is the rule of."""

    native: ClassVar[bool] = False
    first: ClassVar[float]
    """Its latest time: at 1 the logarithm has no end."""

    @abstractmethod
    def grid(self, steps: int) -> Tensor:
        """The scheduler's times [steps], were there an evaluation at t = 1."""

    @abstractmethod
    def made(self) -> Any:
        """The scheduler. diffusers takes seconds to import, and few samples need it."""

    def scheduler(self, steps: int) -> Any:
        """The scheduler, at the first of so many steps."""
        scheduler = self.made()
        scheduler.set_timesteps(steps)
        scheduler.set_begin_index(0)
        return scheduler

    def times(self, expert: Expert, guard: Guard, steps: int) -> Tensor:
        """The times [steps] at which experts are asked: the scheduler's, without importing it, for
        a stage asks for them when it is described."""
        return self.grid(steps).clamp(max=self.first).float().double()

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: Guide, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        """x [B, ...] at t = 0. ValueError on another path than the linear one, whose velocities
        the schedulers read."""
        if ensemble.path != Linear():
            raise ValueError(f"a multistep solver follows the linear path, not {ensemble.path}")
        u, scheduler = guided_field(ensemble, c, scale), self.scheduler(steps)
        x = scheduler.sigmas[0].to(x) * x
        for t, index in zip(scheduler.sigmas[:-1], scheduler.timesteps, strict=True):
            (x,) = scheduler.step(u(x, t.to(x).expand(len(x))), index, x, return_dict=False)
        return x


@dataclass(frozen=True)
class DPMSolver(Multistep):
    """DPM-Solver++ (2M), from t = 0.999.  (Lu et al. 2022, Alg. 2)  Its first and last steps are of
    first order."""

    first: ClassVar[float] = 0.999

    def grid(self, steps: int) -> Tensor:
        return torch.linspace(self.first, 0, steps + 1, dtype=torch.float64)[:-1]

    def made(self) -> Any:
        from diffusers import DPMSolverMultistepScheduler

        return DPMSolverMultistepScheduler(**FLOW)


@dataclass(frozen=True)
class UniPC(Multistep):
    """UniPC of second order, from t = 1 - 1e-6: a multistep predictor whose every step the next
    evaluation corrects.  (Zhao et al. 2023)"""

    first: ClassVar[float] = 1 - 1e-6

    def grid(self, steps: int) -> Tensor:
        return torch.linspace(1, 1e-3, steps + 1, dtype=torch.float64)[:-1]

    def made(self) -> Any:
        from diffusers import UniPCMultistepScheduler

        return UniPCMultistepScheduler(**FLOW)
