"""The condition c: encoded captions and, for clips that continue a given frame, that frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from modules.recall import Recall


@dataclass(frozen=True)
class GivenFrame:
    """The first frames that clips continue.

    latent: [B, C, 1, H, W], what experts read.  feature: [B, F], what routers read.
    keep: [B] bool, False where the clip is not given its frame.
    """

    latent: Tensor
    feature: Tensor
    keep: Tensor

    def __getitem__(self, rows: Tensor | slice) -> "GivenFrame":
        """The chosen rows, by indices [M], a mask [B] or a slice."""
        return GivenFrame(self.latent[rows], self.feature[rows], self.keep[rows])

    def to(self, device: torch.device) -> "GivenFrame":
        """The same on another device."""
        return GivenFrame(self.latent.to(device), self.feature.to(device), self.keep.to(device))


@dataclass(frozen=True)
class Text:
    """Encoded captions, and given first frames if there are any.

    tokens: [B, L, D], the encoder's token states.  pooled: [B, P], one vector a caption.
    keep: [B] bool, False where a network replaces the caption by its own null embedding.
    first: given first frames; None for pictures and for video from text alone.
    recall: what networks have read of these captions; None where each reading is made anew.
    """

    tokens: Tensor
    pooled: Tensor
    keep: Tensor
    first: GivenFrame | None = None
    recall: Recall | None = None

    @classmethod
    def of(cls, tokens: Tensor, pooled: Tensor) -> "Text":
        """Captions of tokens [B, L, D] and pooled [B, P], none of them dropped."""
        return cls(tokens, pooled, torch.ones(len(tokens), dtype=torch.bool, device=tokens.device))

    @classmethod
    def joined(cls, parts: "Sequence[Text]") -> "Text":
        """The captions of all parts, in order. ValueError if any has given first frames."""
        if any(c.first is not None for c in parts):
            raise ValueError("captions with given first frames are not joined")
        tokens, pooled, keep = zip(*((c.tokens, c.pooled, c.keep) for c in parts), strict=True)
        return cls(torch.cat(tokens), torch.cat(pooled), torch.cat(keep))

    def __getitem__(self, rows: Tensor | slice) -> "Text":
        """The chosen rows, by indices [M], a mask [B] or a slice."""
        first = None if self.first is None else self.first[rows]
        recall = None if self.recall is None else self.recall[rows]
        return Text(self.tokens[rows], self.pooled[rows], self.keep[rows], first, recall)

    def to(self, device: torch.device) -> "Text":
        """The same on another device, with nothing read."""
        first = None if self.first is None else self.first.to(device)
        return Text(self.tokens.to(device), self.pooled.to(device), self.keep.to(device), first)

    def dropped(self, drop: Tensor) -> "Text":
        """The same, with captions also dropped where `drop` [B] is True."""
        recall = None if self.recall is None else self.recall.dropped(drop)
        return replace(self, keep=self.keep & ~drop, recall=recall)

    def null(self) -> "Text":
        """The same with every caption dropped, for classifier-free guidance.

        A first frame is kept: guidance leads away from clips that ignore the caption alone.
        """
        return self.dropped(torch.ones_like(self.keep))

    @cached_property
    def with_null(self) -> "Text":
        """Both halves of guidance [2 B]: the captions, then the same rows without them."""
        row = torch.arange(2 * len(self.keep), device=self.keep.device)
        return self[row % len(self.keep)].dropped(row >= len(self.keep))

    def remembered(self) -> "Text":
        """The same captions, to be read once along a trajectory. The networks must not change."""
        return replace(self, recall=Recall.of(self.keep))
