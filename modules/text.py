"""The condition c: encoded captions and, where a clip is to go on from one, its first frame."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class First:
    """latent [B, C, 1, H, W], what experts read; look [B, F], its feature, what routers read; keep
    [B] bool: False where a clip has to do without."""

    latent: Tensor
    look: Tensor
    keep: Tensor

    def __getitem__(self, rows: Tensor | slice) -> "First":
        return First(self.latent[rows], self.look[rows], self.keep[rows])

    def to(self, device: torch.device) -> "First":
        return First(self.latent.to(device), self.look.to(device), self.keep.to(device))


@dataclass(frozen=True)
class Text:
    """tokens [B, L, D], the encoder's states; pooled [B, P], its summary; keep [B] bool.

    Where keep is False a network puts its own null embedding in place of the caption. first: the
    frames that clips begin with, None for pictures and for video from text alone.
    """

    tokens: Tensor
    pooled: Tensor
    keep: Tensor
    first: First | None = None

    @classmethod
    def of(cls, tokens: Tensor, pooled: Tensor) -> "Text":
        """Captions, none of them dropped."""
        return cls(tokens, pooled, torch.ones(len(tokens), dtype=torch.bool, device=tokens.device))

    def __getitem__(self, rows: Tensor | slice) -> "Text":
        first = None if self.first is None else self.first[rows]
        return Text(self.tokens[rows], self.pooled[rows], self.keep[rows], first)

    def to(self, device: torch.device) -> "Text":
        first = None if self.first is None else self.first.to(device)
        return Text(self.tokens.to(device), self.pooled.to(device), self.keep.to(device), first)

    def dropped(self, drop: Tensor) -> "Text":
        """The same captions, those with drop [B] True replaced by the null embedding."""
        return replace(self, keep=self.keep & ~drop)

    def null(self) -> "Text":
        """No caption in any row: the unconditional half of classifier-free guidance. A first frame
        stays, since guidance is away from clips that ignore the caption, not the frame."""
        return replace(self, keep=torch.zeros_like(self.keep))
