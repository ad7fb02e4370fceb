"""Contrasts against arithmetic by hand, seed by seed."""

import pytest

from experiments.tables.claim import Claim, Test, judged
from experiments.tables.contrasts import Gap, Less, PublishedTables, Swing, Value
from experiments.tables.verdicts import Expected, Margin
from tests.helpers.tables import publish


def test_contrasts_are_paired_by_seed(tmp_path):
    """kills: a difference of means with the seeds' spread in its interval, rows exchanged, a seed
    that lacks one of the numbers counted."""
    good, bad, wild = ("good", "x"), ("bad",), ("wild",)
    rows = {
        ("good", "x"): {"fid": [1.0, 2.0, 3.0]},
        ("bad", "x"): {"fid": [2.0, 3.1, 3.9]},
        ("wild", "x"): {"fid": [0.0, 9.0, 2.5]},
        ("gap", "x"): {"fid": [1.0, None, 2.0]},
    }
    publish(tmp_path, "table9", rows)
    published = PublishedTables(tmp_path)

    def made(contrast):
        paired = contrast.paired(published, "table9", "fid")
        return pytest.approx(paired.differences), pytest.approx(paired.bases)

    assert made(Less(good, bad)) == ((-1, -1.1, -0.9), (2.0, 3.1, 3.9))
    assert made(Value(bad, less=1.0)) == ((1, 2.1, 2.9), (1, 1, 1))
    wanted = (1 + 1, 1.1 - 7, 0.9 + 0.5), (0.0, 9.0, 2.5)  # good less wild: 1, -7, 0.5, below 0
    assert made(Swing(good, bad, good, wild)) == wanted
    assert made(Gap(good, bad, wild, bad)) == ((1.0, -7.0, 0.5), (2.0, 3.1, 3.9))
    assert made(Less(("gap",), good)) == ((0.0, -1.0), (1.0, 3.0))


@pytest.mark.parametrize(
    ("mean", "expected", "shown"),
    [
        (0.097, Expected.ABOVE, "above 0, by less than the margin"),
        (0.5, Expected.ABOVE, "above 0"),
        (-0.5, Expected.ABOVE, "below 0"),
        (-0.01, Expected.NO_LESS, "above 0, the margin added"),
    ],
)
def test_a_difference_smaller_than_matters_says_so(tmp_path, mean, expected, shown):
    """kills: a claim that holds by less than anyone would mind, told like any other."""
    values = [mean + 0.996, mean + 1, mean + 1.004]
    publish(tmp_path, "alone", {("a",): {"fid": values}, ("b",): {"fid": [1.0] * 3}})
    test = Test("", "alone", "fid", Less(("a",), ("b",)), expected)
    claim = Claim("", "", tests=(test,), margin=Margin(0.1, "a tenth"))
    (made,) = judged([claim], PublishedTables(tmp_path))
    assert made.why == shown
