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
class Shared:
    """Which rows have one caption, or none, so that a training step reads each caption once.

    first: the first row of each caption [n], and of those dropped.  which: each row's place in
    `first` [B].  sizes: how many places the rows of each part of a stack have.
    """

    first: Tensor
    which: Tensor
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, caption: Tensor, keep: Tensor) -> "Shared":
        """From the number of each row's caption [B], from 0, and keep [B]; on the CPU."""
        _, which = caption.masked_fill(~keep, -1).unique(return_inverse=True)
        n, rows = int(which.max()) + 1, torch.arange(len(which))
        first = torch.full((n,), len(which)).scatter_reduce_(0, which, rows, "amin")
        return cls(first, which, (n,))

    @classmethod
    def joined(cls, parts: "Sequence[Shared]") -> "Shared":
        """Of the rows of all parts, in order; no part shares with another."""
        firsts, whichs, sizes, row = list[Tensor](), list[Tensor](), list[int](), 0
        for part in parts:
            firsts.append(part.first + row)
            whichs.append(part.which + sum(sizes))
            sizes += part.sizes
            row += len(part.which)
        return cls(torch.cat(firsts), torch.cat(whichs), tuple(sizes))


@dataclass(frozen=True)
class Text:
    """Encoded captions, and given first frames if there are any.

    tokens: [B, L, D], the encoder's token states.  pooled: [B, P], one vector a caption.
    keep: [B] bool, False where a network replaces the caption by its own null embedding.
    first: given first frames; None for pictures and for video from text alone.
    recall: what networks have read of these captions; None where each reading is made anew.
    shared: which rows have one caption, in training; None where nobody has looked.
    """

    tokens: Tensor
    pooled: Tensor
    keep: Tensor
    first: GivenFrame | None = None
    recall: Recall | None = None
    shared: Shared | None = None

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
        known = [c.shared for c in parts if c.shared is not None]
        shared = Shared.joined(known) if len(known) == len(parts) else None
        return cls(torch.cat(tokens), torch.cat(pooled), torch.cat(keep), shared=shared)

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
        return replace(self, keep=self.keep & ~drop, recall=recall, shared=None)

    def with_replaced(self, null: Tensor) -> Tensor:
        """The tokens [B, L, D], or of shared captions [n, L, D]; `null` [L, D] or [B, L, D] where
        dropped."""
        parts = self.keep[:, None, None], self.tokens, null.expand(self.tokens.shape)
        if self.shared is not None:
            keep, tokens, null = (x.index_select(0, self.shared.first) for x in parts)
            return torch.where(keep, tokens, null)
        return torch.where(*parts)

    def sharing(self, caption: Tensor) -> "Text":
        """The same, with rows known to have one caption where their number in `caption` [B] is."""
        return replace(self, shared=Shared.of(caption, self.keep))

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
