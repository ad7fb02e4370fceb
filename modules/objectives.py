"""What a network is trained to predict: y = a x0 + b eps, an objective being the row (a, b).

With x_t = alpha x0 + sigma eps every prediction is half of a 2x2 linear system; `recover` solves
it for (x0, eps), the hub through which all conversions go, and `velocity` leaves it for any path.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.guard import Guard
from modules.schedules import Schedule, derivatives, expand

OFF = Guard()


class Objective(ABC):
    """The row (a, b) of y = a x0 + b eps."""

    @abstractmethod
    def row(self, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]: ...

    def determinant(self, schedule: Schedule, t: Tensor) -> Tensor:
        """alpha b - sigma a: where it vanishes, y and x_t do not determine (x0, eps)."""
        a, b = self.row(schedule, t)
        return schedule.alpha(t) * b - schedule.sigma(t) * a

    def within(self, t: Tensor, guard: Guard) -> Tensor:
        """t [B], kept by the guard from where the determinant vanishes, if it does."""
        return t

    def target(self, schedule: Schedule, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """What the network should output for x0, eps [B, ...] at t [B]."""
        a, b = (expand(entry, x0) for entry in self.row(schedule, t))
        return a * x0 + b * eps

    def recover(
        self, schedule: Schedule, y: Tensor, x_t: Tensor, t: Tensor, guard: Guard = OFF
    ) -> tuple[Tensor, Tensor]:
        """(x0, eps) from a prediction y [B, ...] at x_t and t [B], by Cramer's rule."""
        a, b = (expand(entry, y) for entry in self.row(schedule, t))
        alpha, sigma = expand(schedule.alpha(t), y), expand(schedule.sigma(t), y)
        determinant = expand(self.determinant(schedule, t), y)
        return (b * x_t - sigma * y) / determinant, (alpha * y - a * x_t) / determinant


@dataclass(frozen=True)
class X0(Objective):
    """y = x0. The noise is lost where sigma = 0."""

    def within(self, t: Tensor, guard: Guard) -> Tensor:
        return t if guard.t_min is None else t.clamp(min=guard.t_min)

    def row(self, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ones_like(t), torch.zeros_like(t)

    def recover(
        self, schedule: Schedule, y: Tensor, x_t: Tensor, t: Tensor, guard: Guard = OFF
    ) -> tuple[Tensor, Tensor]:
        """x0 is the prediction itself; only eps is solved for."""
        return y, (x_t - expand(schedule.alpha(t), y) * y) / expand(schedule.sigma(t), y)


@dataclass(frozen=True)
class Epsilon(Objective):
    """y = eps, the DDPM objective.  (HDDM, Eq. 3)  The data is lost where alpha = 0."""

    def within(self, t: Tensor, guard: Guard) -> Tensor:
        return t if guard.t_max is None else t.clamp(max=guard.t_max)

    def row(self, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(t), torch.ones_like(t)

    def recover(
        self, schedule: Schedule, y: Tensor, x_t: Tensor, t: Tensor, guard: Guard = OFF
    ) -> tuple[Tensor, Tensor]:
        """x0 = (x_t - sigma eps) / alpha, alpha floored if so guarded.  (HDDM, Eqs. 5, 29)"""
        alpha = schedule.alpha(t)
        if guard.alpha_floor is not None:
            alpha = alpha.clamp(min=guard.alpha_floor)
        return (x_t - expand(schedule.sigma(t), y) * y) / expand(alpha, y), y


@dataclass(frozen=True)
class Velocity(Objective):
    """y = dx/dt = alpha' x0 + sigma' eps; on the linear path eps - x0.  (HDDM, Eq. 4)"""

    def row(self, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
        return schedule.dalpha(t), schedule.dsigma(t)


@dataclass(frozen=True)
class V(Objective):
    """y = alpha eps - sigma x0, the v-parameterisation of Salimans and Ho.  (HDDM, §2.4)"""

    def row(self, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
        return -schedule.sigma(t), schedule.alpha(t)


def x0_weight(objective: Objective, schedule: Schedule, t: Tensor) -> Tensor:
    """w(t) with |y - y*|^2 = w |x0 - x0*|^2 at equal x_t: (determinant / sigma)^2.

    alpha^2 / sigma^2 for Epsilon and 1 / sigma^2 for V on a variance-preserving schedule and for
    Velocity on the linear one.  (HDDM, Prop. 1, Eqs. 9-10)
    """
    return (objective.determinant(schedule, t) / schedule.sigma(t)) ** 2


def velocity(path: Schedule, x0: Tensor, eps: Tensor, t: Tensor, h: float | None = None) -> Tensor:
    """u = alpha' x0 + sigma' eps along `path`, for x0, eps [B, ...] and t [B].  (HDDM, Eq. 7)"""
    dalpha, dsigma = derivatives(path, t, h)
    return expand(dalpha, x0) * x0 + expand(dsigma, x0) * eps
