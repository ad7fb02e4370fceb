"""The numerical safeguards of HDDM, each a field of one frozen value, all off by default.

They act on converted predictions alone: a flow-matching expert on its own path is never touched.
The paper states two dampings that exclude each other (§6.2 and §8.3.4); both are here, literally.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

LAST = 0.95
"""The latest time of its own schedule at which a corrected expert is asked. An error of eps becomes
sigma / alpha times as large in x0: 13 times at 0.95, 32 times at 0.98 (Table 3 has both). Literal
readings floor alpha instead (Eq. 29). `make tuning` has what it was chosen by, on pictures that no
table scores; Table 3 has its effect apart from that of the alignment."""


class Damping(Protocol):
    def __call__(self, t: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class NoDamping:
    """s(t) = 1."""

    def __call__(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)


@dataclass(frozen=True)
class LogisticDamping:
    """s(t) = min(1, 15 / (1 + exp(10 (t - 0.85)))) for t > 0.85, else 1.  (HDDM, §6.2)

    As printed it never acts: the quotient falls from 7.5 to 2.74 on (0.85, 1], so s is always 1.
    """

    def __call__(self, t: Tensor) -> Tensor:
        s = (15.0 / (1 + torch.exp(10 * (t - 0.85)))).clamp(max=1.0)
        return torch.where(t > 0.85, s, torch.ones_like(t))


@dataclass(frozen=True)
class StepDamping:
    """s(t) = 0.88 for t > 0.85, 0.93 for 0.6 < t <= 0.85, 0.96 below.  (HDDM, Eq. 31)"""

    def __call__(self, t: Tensor) -> Tensor:
        low, middle, high = (torch.full_like(t, s) for s in (0.96, 0.93, 0.88))
        return torch.where(t > 0.85, high, torch.where(t > 0.6, middle, low))


@dataclass(frozen=True)
class Guard:
    """What may be done to a converted prediction.

    x0_clip: clamp x0 to [-r, r] (Eq. 28).  clip_guided: clamp the guided x0, not that of either
    half of guidance, so that an expert has the same weight in both.
    alpha_floor: divide by max(alpha, floor) (Eq. 29).
    difference: step h of finite-difference schedule derivatives (Eq. 30); None uses closed forms.
    damping: s(t), which multiplies the velocity.
    t_max: the latest time of its own schedule at which an Epsilon expert is asked, t_min the
    earliest for an X0 expert. One loses the data at t = 1, the other the noise at t = 0; velocities
    lose neither, and are never bounded.
    """

    x0_clip: float | None = None
    alpha_floor: float | None = None
    difference: float | None = None
    damping: Damping = NoDamping()
    t_min: float | None = None
    t_max: float | None = None
    clip_guided: bool = False

    @classmethod
    def paper_6_2(cls, x0_clip: float = 20.0) -> "Guard":
        """§2.3 with the damping of §6.2; Eq. 28 clips at 20 for VAE latents, at 5 for pixels."""
        return cls(x0_clip, alpha_floor=0.01, damping=LogisticDamping())

    @classmethod
    def paper_8_3_4(cls, x0_clip: float = 20.0) -> "Guard":
        """§8.3 whole; Eq. 28 clips at 20 for VAE latents and at 5 for pixels."""
        return cls(x0_clip, alpha_floor=0.01, difference=1e-4, damping=StepDamping())
