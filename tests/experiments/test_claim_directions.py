"""The signs that claims want, against the differences that they print and the papers' numbers."""

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from experiments.claims import CLAIMS
from experiments.hddm.__main__ import TABLES
from experiments.paris2.__main__ import TABLES as VIDEO
from experiments.tables.claim import Test
from experiments.tables.contrasts import Less, Swing, Value, Weakest
from experiments.tables.verdicts import Expected

Test.__test__ = False  # not pytest's

BELOW, ABOVE, NO_LESS = Expected.BELOW, Expected.ABOVE, Expected.NO_LESS
SIGNED = [claim for claim in CLAIMS if re.search(r"−|= *[+-]?\d+\.\d", claim.effect)]
READ = 21
"""The claims that print a signed difference: 6 of routing, 11 of conversion, 4 of mixtures."""
NUMBERS = r"[+−]?\d+\.\d+(?:, [+−]?\d+\.\d+)*"
EFFECT = re.compile(rf"(?P<a>{NUMBERS}) − (?P<b>\d+\.\d+) = (?P<difference>{NUMBERS})")
COLUMNS = {
    ("table1", "fid"): "FID-50K (paper)",
    ("table3", "fid"): "FID-5K (paper)",
    ("table3", "spread"): "LPIPS (paper)",
    ("table3", "accuracy"): "CLIP (paper)",
    ("table4", "fid"): "FID-50K (paper)",
    ("ablation-threshold", "fid"): "FID-1K (paper)",
    ("ablation-init", "speedup_half"): "Convergence, times (paper)",
    ("ablation-init", "speedup_final"): "Convergence, times (paper)",
    ("ablation-init", "speedup_lowest"): "Convergence, times (paper)",
    ("paris2-specialization", "clip|digit"): "CLIP (paper)",
}
"""The paper's column that stands beside a number of ours."""
ROWS = {
    table.name: {
        tuple(row.names.values()): row.paper
        for row in table.rows(table.scales.get("small") or table.scales["scenes"], 0)
    }
    for table in (*TABLES, *VIDEO)
}


class Paper:
    """The paper's own numbers, read where a claim reads ours."""

    def values(self, table, row, key):
        """[number], or [None] where the row has none of the paper's."""
        # Fig 15 prints no number: its strategies are Table 1's, under the router that reads no text
        source = "table1" if table == "ablation-selection" else table
        found = [paper for names, paper in ROWS[source].items() if names[: len(row)] == row]
        assert len(found) == 1 or source != table, (table, row)
        return [found[0].get(COLUMNS.get((source, key))) if len(found) == 1 else None]


def operands(test):
    """The paper's numbers of the rows of a contrast, in its order; None where it has none."""
    found = [Paper().values(test.table, row, test.key)[0] for row in test.contrast.rows]
    return None if None in found else [Decimal(str(number)) for number in found]


def printed(effect):
    """[(a, b, a − b)] of "a, … − b = …", to the digits that are printed."""
    found = EFFECT.fullmatch(effect)
    assert found, effect
    a, b, difference = (
        [Decimal(x.replace("−", "-")) for x in part.split(", ")] for part in found.groups()
    )
    return [(x, b[0], y) for x, y in zip(a, difference, strict=True)]


def named(claim):
    return claim.effect


def test_the_printed_differences_are_all_read():
    """kills: an effect written in another form, which no test below would read."""
    assert len(SIGNED) == READ
    assert sum(len(printed(claim.effect)) for claim in SIGNED) == READ + 2
    assert all(claim.tests for claim in SIGNED)


@pytest.mark.parametrize("claim", SIGNED, ids=named)
def test_a_printed_difference_is_that_of_its_operands(claim):
    """kills: a slip in a subtraction, a digit more or less than the operands', a sign left out."""
    for a, b, difference in printed(claim.effect):
        assert a - b == difference != 0
        assert {x.as_tuple().exponent for x in (a, b)} == {difference.as_tuple().exponent}
    assert all(x[0] in "+−" for x in claim.effect.split(" = ")[1].split(", "))


@pytest.mark.parametrize("claim", SIGNED, ids=named)
def test_a_claim_wants_the_sign_that_it_prints(claim):
    """kills: below for above, rows exchanged together with the sign, a swing for a difference."""
    (wanted,) = {BELOW if difference < 0 else ABOVE for *_, difference in printed(claim.effect)}
    kept = {NO_LESS} if "preserves" in claim.statement else {wanted}
    assert {test.expected for test in claim.tests} == kept
    assert {type(test.contrast) for test in claim.tests} == {Less}


@pytest.mark.parametrize("claim", SIGNED, ids=named)
def test_a_margin_is_half_of_the_smallest_effect_that_is_printed(claim):
    """kills: a margin from another claim's numbers, from the larger of two effects, from the other
    row, or the whole effect."""
    share = min(abs(difference / b) for _, b, difference in printed(claim.effect)) / 2
    if claim.margin.printed:
        assert claim.margin.share == pytest.approx(float(share))
    else:
        assert "preserves" in claim.statement  # that nothing is lost: the effect is no measure


@pytest.mark.parametrize("claim", SIGNED, ids=named)
def test_a_claim_compares_the_rows_that_it_prints(claim):
    """kills: rows a and b exchanged, a neighbouring row compared, a number that is no row's, a row
    of those printed that no reading compares."""
    pairs = {(a, b) for a, b, _ in printed(claim.effect)}
    found = {tuple(both) for test in claim.tests if (both := operands(test))}
    # diversity within a prompt is printed in the text (§3.4.1), in no table
    assert found == (set() if {test.key for test in claim.tests} == {"diversity"} else pairs)


def parts(test):
    """A contrast, or all of those of which the weakest is judged."""
    return test.contrast.contrasts if isinstance(test.contrast, Weakest) else (test.contrast,)


def test_the_papers_numbers_satisfy_every_claim():
    """kills: a swing or a constant of the wrong sign, a number on another row of a table, a claim
    that is the contrary of what the paper reports."""
    judged = []
    for claim in CLAIMS:
        for test in claim.tests:
            if None in [Paper().values(test.table, row, test.key)[0] for row in test.contrast.rows]:
                continue
            for contrast in parts(test):
                paired = contrast.paired(Paper(), test.table, test.key)
                (value,), (base,) = paired.differences, paired.bases
                allowed = claim.margin.share * base if test.expected is NO_LESS else 0
                assert test.expected.wants(value + allowed)
                judged.append((claim, type(contrast)))
    assert {kind for _, kind in judged} == {Less, Value, Swing}
    assert len({claim.statement for claim, _ in judged}) >= READ + 1  # and swings, and 1.2 times


def test_constants_and_margins_are_those_that_are_said():
    """kills: a factor held against 0 or 1, a share against 1, a margin of another claim's effect
    that says it is its own."""
    tests = [(claim, test) for claim in CLAIMS for test in claim.tests]
    constants = [(c.effect, t.contrast.less) for c, t in tests if isinstance(t.contrast, Value)]
    assert {less for effect, less in constants if "×" in effect} == {1.2}
    assert {less for effect, less in constants if "×" not in effect} == {0.0}
    for claim in {id(claim): claim for claim, _ in tests}.values():
        numbers = re.search(r"\d\.\d+ .*(against|−) .*\d\.\d|\d ×", claim.effect)
        if claim.margin is not None and claim.margin.printed:
            assert numbers, claim.statement
        elif numbers:
            assert {test.expected for test in claim.tests} <= {NO_LESS}, claim.statement


def test_the_printed_halves_of_a_swing_are_its_rows():
    """kills: the schedule's share taken for the objective's, FM compared with the same schedule."""
    (claim,) = [claim for claim in CLAIMS if claim.effect == "0.005 against 0.025"]
    sizes = set()
    for test in claim.tests:
        gain, swing = parts(test)
        assert isinstance(swing, Swing)
        assert (gain.a, gain.b) == (swing.d, swing.c)
        if numbers := operands(replace(test, contrast=swing)):  # not of corrected, which is ours
            a, b, c, d = numbers
            sizes.add((abs(a - b), abs(c - d)))
    assert sizes == {(Decimal("0.005"), Decimal("0.025"))}
    assert claim.margin.share == pytest.approx((0.025 - 0.005) / 0.752 / 2)


UNPRINTED = (  # the claim; what row a's names and row b's have; the sign
    ("Ensembles of 2-3 experts outperform", "fid", "Top-3", "Top-6", BELOW),
    ("Top-K is cheaper than Full", "expert_evaluations", "Top-2", "Full", BELOW),
    ("Adding or removing experts", "fid", "", "trained", ABOVE),
    ("A threshold of 0.2 has a better FID", "fid", "0.2", "0.5", BELOW),
    ("A threshold of 0.5 is more diverse", "spread", "0.5", "0.2", ABOVE),
    ("A threshold of 0.7 degrades FID", "fid", "0.7", "0.2", ABOVE),
    ("A threshold of 0.7 degrades diversity", "spread", "0.7", "0.5", BELOW),
    ("Conversion should be restricted", "fid", "0.5", "0.9", BELOW),
    ("FM→DDPM is better than DDPM→FM", "fid", "FM→DDPM", "DDPM→FM", BELOW),
    ("DDPM→FM is worse the longer", "fid", "0.3", "0.7", ABOVE),  # switched at 0.3 it goes longer
    ("Where DDPM goes first the safeguards", "fid", "corrected", "§8.3.4", BELOW),
    ("Different schedules give better", "fid", "linear", "cosine", BELOW),
    ("The cosine schedule hinders an FM", "fid", "cosine", "linear", ABOVE),
    ("At 75K of 500K steps (15 %)", "loss_sampled", "Eq. 20", "scratch", BELOW),
    ("At 75K of 500K steps the", "accuracy", "Eq. 20", "scratch", ABOVE),
    ("Velocity experts get relatively stronger", "share", "v", "noise", ABOVE),
    ("Complementary specialisation: at high", "x0_error", "v", "noise", BELOW),
    ("Complementary specialisation: at low", "x0_error", "v", "noise", ABOVE),
    ("Diversity comes while coherence", "accuracy", "2DDPM:6FM", "8FM", NO_LESS),
    ("Full over-smooths: sharp features blur", "detail", "Full", "Top-", BELOW),
    ("Homogeneous samples are softer", "detail", "2DDPM:6FM", "8FM", ABOVE),
    ("AdaLN-Single saves parameters", "fid", "Zero", "Single", NO_LESS),
    ("Sparse routing does better", "fvd", "Top-", "Full", BELOW),
    ("Clusters of features are better", "fid", "features", "at random", BELOW),
    ("Distilled into one dense model, nothing is lost: no", "fid", "Ensemble", "Student", NO_LESS),
    ("Distilled into one dense model, nothing is lost: as", "accuracy", "Student", "Ens", NO_LESS),
)


@pytest.mark.parametrize("start", UNPRINTED, ids=lambda line: line[0])
def test_a_claim_without_numbers_has_the_direction_of_its_words(start):
    """kills: thresholds, orders, schedules or levels exchanged, where no printed number tells."""
    words, key, a, b, expected = start
    (claim,) = [claim for claim in CLAIMS if claim.statement.startswith(words)]
    for test in claim.tests:
        assert (test.key, test.expected) == (key, expected)
        if test.reading.endswith("against every other"):
            assert {pair.a[-1] for pair in parts(test)} == {a}
            assert {pair.b[-1] for pair in parts(test)} == {f"0.{i}" for i in range(1, 10)} - {a}
            continue
        pairs = test.contrast.contrasts if isinstance(test.contrast, Weakest) else [test.contrast]
        for pair in pairs:
            rows = [" ".join(names) for names in (pair.a, pair.b)]
            assert [word in row for word, row in zip((a, b), rows, strict=True)] == [True, True]
            assert b not in rows[0] or not a
        if isinstance(test.contrast, Weakest):
            assert test.contrast.expected is expected
            assert len({*test.contrast.contrasts}) == len(pairs) > 1
        if key == "x0_error":
            levels = {float(names[1]) for names in (test.contrast.a, test.contrast.b)}
            assert [level > 0.5 for level in levels] == ["high" in words]
