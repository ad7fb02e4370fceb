"""Classifier-free guidance: a field made from a field."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from modules.text import Text

Field = Callable[[Tensor, Tensor, Text | None], Tensor]
"""(x [B, ...], t [B], c) -> u [B, ...]"""


@dataclass(frozen=True)
class Guided:
    """u = u_null + scale (u_c - u_null); scale 1 is the field, asked once.  (Ho and Salimans)

    An ensemble under guidance routes each half by what that half reads: the null half of a
    text-aware router sees no caption either. Raises ValueError if guided without captions.
    """

    field: Field
    scale: float

    def __call__(self, x: Tensor, t: Tensor, c: Text | None) -> Tensor:
        u = self.field(x, t, c)
        if self.scale == 1:
            return u
        if c is None:
            raise ValueError(f"guidance of scale {self.scale:g} needs captions to depart from")
        u_null = self.field(x, t, c.null())
        return u_null + self.scale * (u - u_null)
