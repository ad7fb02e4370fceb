"""Classifier-free guidance: a velocity field made from another."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.schedules import expand
from modules.selection import EDGE
from modules.text import Text

Field = Callable[[Tensor, Tensor, Text | None], Tensor]
"""A velocity field: (x [B, ...], t [B], c) -> u [B, ...]."""


@dataclass(frozen=True)
class Within:
    """Guidance of a scale at times from `low` to `high`; none outside.  (Kynkäänniemi et al. 2024)

    Raises ValueError unless 0 <= low <= high <= 1.
    """

    scale: float
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(
                f"guidance from t = {self.low:g} to {self.high:g}: 0 <= low <= high <= 1"
            )

    def covers(self, t: Tensor) -> Tensor:
        """Whether there is guidance at t [B]."""
        return (t >= self.low - EDGE) & (t <= self.high + EDGE)


Guide = float | Within
"""A scale of guidance, at all times or within some; 1 is none."""


@dataclass(frozen=True)
class Guided:
    """u = u_null + scale (u_c - u_null).  (Ho and Salimans 2022)

    Both halves are one call of the field, with every row twice; without guidance, which is of scale
    1, there is no null half. An ensemble routes each half by its own condition: a text-aware router
    sees no caption in the null half either.
    """

    field: Field
    scale: Guide

    def __call__(self, x: Tensor, t: Tensor, c: Text | None) -> Tensor:
        """u [B, ...] at x [B, ...], t [B]. ValueError if c is None and scale is not 1."""
        within = self.scale if isinstance(self.scale, Within) else Within(self.scale)
        covered = within.covers(t)
        if within.scale == 1 or not covered.any():
            return self.field(x, t, c)
        if c is None:
            raise ValueError(f"guidance of scale {within.scale:g} needs captions to depart from")
        both = self.field(torch.cat([x, x]), torch.cat([t, t]), c.with_null)
        u, u_null = both.chunk(2)
        return torch.where(expand(covered, u), u_null + within.scale * (u - u_null), u)
