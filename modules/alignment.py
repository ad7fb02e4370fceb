"""How an expert trained on one schedule is asked about a point on another path.

The papers ask at the same time t, which gives a cosine-trained expert inputs of a norm and noise
level it never saw (off by up to sqrt 2 at t = 0.5). Matching the signal-to-noise ratio is exact.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modules.schedules import Schedule, expand


class Alignment(Protocol):
    def ask(
        self, path: Schedule, schedule: Schedule, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(x', t') to give an expert of `schedule` for x [B, ...], t [B] on `path`."""

    def leave(self, path: Schedule, schedule: Schedule) -> Schedule:
        """The schedule whose derivatives turn the expert's (x0, eps) into a velocity."""


@dataclass(frozen=True)
class MatchSNR:
    """x' and t' of equal signal-to-noise ratio, so that x' is what the expert saw in training.

    From the linear path to a cosine expert: t' = (2/pi) atan2(t, 1 - t), x' = x / |(1 - t, t)|.
    """

    def ask(
        self, path: Schedule, schedule: Schedule, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        if schedule == path:
            return x, t
        t_expert = schedule.time(path.angle(t))
        there = torch.hypot(schedule.alpha(t_expert), schedule.sigma(t_expert))
        here = torch.hypot(path.alpha(t), path.sigma(t))
        return expand(there / here, x) * x, t_expert

    def leave(self, path: Schedule, schedule: Schedule) -> Schedule:
        return path


@dataclass(frozen=True)
class SameTime:
    """x' = x, t' = t: HDDM §2.3 read literally.

    The paper leaves open whose alpha', sigma' enter Eq. 7: the sampling path's, or with
    `own_derivatives` those of the expert's schedule.
    """

    own_derivatives: bool = False

    def ask(
        self, path: Schedule, schedule: Schedule, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        return x, t

    def leave(self, path: Schedule, schedule: Schedule) -> Schedule:
        return schedule if self.own_derivatives else path
