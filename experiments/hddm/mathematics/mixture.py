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


@dataclass(frozen=True)
class Mixture:
    """sum_j weight_j N(centre_j, spread_j^2) in the plane: [J], [J, 2], [J]."""

    weight: Tensor
    centre: Tensor
    spread: Tensor

    def _variance(self, schedule: Schedule, t: Tensor) -> Tensor:
        """Var of each coordinate of x_t, [B, J]."""
        return (schedule.alpha(t)[:, None] * self.spread) ** 2 + schedule.sigma(t)[:, None] ** 2

    def log_joint(self, schedule: Schedule, x: Tensor, t: Tensor) -> Tensor:
        """log p(j) p(x_t | j) up to a constant, [B, J], for x [B, 2]."""
        away = x[:, None] - schedule.alpha(t)[:, None, None] * self.centre
        variance = self._variance(schedule, t)
        return self.weight.log() - variance.log() - away.square().sum(-1) / (2 * variance)

    def posterior(self, schedule: Schedule, x: Tensor, t: Tensor, among: Tensor) -> Tensor:
        """p(j | x_t), [B, J], of those components that `among` [B, J] has."""
        return self.log_joint(schedule, x, t).masked_fill(~among, -torch.inf).softmax(1)

    def expectation(
        self, schedule: Schedule, x: Tensor, t: Tensor, among: Tensor
    ) -> tuple[Tensor, Tensor]:
        """E[x0 | x_t] and E[eps | x_t], [B, 2], of those components that `among` [B, J] has."""
        alpha, sigma = schedule.alpha(t)[:, None, None], schedule.sigma(t)[:, None, None]
        white = (x[:, None] - alpha * self.centre) / self._variance(schedule, t)[..., None]
        x0 = self.centre + alpha * self.spread[:, None] ** 2 * white
        p = self.posterior(schedule, x, t, among)[..., None]
        return (p * x0).sum(1), (p * sigma * white).sum(1)


DATA = Mixture(PRIOR, CENTRE, SPREAD)


@dataclass(frozen=True)
class ExactRouter:
    """p(k | x_t, t) of the mixture on a schedule.  (HDDM, Eq. 2, made exact)"""

    schedule: Schedule

    def __call__(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        return DATA.log_joint(self.schedule, x, t).softmax(dim=1)


def expert(k: int, objective: Objective, schedule: Schedule) -> Expert:
    """The expert of component k with nothing left to learn: y = E[a x0 + b eps | x_t, k]."""

    def network(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        own = (torch.arange(len(PRIOR)) == k).expand(len(x), -1)
        return objective.target(schedule, *DATA.expectation(schedule, x, t, own), t)

    return Expert(network, objective, schedule)


def marginal_velocity(path: Schedule, x: Tensor, t: Tensor) -> Tensor:
    """u = alpha' E[x0 | x_t] + sigma' E[eps | x_t] of all the data, from the density's gradient.

    No expert, router or conversion enters: E[eps | x_t] = -sigma grad log p(x_t).
    """
    with torch.enable_grad():
        point = x.detach().requires_grad_()
        density = DATA.log_joint(path, point, t).logsumexp(dim=1).sum()
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
