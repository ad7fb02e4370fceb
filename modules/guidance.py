"""Classifier-free guidance: a velocity field made from another."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from modules.text import Text

Field = Callable[[Tensor, Tensor, Text | None], Tensor]
"""A velocity field: (x [B, ...], t [B], c) -> u [B, ...]."""


@dataclass(frozen=True)
class Guided:
    """u = u_null + scale (u_c - u_null).  (Ho and Salimans 2022)

    With scale 1 the field is evaluated once, without a null half. An ensemble routes each half by
    its own condition: a text-aware router sees no caption in the null half either.
    """

    field: Field
    scale: float

    def __call__(self, x: Tensor, t: Tensor, c: Text | None) -> Tensor:
        """u [B, ...] at x [B, ...], t [B]. ValueError if c is None and scale is not 1."""
        u = self.field(x, t, c)
        if self.scale == 1:
            return u
        if c is None:
            raise ValueError(f"guidance of scale {self.scale:g} needs captions to depart from")
        u_null = self.field(x, t, c.null())
        return u_null + self.scale * (u - u_null)
