"""The number that a network embeds for a time t in [0, 1].  (HDDM, Eq. 21)

Several maps are in use, and the value of t does not tell which one is meant: it depends on how the
network was trained. A map is therefore part of a network's shape.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.objectives import Objective, Velocity
from modules.schedules import LinearBeta, Schedule

LAST_INDEX = 999
"""The last index of the pretrained DiT's table of 1000 noise levels."""


class TimeMap(ABC):
    """A frozen value that maps a time to the position whose sinusoids are embedded."""

    @abstractmethod
    def __call__(self, t: Tensor) -> Tensor:
        """The position [B], a float from 0 to 1000, of t [B] in [0, 1]."""


@dataclass(frozen=True)
class Thousand(TimeMap):
    """1000 t, not rounded. Paris 1.0 embeds 1000 sigma, the same number on the linear path."""

    def __call__(self, t: Tensor) -> Tensor:
        return 1000 * t


@dataclass(frozen=True)
class Rounded(TimeMap):
    """round(999 t), for flow matching experts initialised from a DiT.  (HDDM, Eq. 21, case 1)"""

    def __call__(self, t: Tensor) -> Tensor:
        return torch.round(LAST_INDEX * t)


@dataclass(frozen=True)
class Index(TimeMap):
    """999 t: index i of `LinearBeta` at t = i / 999.  (HDDM, Eq. 21, case 2)

    It is not rounded: a DiT's sinusoids are continuous in the index.
    """

    def __call__(self, t: Tensor) -> Tensor:
        return LAST_INDEX * t


@dataclass(frozen=True)
class SameNoise(TimeMap):
    """The index at which the pretrained DiT saw the signal-to-noise ratio of `schedule` at t.

    Not in the paper. Eq. 21 keeps t, where the DiT's linear-beta table has another ratio.
    """

    schedule: Schedule

    def __call__(self, t: Tensor) -> Tensor:
        return LAST_INDEX * LinearBeta().time(self.schedule.angle(t))


def dit_time_map(objective: Objective) -> TimeMap:
    """The map of an expert of `objective` that is initialised from a DiT.  (HDDM, Eq. 21)

    Eq. 21 names epsilon and velocity. Experts of x0 and v noise as DDPM does, so they keep the
    DiT's index as epsilon does.
    """
    return Rounded() if isinstance(objective, Velocity) else Index()
