"""Classifier-free guidance: a velocity field made from another."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.text import Text

Field = Callable[[Tensor, Tensor, Text | None], Tensor]
"""A velocity field: (x [B, ...], t [B], c) -> u [B, ...]."""


@dataclass(frozen=True)
class Guided:
    """u = u_null + scale (u_c - u_null).  (Ho and Salimans 2022)

    Both halves are one call of the field, with every row twice; with scale 1 there is no null half.
    An ensemble routes each half by its own condition: a text-aware router sees no caption in the
    null half either.
    """

    field: Field
    scale: float

    def __call__(self, x: Tensor, t: Tensor, c: Text | None) -> Tensor:
        """u [B, ...] at x [B, ...], t [B]. ValueError if c is None and scale is not 1."""
        if self.scale == 1:
            return self.field(x, t, c)
        if c is None:
            raise ValueError(f"guidance of scale {self.scale:g} needs captions to depart from")
        both = self.field(torch.cat([x, x]), torch.cat([t, t]), c.with_null)
        u, u_null = both.chunk(2)
        return u_null + self.scale * (u - u_null)
