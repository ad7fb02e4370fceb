"""Adjusted p against their definitions, and what is counted once."""

import numpy as np
import pytest

from experiments.tables.inference import LEVEL
from experiments.tables.multiplicity import (
    adjusted,
    benjamini_hochberg,
    deciding,
    holm,
    identity,
)

P = (0.01, 0.04, 0.03, 0.005, 0.5)


def by_definition(p):
    """BH: the least level at which the step-up procedure rejects it."""
    m, ranked = len(p), sorted(p)
    return [min(min(m * q / (ranked.index(q) + 1), 1) for q in ranked if q >= x) for x in p]


def step_down(p):
    """Holm: the least level at which every smaller p, and it, is rejected."""
    m, ranked = len(p), sorted(p)
    return [min(1, max((m - ranked.index(q)) * q for q in ranked if q <= x)) for x in p]


def test_adjusted_p_are_those_of_the_procedures():
    """kills: ranks from the wrong end, no minimum (maximum) over the others, one for the other."""
    assert benjamini_hochberg(P) == pytest.approx([0.025, 0.05, 0.05, 0.025, 0.5])
    assert holm(P) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.5])
    random = np.random.default_rng(0).random((20, 30)) ** 3
    for line, bh, down in zip(random, benjamini_hochberg(random), holm(random), strict=True):
        assert bh == pytest.approx(by_definition(list(line)))
        assert down == pytest.approx(step_down(list(line)))


def test_the_level_that_decides_is_where_a_rejected_hypothesis_no_longer_is():
    """kills: a level of the whole 5 %, of Bonferroni where some are rejected, of the next rank."""
    families = np.random.default_rng(1).random((20, 30)) ** 8
    levels = deciding(benjamini_hochberg(families), 30)
    for p, level in zip(families, levels, strict=True):
        rejected = benjamini_hochberg(p) <= LEVEL
        assert rejected.any()
        for i in range(30):
            at, above = p.copy(), p.copy()
            at[i], above[i] = level * (1 - 1e-9), level * (1 + 1e-9)
            assert benjamini_hochberg(at)[i] <= LEVEL
            assert not rejected[i] or benjamini_hochberg(above)[i] > LEVEL
    assert deciding([0.5, 0.9], 4) == pytest.approx(LEVEL / 4)
    assert deciding([], 0) == LEVEL


def test_a_family_keeps_its_names():
    """kills: p returned in sorted order, the two adjustments exchanged, no family an error."""
    family = dict(zip("abcde", P, strict=True))
    made = adjusted(family, 5)
    assert [made[name].p for name in "abcde"] == list(P)
    assert (made["b"].false_discovery, made["b"].family_wise) == pytest.approx((0.05, 0.09))
    assert adjusted({}, 0) == {} == adjusted({}, 3)


def test_a_smaller_family_is_adjusted_for_every_question():
    """kills: a family of few that is adjusted for those alone, so that what the two families may
    err by adds up to more than 5 %."""
    made = adjusted(dict(zip("abcde", P, strict=True)), 10)
    whole = [*P, *[1.0] * 5]
    assert [made[x].false_discovery for x in "abcde"] == pytest.approx(by_definition(whole)[:5])
    assert [made[x].family_wise for x in "abcde"] == pytest.approx(step_down(whole)[:5])


def test_a_contrast_is_itself_with_either_sign():
    """kills: a contrast counted twice because another claim wants the other sign, or because its
    numbers went another way; a sign lost seed by seed; two metrics that agree counted as one."""
    assert identity("fid", [-0.5, 0.25, 0.0]) == identity("fid", [0.5, -0.25, -0.0])
    assert identity("fid", [0.1 + 0.2, 1.0]) == identity("fid", [0.3, 1.0])
    assert identity("fid", [0.5, 0.25]) != identity("hits", [0.5, 0.25])
    assert identity("fid", [0.0, -2.0]) == identity("fid", [0.0, 2.0])
    assert identity("fid", [0.5, 0.25]) != identity("fid", [0.5, -0.25])
    assert identity("fid", [0.5, 0.25]) != identity("fid", [0.25, 0.5])
