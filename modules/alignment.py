"""How a point on the sampling path becomes the input of an expert trained on another schedule.

The papers keep the time t. A cosine-trained expert then gets inputs whose norm and noise level it
never saw in training (off by up to sqrt 2 at t = 0.5). Matching the signal-to-noise ratio is exact.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from modules.schedules import Schedule, expand
from modules.timesteps import LAST_INDEX


class Alignment(Protocol):
    """A frozen value: what an expert reads, and how its answer becomes a velocity on the path."""

    def expert_input(
        self, path: Schedule, schedule: Schedule, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(x' [B, ...], t' [B]) for an expert of `schedule`, of x [B, ...], t [B] on `path`."""

    def inverse_schedule(self, path: Schedule, schedule: Schedule) -> Schedule:
        """The schedule whose alpha and sigma turn a prediction into (x0, eps).  (HDDM, Eq. 5)"""

    def velocity_schedule(self, path: Schedule, schedule: Schedule) -> Schedule:
        """The schedule whose derivatives turn the expert's (x0, eps) into u.  (HDDM, Eq. 7)"""


@dataclass(frozen=True)
class MatchSNR:
    """x' and t' of equal signal-to-noise ratio: x' is distributed as the expert's training inputs.

    From the linear path to a cosine expert: t' = (2/pi) atan2(t, 1 - t), x' = x / |(1 - t, t)|.
    """

    def expert_input(
        self, path: Schedule, schedule: Schedule, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(x' [B, ...], t' [B]) for x [B, ...], t [B]; unchanged if the schedules are equal."""
        if schedule == path:
            return x, t
        t_expert = schedule.time(path.angle(t))
        expert_norm = torch.hypot(schedule.alpha(t_expert), schedule.sigma(t_expert))
        path_norm = torch.hypot(path.alpha(t), path.sigma(t))
        return expand(expert_norm / path_norm, x) * x, t_expert

    def inverse_schedule(self, path: Schedule, schedule: Schedule) -> Schedule:
        return schedule

    def velocity_schedule(self, path: Schedule, schedule: Schedule) -> Schedule:
        return path


@dataclass(frozen=True)
class SameTime:
    """x' = x, t' = t: HDDM §2.3 read literally.

    own_derivatives: Eq. 7 uses alpha' and sigma' of the expert's schedule; otherwise those of the
    sampling path.  path_inverse: Eq. 5 uses alpha and sigma of the sampling path, so that Eq. 8
    holds as a whole; otherwise those of the expert's schedule. The paper leaves both open.
    """

    own_derivatives: bool = False
    path_inverse: bool = False

    def expert_input(
        self, path: Schedule, schedule: Schedule, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """x [B, ...] and t [B], unchanged."""
        return x, t

    def inverse_schedule(self, path: Schedule, schedule: Schedule) -> Schedule:
        return path if self.path_inverse else schedule

    def velocity_schedule(self, path: Schedule, schedule: Schedule) -> Schedule:
        return schedule if self.own_derivatives else path


@dataclass(frozen=True)
class WholeIndex:
    """As `of` has it, but at the nearest of the expert's times i / 999.  (HDDM, Eq. 21, case 2)

    A DDPM expert has the indices {0, …, 999}; §2.6 says nothing of what lies between them. x' is
    that of the time between.
    """

    of: Alignment

    def expert_input(
        self, path: Schedule, schedule: Schedule, x: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(x' [B, ...], t' [B]) for x [B, ...], t [B], whatever the path."""
        x_expert, t_expert = self.of.expert_input(path, schedule, x, t)
        return x_expert, torch.round(LAST_INDEX * t_expert) / LAST_INDEX

    def inverse_schedule(self, path: Schedule, schedule: Schedule) -> Schedule:
        return self.of.inverse_schedule(path, schedule)

    def velocity_schedule(self, path: Schedule, schedule: Schedule) -> Schedule:
        return self.of.velocity_schedule(path, schedule)
