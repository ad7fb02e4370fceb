"""How samples are drawn: a solver as a frozen value, over an ensemble's field or one denoiser.

Euler and Heun integrate the ensemble's field along its path. DDIM and Ancestral are native DDPM
sampling: one expert, walked along the schedule it was trained on, with nothing converted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from modules import sampling
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guidance import Guided
from modules.sampling import Denoiser, Field, uniform
from modules.text import Text

Fresh = Callable[[int], Tensor]
"""fresh(i): standard normal noise of step i, shaped as x."""


class Solver(Protocol):
    """(ensemble, c, guidance scale, x at t = 1, steps, fresh noise) -> x at t = 0.

    x: [B, ...].  scale: of guidance, 1 for none.  native: whether an expert is asked along its own
    schedule, not along the ensemble's path.
    """

    native: ClassVar[bool]

    def times(self, steps: int) -> Tensor:
        """The times [N] at which experts are asked."""

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: float, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor: ...


def check_asked(ensemble: Ensemble, solver: Solver, steps: int) -> None:
    """ValueError if an expert would be asked at a time at which it cannot be inverted.

    Nothing is evaluated: which expert may be asked when is what the selection says of a router
    that is sure of it.
    """
    t = solver.times(steps).float()
    for k, expert in enumerate(ensemble.experts):
        sure = torch.zeros(len(t), len(ensemble.experts))
        sure[:, k] = 1
        asked = t[ensemble.selection.weights(sure, t)[:, k] > 0]
        if len(asked):
            expert.check(asked, ensemble.path, ensemble.alignment, ensemble.guard, solver.native)


def _field(ensemble: Ensemble, c: Text | None, scale: float) -> Field:
    guided = Guided(ensemble, scale)
    return lambda x, t: guided(x, t, c)


def _denoiser(ensemble: Ensemble, c: Text | None, scale: float) -> tuple[Denoiser, Expert]:
    """The one expert's own (x0, eps), guided. ValueError if there are several."""
    if len(ensemble.experts) != 1:
        raise ValueError(
            f"a native sampler walks one expert's schedule, not {len(ensemble.experts)}"
        )
    expert = ensemble.experts[0]
    guided = Expert(Guided(expert.network, scale), expert.objective, expert.schedule)
    return lambda x, t: guided.denoise(x, t, c, ensemble.guard), expert


@dataclass(frozen=True)
class Euler:
    """First order, one evaluation a step."""

    native: ClassVar[bool] = False

    def times(self, steps: int) -> Tensor:
        return uniform(steps)[:-1]

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: float, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        return sampling.euler(_field(ensemble, c, scale), x, uniform(steps))


@dataclass(frozen=True)
class Heun:
    """Second order, two evaluations a step."""

    native: ClassVar[bool] = False

    def times(self, steps: int) -> Tensor:
        return uniform(steps)

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: float, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        return sampling.heun(_field(ensemble, c, scale), x, uniform(steps))


@dataclass(frozen=True)
class DDIM:
    """Deterministic native sampling. ValueError for more than one expert."""

    native: ClassVar[bool] = True

    def times(self, steps: int) -> Tensor:
        return uniform(steps)[:-1]

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: float, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        denoise, expert = _denoiser(ensemble, c, scale)
        return sampling.ddim(denoise, expert.schedule, x, uniform(steps))


@dataclass(frozen=True)
class Ancestral:
    """DDPM's own sampler, which adds noise at every step. ValueError for more than one expert."""

    native: ClassVar[bool] = True

    def times(self, steps: int) -> Tensor:
        return uniform(steps)[:-1]

    def draw(
        self, ensemble: Ensemble, c: Text | None, scale: float, x: Tensor, steps: int, fresh: Fresh
    ) -> Tensor:
        denoise, expert = _denoiser(ensemble, c, scale)
        return sampling.ancestral(denoise, expert.schedule, x, uniform(steps), fresh)
