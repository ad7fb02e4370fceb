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
SINGULAR = 1e-5
"""A determinant below this makes an error of 1e-5 in the prediction one of order 1."""


class Objective(ABC):
    """The row (a, b) of y = a x0 + b eps."""

    @abstractmethod
    def row(self, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
        """(a, b), each of t's shape, which may depend on the schedule."""

    def determinant(self, schedule: Schedule, t: Tensor, guard: Guard = OFF) -> Tensor:
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

    def determinant(self, schedule: Schedule, t: Tensor, guard: Guard = OFF) -> Tensor:
        """alpha, floored if so guarded.  (HDDM, Eq. 29)"""
        alpha = schedule.alpha(t)
        return alpha if guard.alpha_floor is None else alpha.clamp(min=guard.alpha_floor)

    def recover(
        self, schedule: Schedule, y: Tensor, x_t: Tensor, t: Tensor, guard: Guard = OFF
    ) -> tuple[Tensor, Tensor]:
        """x0 = (x_t - sigma eps) / alpha, alpha floored if so guarded.  (HDDM, Eqs. 5, 29)"""
        alpha = self.determinant(schedule, t, guard)
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


def singular_times(objective: Objective, schedule: Schedule) -> list[float]:
    """The t in [0, 1] at which the determinant vanishes, crossing zero or touching it.

    Every least |determinant| of a grid is looked at more closely, to 1e-9 in t.
    """
    width, grid = 1e-3, torch.linspace(0, 1, 1001, dtype=torch.float64)
    lowest = _lowest(objective.determinant(schedule, grid).abs())
    times = []
    for t in grid[lowest].tolist():
        for zoom in (width, 1e-3 * width, 1e-6 * width):
            near = torch.linspace(max(0, t - zoom), min(1, t + zoom), 2001, dtype=torch.float64)
            size = objective.determinant(schedule, near).abs()
            t = float(near[size.nan_to_num(nan=torch.inf).argmin()])
        if size.min() < SINGULAR:
            times.append(t)
    return times


def _lowest(size: Tensor) -> Tensor:
    """Whether each of [N] is below its left neighbour and not above its right one."""
    beyond = torch.full((1,), torch.inf, dtype=size.dtype)
    padded = torch.cat([beyond, size, beyond])
    return (size < padded[:-2]) & (size <= padded[2:])


def refusal(objective: Objective, schedule: Schedule, t: float) -> str:
    """Why a prediction at t is refused, in one line that names the row, and what guard helps."""
    a, b = (float(x) for x in objective.row(schedule, torch.tensor(t, dtype=torch.float64)))
    guards = _guards(objective, schedule, t)
    advice = f": give Guard {' or '.join(guards)}" if guards else ", and no guard helps"
    return (
        f"{objective} on {schedule} cannot be inverted at t = {t:.6g}, where its row "
        f"(a, b) = ({a:.4g}, {b:.4g}) tells nothing beyond x_t{advice}"
    )


def _guards(objective: Objective, schedule: Schedule, t: float) -> list[str]:
    """The guards that keep the objective from being inverted at t."""
    at = torch.tensor(t, dtype=torch.float64)
    each = {
        "a t_max": Guard(t_max=t - 0.01),
        "a t_min": Guard(t_min=t + 0.01),
        "an alpha_floor": Guard(alpha_floor=0.01),
    }
    return [
        name
        for name, guard in each.items()
        if objective.determinant(schedule, objective.within(at, guard), guard).abs() >= SINGULAR
    ]


def check_invertible(objective: Objective, schedule: Schedule) -> None:
    """ValueError, before anything trains, if the objective is useless at some t that is asked.

    A zero of the determinant that a guard covers is left to whoever samples, and so is one at
    t = 0, at which Euler's steps do not ask.
    """
    with torch.device("cpu"):  # a network may be built on the meta device
        for t in singular_times(objective, schedule):
            if t > 0 and not _guards(objective, schedule, t):
                raise ValueError(refusal(objective, schedule, t))


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
