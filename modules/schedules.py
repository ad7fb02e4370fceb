"""Noise schedules: x_t = alpha(t) x0 + sigma(t) eps, data at t = 0, noise at t = 1.

A schedule is a frozen value. It gives alpha, sigma, their time derivatives and the inverse of its
signal-to-noise ratio, all in closed form. The ratio is stored as the angle
phi = arctan(sigma / alpha), which is finite at both ends: SNR = cot(phi)^2.
"""

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor


def expand(value: Tensor, like: Tensor) -> Tensor:
    """`value` [B] as [B, 1, ..., 1], which broadcasts over `like` [B, ...]."""
    return value.reshape(value.shape + (1,) * (like.dim() - value.dim()))


class Schedule(ABC):
    """The coefficients of a path from data (t = 0) to noise (t = 1).

    Every method is elementwise: it takes a float tensor of any shape, returns the same shape and
    dtype, and raises nothing. Outside [0, 1] the closed forms are simply continued.
    """

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """The coefficient of x0 at t [...]: [...], 1 at t = 0."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """The coefficient of eps at t [...]: [...], 1 at t = 1."""

    @abstractmethod
    def dalpha(self, t: Tensor) -> Tensor:
        """d alpha / dt at t [...]: [...]."""

    @abstractmethod
    def dsigma(self, t: Tensor) -> Tensor:
        """d sigma / dt at t [...]: [...]."""

    @abstractmethod
    def time(self, angle: Tensor) -> Tensor:
        """The t [...] at which arctan(sigma / alpha) equals `angle` [...]: the SNR's inverse."""

    def angle(self, t: Tensor) -> Tensor:
        """arctan(sigma / alpha) at t [...]: [...] in radians, from 0 (data) to pi/2 (noise)."""
        return torch.atan2(self.sigma(t), self.alpha(t))

    def noise(self, x0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
        """x_t = alpha(t) x0 + sigma(t) eps [B, ...] for x0, eps [B, ...], t [B].  (HDDM, Eq. 22)"""
        return expand(self.alpha(t), x0) * x0 + expand(self.sigma(t), x0) * eps


@dataclass(frozen=True)
class Linear(Schedule):
    """alpha = 1 - t, sigma = t: the straight path of flow matching.  (HDDM, Eq. 4)"""

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        return t

    def dalpha(self, t: Tensor) -> Tensor:
        return -torch.ones_like(t)

    def dsigma(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def time(self, angle: Tensor) -> Tensor:
        sine, cosine = torch.sin(angle), torch.cos(angle)
        return sine / (sine + cosine)


@dataclass(frozen=True)
class Cosine(Schedule):
    """alpha = cos(pi t / 2), sigma = sin(pi t / 2).  (HDDM, Eqs. 26-27)"""

    def alpha(self, t: Tensor) -> Tensor:
        return torch.cos(math.pi / 2 * t)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sin(math.pi / 2 * t)

    def dalpha(self, t: Tensor) -> Tensor:
        return -math.pi / 2 * torch.sin(math.pi / 2 * t)

    def dsigma(self, t: Tensor) -> Tensor:
        return math.pi / 2 * torch.cos(math.pi / 2 * t)

    def time(self, angle: Tensor) -> Tensor:
        return 2 / math.pi * angle


@dataclass(frozen=True)
class NicholDhariwal(Schedule):
    """The improved-DDPM cosine, alpha^2 = f(t) / f(0), f(t) = cos^2(pi/2 (t + s) / (1 + s)).

    Nichol and Dhariwal 2021, Eq. 17, as a continuous curve. Their clip of beta at 0.999 is left
    out: it affects the last discrete step only. sigma' is infinite at t = 0.

    offset: their s, which keeps the first steps from being too small.
    """

    offset: float = 0.008

    def _phase(self, t: Tensor) -> Tensor:
        return math.pi / 2 * (t + self.offset) / (1 + self.offset)

    @property
    def _start(self) -> float:
        return math.cos(math.pi / 2 * self.offset / (1 + self.offset))

    def alpha(self, t: Tensor) -> Tensor:
        return (torch.cos(self._phase(t)) / self._start).clamp(max=1.0)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt((1 - self.alpha(t)) * (1 + self.alpha(t)))

    def dalpha(self, t: Tensor) -> Tensor:
        rate = math.pi / 2 / (1 + self.offset)
        return -rate * torch.sin(self._phase(t)) / self._start

    def dsigma(self, t: Tensor) -> Tensor:
        return -self.alpha(t) * self.dalpha(t) / self.sigma(t)

    def time(self, angle: Tensor) -> Tensor:
        phase = torch.arccos(torch.cos(angle) * self._start)
        return 2 / math.pi * (1 + self.offset) * phase - self.offset


@functools.lru_cache
def _linear_beta_table(first: float, last: float, steps: int) -> Tensor:
    """log(alpha^2) [steps] in float64."""
    beta = torch.linspace(first, last, steps, dtype=torch.float64)
    return torch.log1p(-beta).cumsum(0)  # [steps]


@dataclass(frozen=True)
class LinearBeta(Schedule):
    """The linear-beta table of DDPM and of the pretrained DiT: index i is t = i / (steps - 1).

    log(alpha^2) is interpolated linearly between indices, so all forms are closed. The table starts
    at sigma = sqrt(first), not at 0. `time` maps angles outside the table to its nearer end.

    first, last: beta at the first and last index.  steps: entries of the table.
    """

    first: float = 1e-4
    last: float = 0.02
    steps: int = 1000

    def _table(self, like: Tensor) -> Tensor:
        return _linear_beta_table(self.first, self.last, self.steps).to(like)

    def _log_alpha_bar(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """log(alpha^2) [...] at t [...], and its slope in t [...]."""
        table, position = self._table(t), t * (self.steps - 1)
        left = position.floor().clamp(0, self.steps - 2).long()
        step = table[left + 1] - table[left]
        return table[left] + (position - left) * step, step * (self.steps - 1)

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(self._log_alpha_bar(t)[0] / 2)

    def sigma(self, t: Tensor) -> Tensor:
        return torch.sqrt(-torch.expm1(self._log_alpha_bar(t)[0]))

    def dalpha(self, t: Tensor) -> Tensor:
        value, slope = self._log_alpha_bar(t)
        return slope / 2 * torch.exp(value / 2)

    def dsigma(self, t: Tensor) -> Tensor:
        value, slope = self._log_alpha_bar(t)
        return -slope / 2 * torch.exp(value) / torch.sqrt(-torch.expm1(value))

    def time(self, angle: Tensor) -> Tensor:
        table = self._table(angle)
        tiny = torch.finfo(angle.dtype).tiny
        value = 2 * torch.log(torch.cos(angle).clamp(min=tiny))
        right = torch.searchsorted(-table, -value.contiguous()).clamp(1, self.steps - 1)
        fraction = (value - table[right - 1]) / (table[right] - table[right - 1])
        return (right - 1 + fraction.clamp(0, 1)) / (self.steps - 1)


def derivatives(schedule: Schedule, t: Tensor, h: float | None = None) -> tuple[Tensor, Tensor]:
    """(alpha', sigma'), each [...], at t [...].  (HDDM, Eq. 30)

    h: None for the closed form; otherwise the step of a central difference, in units of t. The
    difference evaluates the schedule at t - h and t + h, outside [0, 1] near both ends.
    """
    if h is None:
        return schedule.dalpha(t), schedule.dsigma(t)
    dalpha = (schedule.alpha(t + h) - schedule.alpha(t - h)) / (2 * h)
    dsigma = (schedule.sigma(t + h) - schedule.sigma(t - h)) / (2 * h)
    return dalpha, dsigma
