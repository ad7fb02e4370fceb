"""The verdict function: every case, and its errors over made-up ledgers."""

import itertools

import numpy as np
import pytest

from experiments.tables.inference import LEVEL, POWER, detectable, difference, equivalence
from experiments.tables.multiplicity import benjamini_hochberg, deciding
from experiments.tables.verdicts import (
    Expected,
    Finding,
    Tested,
    Verdict,
    finding,
    half,
    verdict,
)

RUNS, CONTRASTS = 1000, 200
NO, YES = 0.2, 0.01
H, F, E, U = Verdict.HOLDS, Verdict.FAILS, Verdict.EQUIVALENT, Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("mean", "difference", "equivalence", "expected", "printed", "wanted"),
    [
        (-1, YES, NO, Expected.BELOW, True, H),
        (-1, YES, NO, Expected.ABOVE, True, F),
        (1, YES, NO, Expected.ABOVE, False, H),
        (1, YES, NO, Expected.BELOW, False, F),
        (-1, NO, NO, Expected.BELOW, True, U),
        (-1, NO, YES, Expected.BELOW, True, F),
        (-1, NO, YES, Expected.BELOW, False, E),
        (-1, YES, YES, Expected.BELOW, True, F),
        (-1, YES, YES, Expected.BELOW, False, E),
        (1, YES, YES, Expected.BELOW, False, E),
        (-1, YES, NO, Expected.EITHER, False, H),
        (1, YES, NO, Expected.EITHER, False, H),
        (1, NO, YES, Expected.EITHER, False, E),
        (1, YES, 1.0, Expected.NO_LESS, False, H),
        (-1, YES, 1.0, Expected.NO_LESS, False, F),
        (1, NO, 1.0, Expected.NO_LESS, False, U),
        (1, LEVEL, NO, Expected.ABOVE, True, H),
        (1, NO, LEVEL, Expected.ABOVE, True, F),
    ],
)
def test_every_case(mean, difference, equivalence, expected, printed, wanted):
    """kills: signs exchanged, "equal" for "no difference found", an effect smaller than matters
    that holds, a claim without a number contradicted by a margin of ours."""
    tested = Tested(mean, difference, equivalence)
    assert verdict(tested, expected, printed=printed) is wanted


def test_a_margin_is_half_of_what_is_printed():
    """kills: the whole effect, a share of the other row, a sign."""
    assert half(22.60 - 29.64, 29.64).share == pytest.approx(0.11876, abs=1e-5)
    assert half(22.60 - 29.64, 29.64).source == "half of the paper's 23.8%"


def evidence(values, margins):
    """What decides every reading of ledgers [RUNS, CONTRASTS, n], as a paper's are made."""
    different = benjamini_hochberg(difference(values))
    within = benjamini_hochberg(equivalence(values, margins))
    parts = zip(values.mean(-1).flat, different.flat, within.flat, strict=True)
    return [Tested(m, d, w) for m, d, w in parts]


def ledgers(values, margins):
    """Every verdict [RUNS, CONTRASTS] of ledgers; half of the claims want either sign."""
    wanted = itertools.cycle((Expected.BELOW, Expected.ABOVE))
    parts = zip(evidence(values, margins), wanted, strict=False)
    made = [verdict(tested, e, printed=True) for tested, e in parts]
    return np.array(made).reshape(values.shape[:2])


def null(n, seed=0):
    return np.random.default_rng(seed).standard_normal((RUNS, CONTRASTS, n))


@pytest.mark.parametrize("n", [3, 10])
def test_a_ledger_of_nothing_hardly_ever_holds(n):
    """kills: verdicts of unadjusted p, by which every run has some five claims that hold and five
    that do not; at a margin out of reach, so that only the two-sided test speaks."""
    made = ledgers(null(n), np.full(n, 1e-9))
    assert ((made == H).any(axis=1)).mean() <= LEVEL
    assert ((made != U).any(axis=1)).mean() <= LEVEL + 4 * (LEVEL / RUNS) ** 0.5
    unadjusted = (difference(null(n)) <= LEVEL).mean()
    assert unadjusted == pytest.approx(LEVEL, abs=0.005)  # what the ledger is made of


def test_a_ledger_of_nothing_with_one_base_row_hardly_ever_holds():
    """kills: an adjustment that fails where all contrasts share a row, as a table's do."""
    rows, base = null(10), null(10, seed=1)[:, :1]
    made = ledgers(rows - base, np.full(10, 1e-9))
    assert ((made == H).any(axis=1)).mean() <= LEVEL + 4 * (LEVEL / RUNS) ** 0.5
    assert (made == H).mean() <= LEVEL / 2


def test_known_effects_among_nothing_are_found_and_false_ones_stay_few():
    """kills: an adjustment so strict that nothing is found, a false discovery rate above 5 %."""
    values, n = null(10), 10
    values[:, ::2] -= 2.0  # two deviations; every second claim wants below
    values[:, 1::4] += 2.0  # and a half of those that want above
    made = ledgers(values, np.full(n, 1e-9))
    true = np.zeros((RUNS, CONTRASTS), bool)
    true[:, ::2] = true[:, 1::4] = True
    assert (made[true] == H).mean() > 0.95
    decided = made != U
    false = (decided & ~true).sum(axis=1) / np.maximum(decided.sum(axis=1), 1)
    assert false.mean() <= LEVEL


@pytest.mark.parametrize("effects", [0, 100])
def test_an_effect_in_a_ledger_is_found_at_the_power_that_is_stated(effects):
    """kills: a power stated for another test than the one that decides: at 5 %, as if one claim
    alone were judged; at Bonferroni's level where other effects lift it."""
    n, known = 10, np.array([-1.0, 1.0] * 5) / np.std([-1.0, 1.0] * 5, ddof=1)
    others = null(n)
    others[:, :effects] += 3.0
    p = difference(others)
    one = (
        null(n, seed=1)[:, 0]
        + detectable(known, deciding(benjamini_hochberg(p), CONTRASTS))[:, None]
    )
    p = benjamini_hochberg(np.concatenate((difference(one)[:, None], p), axis=1))
    assert (p[:, 0] <= LEVEL).mean() == pytest.approx(POWER, abs=4 * (0.16 / RUNS) ** 0.5)


LIVE = (
    ((0, 2),),
    ((2, 2),),
    ((0, 2), (2, 2)),
    ((0, 2), (1, 2), (-1, 2), (2, 2), (-2, 2), (3, 2)),
    ((0, 0.1), (0, 0.1), (0, 0.1), (0, 2), (2, 2), (3, 2)),
)
"""Means and margins, in deviations, that the contrasts of a ledger have in turn."""


@pytest.mark.parametrize("kinds", LIVE, ids=str)
@pytest.mark.parametrize("n", [3, 10])
def test_false_verdicts_of_either_kind_are_few_where_both_tests_speak(n, kinds):
    """kills: differences or equivalences unadjusted, margins that no simulation reaches: here most
    means of 0 can be shown to lie within theirs, and those at theirs are just not."""
    kind = np.arange(CONTRASTS) % len(kinds)
    means, margins = (np.array(column)[kind] for column in zip(*kinds, strict=True))
    tested = evidence(null(n) + means[:, None], np.tile(margins[:, None], n))
    made = np.array([finding(each) for each in tested]).reshape(RUNS, CONTRASTS)
    false = (made == Finding.WITHIN) & (np.abs(means) >= margins)
    false |= (made == Finding.BELOW) & (means >= 0) | (made == Finding.ABOVE) & (means <= 0)
    decided = (made != Finding.NEITHER).sum(axis=1)
    share = (false.sum(axis=1) / np.maximum(decided, 1)).mean()
    assert share <= LEVEL
    if n == 10 and (0, 2) in kinds:
        assert (made == Finding.WITHIN)[:, (means == 0) & (margins == 2)].mean() > 0.9


def test_equivalence_in_a_ledger_errs_at_its_level():
    """kills: equivalence found, beyond its rate, in effects that just matter; none found in effects
    that are nothing beside the margin."""
    n, margin = 10, 3.0
    at_the_margin = ledgers(null(n) + margin, np.full(n, margin))
    wrongly = (at_the_margin == F) & (np.arange(CONTRASTS) % 2 == 1)  # these want above
    assert wrongly.any(axis=1).mean() <= LEVEL
    nothing = ledgers(null(n), np.full(n, margin))
    assert (nothing == F).mean() > 0.99
