"""How samples are drawn: a solver as a frozen value, over an ensemble's field or one denoiser.

Euler and Heun integrate the ensemble's field along its path. DDIM and Ancestral are native DDPM
sampling: one expert, walked along the schedule it was trained on, with nothing converted. They
begin at the latest time at which the guard lets it be asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from modules import sampling
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guard import Guard
from modules.guidance import Guide, Guided
from modules.sampling import Denoiser, Field, uniform
from modules.schedules import Schedule
from modules.text import Text

Fresh = Callable[[int], Tensor]
"""fresh(i): standard normal noise of step i, shaped as x."""


class Solver(Protocol):
    """(ensemble, c, guidance scale, x at t = 1, steps, fresh noise) -> x at t = 0.

    x: [B, ...].  scale: of guidance, 1 for none.  native: whether an expert is asked along its own
    schedule, not along the ensemble's path.
    """

    native: ClassVar[bool]

    def times(self, expert: Expert, guard: Guard, steps: int) -> Tensor:
        """The times [N] at which this expert is asked."""

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: Guide, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor: ...


def check_asked(ensemble: Ensemble, solver: Solver, steps: int) -> None:
    """ValueError if an expert would be asked at a time at which it cannot be inverted, or along a
    path that the solver cannot follow.

    Nothing is evaluated: which expert may be asked when is what the selection says of a router
    that is sure of it.
    """
    if not solver.native:
        _check_path(ensemble.path)
    for k, expert in enumerate(ensemble.experts):
        t = solver.times(expert, ensemble.guard, steps).float()
        sure = torch.zeros(len(t), len(ensemble.experts))
        sure[:, k] = 1
        asked = t[ensemble.selection.weights(sure, t)[:, k] > 0]
        if len(asked):
            expert.check(asked, ensemble.path, ensemble.alignment, ensemble.guard, solver.native)


def _check_path(path: Schedule) -> None:
    """ValueError for a path whose slope is infinite at the data, where Euler and Heun fall to order
    1/2: half of the last step's noise would be left."""
    if not path.dsigma(torch.zeros((), dtype=torch.float64)).isfinite():
        raise ValueError(
            f"{path} is no path for Euler or Heun, since its sigma' is infinite at t = 0: "
            "sample along another path, or natively"
        )


def guided_field(ensemble: Ensemble, c: Text | None, scale: Guide) -> Field:
    """The ensemble's guided velocity; where the guard says so, of experts that are each guided."""
    _check_path(ensemble.path)
    if ensemble.guard.clip_guided:
        experts = [_guided(expert, scale) for expert in ensemble.experts]
        ensemble, scale = replace(ensemble, experts=experts), 1.0
    guided, captions = Guided(ensemble, scale), None if c is None else c.remembered()
    return lambda x, t: guided(x, t, captions)


def _guided(expert: Expert, scale: Guide) -> Expert:
    """An expert whose predictions are guided, before anything is made of them."""
    return replace(expert, network=Guided(expert.network, scale))


def _denoiser(ensemble: Ensemble, c: Text | None, scale: Guide) -> tuple[Denoiser, Expert]:
    """The one expert's own (x0, eps), guided. ValueError if there are several."""
    if len(ensemble.experts) != 1:
        raise ValueError(
            f"a native sampler walks one expert's schedule, not {len(ensemble.experts)}"
        )
    expert = ensemble.experts[0]
    guided, captions = _guided(expert, scale), None if c is None else c.remembered()
    return lambda x, t: guided.denoise(x, t, captions, ensemble.guard), expert


def own_times(expert: Expert, guard: Guard, steps: int) -> Tensor:
    """A native sampler's grid [steps + 1] in float64, down to 0, within what the guard allows.

    Asked at an earlier time than x has, an expert would answer wrongly, and a native sampler would
    noise again from that answer: the more steps, the more often.
    """
    latest = expert.objective.within(torch.ones((), dtype=torch.float64), guard)
    asked = expert.objective.within(uniform(steps, start=float(latest))[:-1], guard)
    return torch.cat([asked, asked.new_zeros(1)])


def _begun(expert: Expert, noise: Tensor, grid: Tensor) -> Tensor:
    """x [B, ...] at the grid's first time: standard normal noise of that time's level."""
    return expert.schedule.sigma(grid[0].to(noise)) * noise


@dataclass(frozen=True)
class Euler:
    """First order, one evaluation a step."""

    native: ClassVar[bool] = False

    def times(self, expert: Expert, guard: Guard, steps: int) -> Tensor:
        return uniform(steps)[:-1]

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: Guide, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        return sampling.euler(guided_field(ensemble, c, scale), x, uniform(steps))


@dataclass(frozen=True)
class Heun:
    """Second order, two evaluations a step but the last."""

    native: ClassVar[bool] = False

    def times(self, expert: Expert, guard: Guard, steps: int) -> Tensor:
        return uniform(steps)[:-1]

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: Guide, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        return sampling.heun(guided_field(ensemble, c, scale), x, uniform(steps))


@dataclass(frozen=True)
class DDIM:
    """Deterministic native sampling. ValueError for more than one expert."""

    native: ClassVar[bool] = True

    def times(self, expert: Expert, guard: Guard, steps: int) -> Tensor:
        return own_times(expert, guard, steps)[:-1]

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: Guide, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        denoise, expert = _denoiser(ensemble, c, scale)
        grid = own_times(expert, ensemble.guard, steps)
        return sampling.ddim(denoise, expert.schedule, _begun(expert, x, grid), grid)


@dataclass(frozen=True)
class Ancestral:
    """DDPM's own sampler, which adds noise at every step. ValueError for more than one expert.

    Even an exact expert's samples come short of the data's deviation, since noise is added as if
    the predicted x0 were known: of data N(0, 1) by 17 % in 10 steps, 4 % in 50, 1 % in 300.
    """

    native: ClassVar[bool] = True

    def times(self, expert: Expert, guard: Guard, steps: int) -> Tensor:
        return own_times(expert, guard, steps)[:-1]

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: Guide, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        denoise, expert = _denoiser(ensemble, c, scale)
        grid = own_times(expert, ensemble.guard, steps)
        start = _begun(expert, x, grid)
        return sampling.ancestral(denoise, expert.schedule, start, grid, fresh)
