"""Solvers, from noise at t = 1 to data at t = 0, and the noise they start from.

`euler` and `heun` integrate any field u(x, t). `ddim` and `ancestral` walk a denoiser's own
schedule, as native DDPM sampling does. Every solver takes a decreasing grid of times [N + 1].
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

Field = Callable[[Tensor, Tensor], Tensor]
"""u(x [B, ...], t [B])"""
Denoiser = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x_t [B, ...], t [B]) -> (x0, eps)"""


class AlphaSigma(Protocol):
    def alpha(self, t: Tensor) -> Tensor: ...

    def sigma(self, t: Tensor) -> Tensor: ...


def uniform(steps: int, start: float = 1.0, end: float = 0.0) -> Tensor:
    """A grid of `steps` equal steps, [steps + 1] in float64."""
    return torch.linspace(start, end, steps + 1, dtype=torch.float64)


def _at(time: Tensor, x: Tensor) -> Tensor:
    return time.to(x).expand(len(x))


def euler(u: Field, x: Tensor, grid: Tensor) -> Tensor:
    """x_{t - dt} = x_t - u dt.  (HDDM, §2.3)  First order."""
    for t, s in itertools.pairwise(grid):
        x = x + (s - t).to(x) * u(x, _at(t, x))
    return x


def heun(u: Field, x: Tensor, grid: Tensor) -> Tensor:
    """The trapezoidal rule with an Euler predictor. Second order, two evaluations a step.

    A step that ends in the data, at t = 0, is Euler's: no field is asked there, where an x0 expert
    loses the noise. The order stays.  (Karras et al. 2022, Alg. 1)
    """
    for t, s in itertools.pairwise(grid):
        dt = (s - t).to(x)
        first = u(x, _at(t, x))
        slope = first if s == 0 else (first + u(x + dt * first, _at(s, x))) / 2
        x = x + dt * slope
    return x


def ddim(denoise: Denoiser, schedule: AlphaSigma, x: Tensor, grid: Tensor) -> Tensor:
    """x_s = alpha_s x0 + sigma_s eps, deterministic.  (Song et al. 2021, Eq. 12, eta = 0)"""
    for t, s in itertools.pairwise(grid):
        x0, eps = denoise(x, _at(t, x))
        x = schedule.alpha(s.to(x)) * x0 + schedule.sigma(s.to(x)) * eps
    return x


def ancestral(
    denoise: Denoiser,
    schedule: AlphaSigma,
    x: Tensor,
    grid: Tensor,
    fresh: Callable[[int], Tensor],
) -> Tensor:
    """DDPM's sampler: the posterior q(x_s | x_t, x0) at the predicted x0.  (Ho et al. 2020, Eq. 7)

    fresh(i) is the standard normal noise of step i, shaped as x: the caller owns its seeds.
    """
    for i, (t, s) in enumerate(itertools.pairwise(grid)):
        x0, eps = denoise(x, _at(t, x))
        alpha_t, sigma_t = schedule.alpha(t), schedule.sigma(t)
        alpha_s, sigma_s = schedule.alpha(s), schedule.sigma(s)
        kept = alpha_t / alpha_s * sigma_s**2 / sigma_t
        added = torch.sqrt((sigma_s**2 - kept**2).clamp(min=0))
        x = alpha_s.to(x) * x0 + kept.to(x) * eps + added.to(x) * fresh(i)
    return x


def starting_noise(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Standard normal noise [len(seeds), *shape], each row from its own seed alone.

    A row is the same whatever batch, strategy or device it is sampled in, so that comparisons
    between strategies are paired. Drawn on the CPU in float32.
    """
    rows = [torch.randn(*shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
    return torch.stack(rows)
