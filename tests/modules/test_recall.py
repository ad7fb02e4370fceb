"""Each network reads each caption of a trajectory once, when it is first asked about it."""

import torch

from modules.text import Text
from tests.helpers.mixture import randn


class Reader:
    """Makes of a caption its token, or -1 of a dropped one; it keeps what it was given to read."""

    def __init__(self):
        self.was_given = []

    def of(self, c):
        return c.recall.read_by(self, lambda rows: self.read(c[rows]))

    def read(self, c):
        made = torch.where(c.keep, c.tokens[:, 0, 0], -1.0)
        self.was_given += made.tolist()
        return made


def captions(n=6):
    """Captions whose tokens are 0, 1, …"""
    return Text.of(torch.arange(float(n))[:, None, None], randn(n, 2))


def test_a_caption_is_read_once_whatever_rows_are_asked_about():
    """kills: reading again what is known, an entry of another row, all read where few are asked."""
    c, reader = captions().remembered(), Reader()
    for rows in ([4, 1], [1, 4], [1, 2, 4], [2], [1, 4], [5, 5, 0]):
        assert reader.of(c[torch.tensor(rows)]).tolist() == rows
    assert reader.was_given == [1, 4, 2, 0, 5]
    assert reader.of(c[2:5]).tolist() == [2, 3, 4]


def test_dropped_captions_are_read_as_one():
    """kills: the null embedding read for each row, or a dropped row given its own caption."""
    c, reader = captions().remembered(), Reader()
    for _ in range(2):
        assert reader.of(c.with_null[[1, 9, 7, 2]]).tolist() == [1, -1, -1, 2]
        assert reader.of(c.null()).tolist() == [-1] * 6
    drop = torch.tensor([True, False] * 3)
    assert reader.of(c.dropped(drop)).tolist() == [-1, 1, -1, 3, -1, 5]
    assert sorted(reader.was_given) == [-1, 1, 2, 3, 5]
    before = captions().dropped(drop).remembered()  # dropped before anything is remembered
    assert Reader().of(before).tolist() == [-1, 1, -1, 3, -1, 5]


def test_each_network_and_each_trajectory_reads_for_itself():
    """kills: one page for all networks, or pages that outlive their captions."""
    c, one, other = captions(), Reader(), Reader()
    for given in (c.remembered(), c.remembered()):
        for reader in (one, other):
            assert reader.of(given[0:2]).tolist() == [0, 1]
    assert one.was_given == other.was_given == [0, 1, 0, 1]
    assert c.recall is None
    assert c.remembered().to(torch.device("cpu")).recall is None


def test_both_halves_are_the_captions_and_then_the_same_rows_without_them():
    """kills: interleaved halves, the halves exchanged, captions kept in the second."""
    c = captions(3)
    both = c.with_null
    assert both.tokens[:, 0, 0].tolist() == [0, 1, 2, 0, 1, 2]
    assert torch.equal(both.pooled, torch.cat([c.pooled, c.pooled]))
    assert both.keep.tolist() == [True] * 3 + [False] * 3
    assert c.keep.all()
