"""A mixture of two round Gaussians in the plane, with its optimal networks in closed form."""

from dataclasses import dataclass

import torch
from torch import Tensor

from modules.expert import Expert
from modules.objectives import Objective
from modules.schedules import Schedule
from modules.text import Text

PRIOR = torch.tensor([0.7, 0.3], dtype=torch.float64)
CENTRE = torch.tensor([[1.5, 0.5], [-1.0, -2.0]], dtype=torch.float64)
SPREAD = torch.tensor([0.4, 0.8], dtype=torch.float64)
"""Weight, mean and standard deviation of each component: the data of two clusters."""


def _variance(schedule: Schedule, t: Tensor) -> Tensor:
    """Var of each coordinate of x_t, [B, K]."""
    return (schedule.alpha(t)[:, None] * SPREAD) ** 2 + schedule.sigma(t)[:, None] ** 2


def _log_joint(schedule: Schedule, x: Tensor, t: Tensor) -> Tensor:
    """log p(k) p(x_t | k) up to a constant, [B, K], for x [B, 2]."""
    away = x[:, None] - schedule.alpha(t)[:, None, None] * CENTRE
    variance = _variance(schedule, t)
    return PRIOR.log() - variance.log() - away.square().sum(-1) / (2 * variance)


@dataclass(frozen=True)
class ExactRouter:
    """p(k | x_t, t) of the mixture on a schedule.  (HDDM, Eq. 2, made exact)"""

    schedule: Schedule

    def __call__(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        return _log_joint(self.schedule, x, t).softmax(dim=1)


def expert(k: int, objective: Objective, schedule: Schedule) -> Expert:
    """The expert of component k with nothing left to learn: y = E[a x0 + b eps | x_t, k]."""

    def network(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        white = (x - alpha * CENTRE[k]) / _variance(schedule, t)[:, k : k + 1]
        x0 = CENTRE[k] + alpha * SPREAD[k] ** 2 * white
        return objective.target(schedule, x0, sigma * white, t)

    return Expert(network, objective, schedule)


def marginal_velocity(path: Schedule, x: Tensor, t: Tensor) -> Tensor:
    """u = alpha' E[x0 | x_t] + sigma' E[eps | x_t] of all the data, from the density's gradient.

    No expert, router or conversion enters: E[eps | x_t] = -sigma grad log p(x_t).
    """
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        density = _log_joint(path, point, t).logsumexp(dim=1).sum()
        (score,) = torch.autograd.grad(density, point)
    alpha, sigma = path.alpha(t)[:, None], path.sigma(t)[:, None]
    eps = -sigma * score
    x0 = (x - sigma * eps) / alpha
    return path.dalpha(t)[:, None] * x0 + path.dsigma(t)[:, None] * eps


def points(n: int = 512, first: float = 0.02, last: float = 0.98) -> tuple[Tensor, Tensor]:
    """x [n, 2] where the mixture's samples lie, and t [n] evenly from `first` to `last`."""
    g = torch.Generator().manual_seed(0)
    t = torch.linspace(first, last, n, dtype=torch.float64)
    k = torch.multinomial(PRIOR, n, replacement=True, generator=g)
    x0 = CENTRE[k] + SPREAD[k, None] * torch.randn(n, 2, generator=g, dtype=torch.float64)
    eps = torch.randn(n, 2, generator=g, dtype=torch.float64)
    return (1 - t)[:, None] * x0 + t[:, None] * eps, t


def apart(value: Tensor, exact: Tensor) -> float:
    """|value - exact| / |exact| of whole tensors."""
    return float((value - exact).norm() / exact.norm())
