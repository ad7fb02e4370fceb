"""Claims that print two numbers, one against another: their margins, and who stands before whom."""

import pytest

from experiments.claims import CLAIMS
from experiments.tables.verdicts import Expected

AGAINST = {
    "Three experts have a lower FVD": (279.01, 561.04),
    "… and agree better": (0.2178, 0.2032),
    "… and have a higher aesthetic": (3.9036, 3.7950),
    "An expert does better on its own": (0.2175, 0.1781),
    "Sixteen experts are worse than eight where all": (15.43, 10.52),
    "Sixteen experts are worse than eight where one": (12.51, 9.84),
    "Eight experts are better than four": (9.84, 12.54),
    "Of eight experts one alone": (9.84, 10.52),
    "Eight experts of which one is asked": (9.84, 12.81),
    "Eight experts that are all asked": (10.52, 12.81),
}


@pytest.mark.parametrize("start", AGAINST)
def test_what_is_said_to_be_better_has_the_row_before_the_other(start):
    """kills: sides exchanged, another number of experts, a strategy under another's name."""
    (claim,) = [claim for claim in CLAIMS if claim.statement.startswith(start)]
    a, b = AGAINST[start]
    for test in claim.tests:
        assert test.expected is (Expected.BELOW if a < b else Expected.ABOVE)
        if test.table == "ablation-k":
            both = " ".join((*test.contrast.a, *test.contrast.b))
            known = {"Sixteen": "16", "Eight": "8", "four": "4", "monolith": "Monolithic"}
            known |= {"are all asked": "Full", "one is asked": "Top-1", "one alone": "Top-1"}
            assert all(name in both for word, name in known.items() if word in claim.statement)


@pytest.mark.parametrize("start", AGAINST)
def test_a_margin_is_half_of_what_stands_against_what(start):
    """kills: a number of another metric, the other row as base."""
    (claim,) = [claim for claim in CLAIMS if claim.statement.startswith(start)]
    a, b = AGAINST[start]
    assert [float(x) for x in claim.effect.split(" against ")] == [a, b]
    assert claim.margin.share == pytest.approx(abs(a - b) / b / 2)
    assert claim.margin.printed
