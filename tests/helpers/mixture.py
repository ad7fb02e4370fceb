"""A Gaussian mixture with everything in closed form: what an exact expert and router would say.

Nothing here uses an objective's row, its inverse, a schedule's derivatives or the alignment: the
slopes are autograd's, and the mixture's own velocity comes from the score of its density.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modules.objectives import X0, Epsilon, Objective, V, Velocity
from modules.schedules import Cosine, Linear, LinearBeta, NicholDhariwal, Schedule

SCHEDULES = (Linear(), Cosine(), NicholDhariwal(), LinearBeta())
OBJECTIVES = (X0(), Epsilon(), Velocity(), V())
PAIRS = [(objective, schedule) for objective in OBJECTIVES for schedule in SCHEDULES]


def name(value: object) -> str:
    """A short test id: the class's name."""
    return type(value).__name__


def randn(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slope(f: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """df/dt at each entry of t, by autograd."""
    with torch.enable_grad():
        t = t.detach().requires_grad_()
        return torch.autograd.grad(f(t).sum(), t)[0]


def relative(found: Tensor, exact: Tensor) -> float:
    """|found - exact| / |exact|, of whole tensors."""
    return float((found - exact).norm() / exact.norm())


def predict(objective: Objective, schedule: Schedule, t: Tensor, x0: Tensor, eps: Tensor) -> Tensor:
    """The objective's target, each spelt out: x0, eps [B, d], t [B]."""
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    if isinstance(objective, X0):
        return x0
    if isinstance(objective, Epsilon):
        return eps
    if isinstance(objective, V):
        return alpha * eps - sigma * x0
    return slope(schedule.alpha, t)[:, None] * x0 + slope(schedule.sigma, t)[:, None] * eps


@dataclass(frozen=True)
class Mixture:
    """sum_k weights_k N(means_k, covariances_k): [K], [K, d], [K, d, d]."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def _marginals(self, schedule: Schedule, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [B, K, d] and covariance [B, K, d, d] of x_t in each component."""
        alpha, sigma = schedule.alpha(t)[:, None, None], schedule.sigma(t)[:, None, None, None]
        eye = torch.eye(self.means.shape[1]).to(self.means)
        return alpha * self.means, alpha[..., None] ** 2 * self.covariances + sigma**2 * eye

    def log_joint(self, schedule: Schedule, x: Tensor, t: Tensor) -> Tensor:
        """log p(k) p(x_t | k), [B, K]."""
        mean, covariance = self._marginals(schedule, t)
        normal = torch.distributions.MultivariateNormal(mean, covariance)
        return self.weights.log() + normal.log_prob(x[:, None])

    def posterior(self, schedule: Schedule, x: Tensor, t: Tensor) -> Tensor:
        """p(k | x_t), [B, K]: the exact router."""
        return self.log_joint(schedule, x, t).softmax(dim=1)

    def expectation(
        self, k: int, schedule: Schedule, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """E[x0 | x_t, k] and E[eps | x_t, k], by conditioning the joint Gaussian."""
        mean, covariance = self._marginals(schedule, t)
        white = torch.linalg.solve(covariance[:, k], x - mean[:, k])
        x0 = self.means[k] + schedule.alpha(t)[:, None] * white @ self.covariances[k]
        return x0, schedule.sigma(t)[:, None] * white

    def velocity(self, path: Schedule, x: Tensor, t: Tensor) -> Tensor:
        """u = E[dx/dt | x_t] of the whole mixture, from the score of its density."""

        def log_density(x: Tensor) -> Tensor:
            return self.log_joint(path, x, t).logsumexp(dim=1)

        eps = -path.sigma(t)[:, None] * slope(log_density, x)
        x0 = (x - path.sigma(t)[:, None] * eps) / path.alpha(t)[:, None]
        return slope(path.alpha, t)[:, None] * x0 + slope(path.sigma, t)[:, None] * eps

    def sample(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """x0 [n, d] and the component k [n] of each."""
        g = torch.Generator().manual_seed(seed)
        k = torch.multinomial(self.weights, n, replacement=True, generator=g)
        root = torch.linalg.cholesky(self.covariances)[k]
        z = randn(n, self.means.shape[1], seed=seed + 1)
        return self.means[k] + (root @ z[..., None])[..., 0], k


def mixture() -> Mixture:
    """Four anisotropic components in three dimensions, of unequal weight, well apart."""
    a = randn(4, 3, 3, seed=11) * 0.3
    weights = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    means = 2.0 * torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).double()
    return Mixture(weights, means, a @ a.mT + 0.05 * torch.eye(3).double())


class Optimal(nn.Module):
    """The exact network of component k: E[target | x_t, k] under an objective and schedule."""

    def __init__(self, data: Mixture, k: int, objective: Objective, schedule: Schedule) -> None:
        super().__init__()
        self.data, self.k, self.objective, self.schedule = data, k, objective, schedule

    def forward(self, x: Tensor, t: Tensor, c: object = None) -> Tensor:
        x0, eps = self.data.expectation(self.k, self.schedule, x, t)
        return predict(self.objective, self.schedule, t, x0, eps)


WEIGHT = torch.tensor([0.6, 0.4], dtype=torch.float64)
MEAN = torch.tensor([0.9, -0.7], dtype=torch.float64)
DEVIATION = torch.tensor([0.35, 0.5], dtype=torch.float64)
"""A mixture on the line, whose probability flow has a closed form: every x keeps its quantile."""
BISECTIONS = 80
"""20 / 2^80 is below float64's grain."""


def _standard(schedule: Schedule, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """x [B, 1] less each component's mean at t [B], in its deviations, and these, [B, 2]."""
    alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
    deviation = torch.sqrt((alpha * DEVIATION) ** 2 + sigma**2)
    return (x - alpha * MEAN) / deviation, deviation


def quantile(schedule: Schedule, x: Tensor, t: Tensor) -> Tensor:
    """P(x_t < x), [B, 1]."""
    return (WEIGHT * torch.special.ndtr(_standard(schedule, x, t)[0])).sum(1, keepdim=True)


def flowed(schedule: Schedule, x: Tensor, t: float, s: float = 0.0) -> Tensor:
    """Where the probability flow takes x [B, 1] from t to s: to the same quantile."""
    at, to = (torch.full((len(x),), time, dtype=torch.float64) for time in (t, s))
    wanted = quantile(schedule, x, at)
    low, high = torch.full_like(x, -10), torch.full_like(x, 10)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = quantile(schedule, middle, to) < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


class Whole(nn.Module):
    """The exact network of the whole mixture on the line: E[target | x_t]."""

    def __init__(self, objective: Objective, schedule: Schedule) -> None:
        super().__init__()
        self.objective, self.schedule = objective, schedule

    def forward(self, x: Tensor, t: Tensor, c: object = None) -> Tensor:
        alpha, sigma = self.schedule.alpha(t)[:, None], self.schedule.sigma(t)[:, None]
        z, deviation = _standard(self.schedule, x, t)
        p = (WEIGHT.log() - deviation.log() - z**2 / 2).softmax(1)
        x0 = (p * (MEAN + alpha * DEVIATION**2 / deviation * z)).sum(1, keepdim=True)
        eps = sigma * (p * z / deviation).sum(1, keepdim=True)
        return predict(self.objective, self.schedule, t, x0, eps)
