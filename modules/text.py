"""The condition c: a batch of encoded captions, as networks and routers read it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Text:
    """tokens [B, L, D], the encoder's states; pooled [B, P], its summary; keep [B] bool.

    Where keep is False a network puts its own learned null embedding in place of the caption.
    """

    tokens: Tensor
    pooled: Tensor
    keep: Tensor

    @classmethod
    def of(cls, tokens: Tensor, pooled: Tensor) -> "Text":
        """Captions, none of them dropped."""
        return cls(tokens, pooled, torch.ones(len(tokens), dtype=torch.bool, device=tokens.device))

    def __getitem__(self, rows: Tensor | slice) -> "Text":
        return Text(self.tokens[rows], self.pooled[rows], self.keep[rows])

    def to(self, device: torch.device) -> "Text":
        return Text(self.tokens.to(device), self.pooled.to(device), self.keep.to(device))

    def dropped(self, drop: Tensor) -> "Text":
        """The same captions, those with drop [B] True replaced by the null embedding."""
        return Text(self.tokens, self.pooled, self.keep & ~drop)

    def null(self) -> "Text":
        """No caption in any row: the unconditional half of classifier-free guidance."""
        return Text(self.tokens, self.pooled, torch.zeros_like(self.keep))
