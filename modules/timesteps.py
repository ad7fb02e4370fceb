"""The number that a network embeds for a time t in [0, 1].  (HDDM, Eq. 21)

Three readings are in use, and t = 0 and t = 1 are in the domain of each: only what the network was
trained on can tell which is meant, never the value of t. A map is therefore part of its shape.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.objectives import Objective, Velocity
from modules.schedules import LinearBeta, Schedule

LAST = 999
"""The last index of the pretrained DiT's table of 1000 noise levels."""


class TimeMap(ABC):
    """t [B] in [0, 1] -> the position [B] whose sinusoids are embedded."""

    @abstractmethod
    def __call__(self, t: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Thousand(TimeMap):
    """1000 t, not rounded. Paris 1.0 reads 1000 sigma, the same number on the linear path."""

    def __call__(self, t: Tensor) -> Tensor:
        return 1000 * t


@dataclass(frozen=True)
class Rounded(TimeMap):
    """round(999 t), of flow matching experts begun with a DiT.  (Eq. 21, first case)"""

    def __call__(self, t: Tensor) -> Tensor:
        return torch.round(LAST * t)


@dataclass(frozen=True)
class Index(TimeMap):
    """999 t: index i where t = i / 999, as `LinearBeta` counts.  (Eq. 21, second case)

    Between grid times it is no integer, and a DiT's sinusoids are continuous in it.
    """

    def __call__(self, t: Tensor) -> Tensor:
        return LAST * t


@dataclass(frozen=True)
class SameNoise(TimeMap):
    """The index at which the pretrained DiT saw the signal-to-noise ratio of `schedule` at t.

    Not in the paper: Eq. 21 keeps t, at which the DiT's linear-beta table has another ratio.
    """

    schedule: Schedule

    def __call__(self, t: Tensor) -> Tensor:
        return LAST * LinearBeta().time(self.schedule.angle(t))


def eq_21(objective: Objective) -> TimeMap:
    """The map of an expert begun with a DiT. Objectives of DDPM's family keep the index.

    Eq. 21 names epsilon and velocity; x0 and v experts noise as DDPM does, and are read with it.
    """
    return Rounded() if isinstance(objective, Velocity) else Index()
