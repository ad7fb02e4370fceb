"""Densities of t beyond the usual: parts of the times, and min-SNR, as a density and as a weight.

A weight w(t) on the loss and a density of t in proportion to w have the same expected gradient, up
to a factor: what differs is how much it varies from batch to batch. All is on the linear path.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from modules.denoising import FlowMatchingExpert
from modules.schedules import expand
from modules.text import Text
from modules.training import Posed


@dataclass(frozen=True)
class Between:
    """t uniform from `low` to `high`, for an expert that is asked there alone.

    Raises ValueError unless 0 <= low < high <= 1.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"times from {self.low:g} to {self.high:g}: 0 <= low < high <= 1")

    def draw(self, n: int, g: torch.Generator) -> Tensor:
        return self.low + (self.high - self.low) * torch.rand(n, generator=g)


@dataclass(frozen=True)
class MinSNR:
    """t in proportion to `weight`, for a velocity expert on the linear path.

    Hang et al. 2023 weigh the squared error of x0 by min(SNR, most). A velocity's error is that of
    x0 over sigma^2, hence its weight is min(SNR, most) sigma^2 = min((1 - t)^2, most t^2).
    """

    most: float = 5.0

    @property
    def peak(self) -> float:
        """The t at which SNR is `most`, and the weight largest."""
        return 1 / (1 + self.most**0.5)

    @property
    def _mass(self) -> float:
        """The integral of min((1 - t)^2, most t^2) over [0, 1]."""
        return (self.most * self.peak**3 + (1 - self.peak) ** 3) / 3

    def weight(self, t: Tensor) -> Tensor:
        """The weight [...] of the velocity's squared error at t [...]; 1 on average."""
        return torch.minimum((1 - t) ** 2, self.most * t**2) / self._mass

    def draw(self, n: int, g: torch.Generator) -> Tensor:
        """By the inverse of its distribution, cubic on either side of the peak."""
        u = 3 * self._mass * torch.rand(n, generator=g, dtype=torch.float64)
        below = u <= self.most * self.peak**3
        right = (3 * self._mass - u).clamp(min=0) ** (1 / 3)
        return torch.where(below, (u / self.most) ** (1 / 3), 1 - right).float()


class MinSNRExpert(FlowMatchingExpert):
    """Velocity on the linear path, its squared error weighed by `MinSNR.weight`."""

    weighed: ClassVar[MinSNR] = MinSNR()

    def noised(self, x0: Tensor, t: Tensor, eps: Tensor, c: Text) -> Posed:
        """Beside the target [B, 1, ...] stands each sample's weight [B, 1, ...], for `judged`."""
        asked = super().noised(x0, t, eps, c)
        weight = expand(self.weighed.weight(t), x0).expand_as(x0)
        return Posed(asked.x_t, asked.t, c, torch.stack([asked.target, weight], 1))

    def judged(self, y: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The weighed squared error, its mean over a sample's pixels."""
        aim, weight = target.unbind(1)
        return {"loss": (weight * (y - aim).square()).flatten(1).mean(1)}
