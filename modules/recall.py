"""What networks have read of captions, so that along a trajectory each reads a caption once.

What a network makes of a caption alone, whatever x and t, stays the same from step to step. It is
made for the rows that the network is asked about, when it is first asked about them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

Read = Callable[[Tensor], Tensor]
"""rows [M] of the captions at hand -> what the network makes of each [M, ...]."""


class Page:
    """What one network has read, one entry a place; `places` of them may be asked about."""

    def __init__(self, places: int, device: torch.device) -> None:
        self.entry = torch.full((places,), -1, device=device)
        self.entries: Tensor | None = None
        self.asked = self.answer = self.entry[:0]

    def at(self, place: Tensor, read: Read) -> Tensor:
        """The entries [B, ...] at place [B]; `read` makes those that are not there yet."""
        if not torch.equal(place, self.asked):  # mostly the rows of the step before
            unread = (self.entry[place] < 0).nonzero().squeeze(1)
            if len(unread):
                self._enter(place[unread], unread, read)
            assert self.entries is not None
            self.asked, self.answer = place, self.entries.index_select(0, self.entry[place])
        return self.answer

    def _enter(self, place: Tensor, rows: Tensor, read: Read) -> None:
        """Read the captions at place [M], which are those of the given rows [M], each once."""
        new, which = place.unique(return_inverse=True)
        made = read(torch.empty_like(new).scatter_(0, which, rows))
        known = 0 if self.entries is None else len(self.entries)
        self.entry[new] = torch.arange(known, known + len(new), device=place.device)
        self.entries = made if self.entries is None else torch.cat([self.entries, made])


@dataclass(frozen=True)
class Recall:
    """Where each row's caption has its place [B] on the pages, one page a network.

    The last of the `places` belongs to all dropped captions, which a network reads alike.
    """

    place: Tensor
    places: int
    pages: dict[object, Page] = field(default_factory=dict)

    @classmethod
    def of(cls, keep: Tensor) -> "Recall":
        """Empty pages for captions that are kept where `keep` [B] is True."""
        own = torch.arange(len(keep), device=keep.device)
        return cls(own, len(keep) + 1).dropped(~keep)

    def __getitem__(self, rows: Tensor | slice) -> "Recall":
        """The chosen rows, by indices [M], a mask [B] or a slice, on the same pages."""
        return replace(self, place=self.place[rows])

    def dropped(self, drop: Tensor) -> "Recall":
        """The same, with captions also dropped where `drop` [B] is True."""
        return replace(self, place=self.place.masked_fill(drop, self.places - 1))

    def read_by(self, network: object, read: Read) -> Tensor:
        """What `network` makes of the rows' captions [B, ...], read now or before."""
        if network not in self.pages:
            self.pages[network] = Page(self.places, self.place.device)
        return self.pages[network].at(self.place, read)
