"""A mixture with captions: two clusters, in each the data of two captions; all in closed form.

Guidance and a router that reads the caption have something to do in it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from experiments.hddm.mathematics.mixture import Mixture
from modules.expert import Expert
from modules.objectives import Objective, velocity
from modules.schedules import Schedule
from modules.text import Text

DATA = Mixture(
    torch.tensor([0.4, 0.2, 0.15, 0.25], dtype=torch.float64),
    torch.tensor([[1.2, 0.4], [0.2, 1.4], [-0.7, -1.5], [-1.3, -0.3]], dtype=torch.float64),
    torch.tensor([0.3, 0.4, 0.6, 0.3], dtype=torch.float64),
)
CLUSTER, CAPTION = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
"""Of each component."""


def captions(n: int) -> Text:
    """Both captions, in turns: pooled [n, 1]."""
    which = (torch.arange(n) % 2).double()[:, None]
    return Text.of(which[:, None], which)


def noised(path: Schedule, c: Text, t: float, seed: int) -> Tensor:
    """x_t [n, 2] of data that the captions name."""
    g = torch.Generator().manual_seed(seed)
    n = len(c.pooled)
    component = torch.multinomial(DATA.weight * _among(c, n, None), 1, generator=g).squeeze(1)
    z, eps = (torch.randn(n, 2, generator=g, dtype=torch.float64) for _ in range(2))
    x0 = DATA.centre[component] + DATA.spread[component, None] * z
    return path.noise(x0, eps, torch.full((n,), t, dtype=torch.float64))


def _among(c: Text | None, n: int, cluster: int | None) -> Tensor:
    """The components [n, J] of a cluster, or of all, that a caption names, where one is kept."""
    every = torch.ones_like(CLUSTER, dtype=torch.bool)
    of_cluster = every if cluster is None else every & (cluster == CLUSTER)
    if c is None:
        return of_cluster.expand(n, -1)
    return of_cluster & ((c.pooled == CAPTION) | ~c.keep[:, None])


def expert(cluster: int | None, objective: Objective, schedule: Schedule) -> Expert:
    """The expert of a cluster, or of all the data, with nothing left to learn."""

    def network(x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        among = _among(c, len(x), cluster)
        return objective.target(schedule, *DATA.expectation(schedule, x, t, among), t)

    return Expert(network, objective, schedule)


@dataclass(frozen=True)
class CaptionRouter:
    """p(cluster | x_t, t, c) [B, 2], exactly."""

    path: Schedule

    def __call__(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        p = DATA.posterior(self.path, x, t, _among(c, len(x), None))
        return p @ (CLUSTER[:, None] == torch.arange(2)).double()


@dataclass(frozen=True)
class ExactField:
    """u [B, 2] of the data that the captions name; no expert, router or conversion enters."""

    path: Schedule

    def __call__(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        x0, eps = DATA.expectation(self.path, x, t, _among(c, len(x), None))
        return velocity(self.path, x0, eps, t)
