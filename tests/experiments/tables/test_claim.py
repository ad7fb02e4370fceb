"""Claims judged on made-up tables: every verdict, what is counted once, and what was not run."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from experiments.pipeline.files import StoreError
from experiments.tables.claim import NO_ROWS, Claim, Test, above, below, every, judged, no_less
from experiments.tables.contrasts import Less, PublishedTables
from experiments.tables.inference import LEVEL, detectable
from experiments.tables.verdicts import Expected, Margin, Tested, Verdict, verdict
from tests.helpers.tables import publish

Test.__test__ = False  # not pytest's
SMALL = Margin(0.1, "a tenth", printed=True)


def read(folder, values, expected):
    """The reading of one contrast [n] whose base is 1 at every seed."""
    one = [1.0] * len(values)
    publish(folder, "alone", {("a",): {"fid": [v + 1 for v in values]}, ("b",): {"fid": one}})
    test = Test("", "alone", "fid", Less(("a",), ("b",)), expected)
    (made,) = judged([Claim("", "", tests=(test,), margin=SMALL)], PublishedTables(folder))
    return made


@pytest.mark.parametrize(
    ("values", "expected", "verdict"),
    [
        ([-1.0, -1.1, -0.9], Expected.BELOW, Verdict.HOLDS),
        ([1.0, 1.1, 0.9], Expected.BELOW, Verdict.FAILS),
        ([1.0, 1.1, 0.9], Expected.ABOVE, Verdict.HOLDS),
        ([-1.0, -1.1, -0.9], Expected.ABOVE, Verdict.FAILS),
        ([1.0, 1.1, 0.9], Expected.EITHER, Verdict.HOLDS),
        ([-1.0, 0.5, -0.9], Expected.BELOW, Verdict.UNDECIDED),
        ([0.0, 0.0, 0.0], Expected.BELOW, Verdict.UNDECIDED),
        ([-1.0, -1.0], Expected.BELOW, Verdict.UNDECIDED),
        ([], Expected.BELOW, Verdict.UNDECIDED),
        ([0.0, 0.001, -0.001], Expected.BELOW, Verdict.FAILS),
        ([-0.01, 0.0, -0.02], Expected.NO_LESS, Verdict.HOLDS),
        ([-0.3, -0.31, -0.32], Expected.NO_LESS, Verdict.FAILS),
        ([-0.1, -0.11, -0.08], Expected.NO_LESS, Verdict.UNDECIDED),
    ],
)
def test_the_verdict_is_that_of_its_test(tmp_path, values, expected, verdict):
    """kills: a verdict by the mean alone, the sign exchanged, too few seeds deciding, a loss within
    its margin that counts as one."""
    assert read(tmp_path, values, expected).verdict is verdict


def test_a_contrast_that_just_excludes_zero_decides(tmp_path):
    """kills: a normal quantile in place of Student's t with two degrees of freedom, 4.303."""
    spread = 3**0.5 / 4.302652729911275  # half-width 1 for deviations of -s, 0, s around the mean
    for mean, wanted in ((-1.001, Verdict.HOLDS), (-0.999, Verdict.UNDECIDED)):
        values = [mean - spread, mean, mean + spread]
        assert read(tmp_path, values, Expected.BELOW).verdict is wanted


def test_a_margin_is_a_share_of_the_base_row(tmp_path):
    """kills: a share of row a, of the difference, of the mean over rows."""
    rows = {("a",): {"fid": [11.0, 12.0, 13.0]}, ("b",): {"fid": [10.0, 20.0, 30.0]}}
    publish(tmp_path, "table9", rows)
    test = below("", "table9", "fid", ("a",), ("b",))
    (made,) = judged([Claim("", "", tests=(test,), margin=SMALL)], PublishedTables(tmp_path))
    assert made.line.margins == pytest.approx([1.0, 2.0, 3.0])


def test_p_is_adjusted_over_distinct_contrasts(tmp_path):
    """kills: a contrast that two claims use, one with the other sign, counted twice; readings by
    construction or of too few seeds in the family; a paper's family without its others; one whose
    margin is another's counted as if nothing more were asked."""
    rows = {
        ("base",): {"fid": [0.0, 0.0, 0.0]},
        ("a",): {"fid": [1.0, 1.1, 0.9]},
        ("b",): {"fid": [1.0, 1.6, 0.5]},
        ("c",): {"fid": [2.0, -1.0, 0.1]},
    }
    publish(tmp_path, "table9", rows)
    tests = [above(n, "table9", "fid", (n,), ("base",)) for n in "abc"]
    turned = below("a again", "table9", "fid", ("base",), ("a",))
    sure = replace(above("sure", "table9", "fid", ("c",), ("a",)), construction="so it is")
    claims = [
        Claim("", "", tests=tuple(tests), margin=SMALL),
        Claim("", "", tests=(turned, sure), margin=SMALL),
    ]
    *made, last = judged(claims, PublishedTables(tmp_path))
    raw = stats.ttest_1samp([rows[(n,)]["fid"] for n in "abc"], 0, axis=-1).pvalue
    # four questions, since a's margin is a share of another row where it is turned
    adjusted = [stats.false_discovery_control([*raw, 1.0])[i] for i in (0, 1, 2, 0)]
    assert [r.found.difference.p for r in made] == pytest.approx([*raw, raw[0]])
    assert [r.found.difference.false_discovery for r in made] == pytest.approx(adjusted)
    assert [r.verdict for r in made[::3]] == [Verdict.HOLDS] * 2
    assert (last.verdict, last.found, last.why) == (Verdict.CONSTRUCTION, None, "so it is")


def test_metrics_that_agree_in_every_digit_are_two(tmp_path):
    """kills: accuracies of few samples that agree by chance counted as one contrast; the samples of
    one row that two tables score counted twice; equivalences adjusted for their own number."""
    same = {"a": [10.1, 12.2, 13.9], "b": [10.0, 12.0, 14.0]}
    rows = {(name,): {"fid": values, "hits": values} for name, values in same.items()}
    for table in ("table8", "table9"):
        publish(tmp_path, table, rows)
    named = [("table8", "fid"), ("table9", "fid"), ("table9", "hits")]
    tests = tuple(above(table + key, table, key, ("a",), ("b",)) for table, key in named)
    kept = no_less("", "table9", "fid", ("a",), ("b",))
    claim = Claim("", "", tests=(*tests, kept), margin=SMALL)
    found = [reading.found for reading in judged([claim], PublishedTables(tmp_path))]
    assert found[0].contrast == found[1].contrast != found[2].contrast
    within = found[0].equivalence  # two such, among three questions
    assert within.family_wise == pytest.approx(3 * within.p)


def test_the_weakest_of_two_and_of_four_keep_their_own_p(tmp_path):
    """kills: the p of the last claim standing for that of another that shares its contrast, picked
    among fewer or more; the effect that is detectable at a level without the choice."""
    straws = {(f"{i}",): {"fid": [90.0 + i, 91.0, 92.0]} for i in range(3)}
    rows = {("base",): {"fid": [1.0] * 3}, ("low",): {"fid": [0.5, 0.7, 0.6]}, **straws}
    publish(tmp_path, "table9", rows)
    pairs = [Less((name,), ("base",)) for name in ("low", "0", "1", "2")]
    tests = [every(f"{n}", "table9", "fid", pairs[:n], Expected.ABOVE) for n in (2, 4)]
    alone = above("alone", "table9", "fid", ("low",), ("base",))
    claim = Claim("", "", tests=(*tests, alone), margin=SMALL)
    found = [reading.found for reading in judged([claim], PublishedTables(tmp_path))]
    p = stats.ttest_1samp([-0.5, -0.3, -0.4], 0).pvalue
    assert [f.difference.p for f in found] == pytest.approx([2 * p, 4 * p, p])
    assert len({f.contrast for f in found}) == 3
    assert [f.level for f in found] == pytest.approx([LEVEL / 3] * 3)  # nothing is rejected
    seen = detectable([-0.5, -0.3, -0.4], LEVEL / 3 / np.array([2, 4, 1]))
    assert [f.detectable for f in found] == pytest.approx(seen)


def test_every_rule_is_judged_by_the_best(tmp_path):
    """kills: a universal claim that holds because of its weakest rivals, one that fails because the
    best of several was picked by chance, the direction exchanged."""
    rows = {
        ("trained",): {"fid": [1.0, 1.0, 1.0]},
        ("straw",): {"fid": [90.0, 91.0, 92.0]},
        ("worse",): {"fid": [2.0, 2.1, 1.9]},
        ("better",): {"fid": [0.5, 0.7, 0.6]},
        ("near",): {"fid": [1.002, 0.999, 0.998]},
    }
    publish(tmp_path, "table9", rows)

    def all_on(side, *names):
        pairs = [Less((name,), ("trained",)) for name in names]
        test = every("", "table9", "fid", pairs, side)
        return judged([Claim("", "", tests=(test,), margin=SMALL)], PublishedTables(tmp_path))[0]

    holds, fails = (
        all_on(Expected.ABOVE, "straw", "worse"),
        all_on(Expected.ABOVE, "straw", "worse", "better"),
    )
    assert holds.line.paired.differences == pytest.approx((1.0, 1.1, 0.9))
    assert holds.verdict is Verdict.HOLDS
    assert holds.found.difference.p == pytest.approx(stats.ttest_1samp([1.0, 1.1, 0.9], 0).pvalue)
    assert fails.line.paired.differences == pytest.approx((-0.5, -0.3, -0.4))
    alone = stats.ttest_1samp([-0.5, -0.3, -0.4], 0).pvalue
    assert fails.found.difference.p == pytest.approx(3 * alone)
    below = all_on(Expected.BELOW, "straw", "worse", "better")
    assert below.line.paired.differences == pytest.approx((89.0, 90.0, 91.0))
    near = all_on(Expected.ABOVE, "near", "straw").found.equivalence.p
    inside = stats.ttest_1samp([0.102, 0.099, 0.098], 0, alternative="greater").pvalue
    assert near == pytest.approx(2 * inside)


def test_what_nothing_measures_is_not_judged_by_what_stands_beside_it(tmp_path):
    """kills: legibility called an aesthetic score, a missing judge taken for a missing table."""
    rows = {(n,): {"fid": [1.0, 2.0, 3.0], "legible": [1.0, 2.0, 3.1]} for n in "ab"}
    publish(tmp_path, "table9", rows)
    test = above("", "table9", "aesthetic", ("a",), ("b",))
    claim = Claim("", "", tests=(replace(test, absent="no judge"),), margin=SMALL)
    (made,) = judged([claim], PublishedTables(tmp_path))
    assert (made.verdict, made.why) == (Verdict.UNTESTABLE, "no judge")
    (made,) = judged([replace(claim, tests=(test,))], PublishedTables(tmp_path))
    assert made.verdict is Verdict.MISSING


@pytest.fixture
def published(tmp_path):
    rows = {
        ("good", "x"): {"fid": [1.0, 2.0, 3.0]},
        ("bad", "x"): {"fid": [2.0, 3.1, 3.9]},
        ("wild", "x"): {"fid": [0.0, 9.0, 2.5]},
    }
    publish(tmp_path, "table9", rows)
    return PublishedTables(tmp_path)


def test_a_claim_is_judged_under_each_reading(published):
    """kills: a reading left out, a claim without tests taken for one that fails, a table that was
    not run taken for anything but that."""
    claims = [
        Claim(
            "§1",
            "good beats bad and wild",
            tests=(
                below("a", "table9", "fid", ("good",), ("bad",)),
                below("b", "table9", "fid", ("good",), ("wild",)),
                above("c", "table9", "fid", ("good",), ("bad",)),
                below("d", "table8", "fid", ("good",), ("bad",)),
            ),
            margin=SMALL,
        ),
        Claim("§2", "it looks nice", why="no eyes"),
    ]
    lines = judged(claims, published)
    assert [line.verdict for line in lines] == [
        *(Verdict.HOLDS, Verdict.UNDECIDED, Verdict.FAILS, Verdict.MISSING),
        Verdict.UNTESTABLE,
    ]
    assert lines[-1].why == "no eyes"


def test_a_claim_on_several_rows_as_one_is_an_error(published):
    """kills: the first of them judged."""
    claim = Claim("§1", "x", tests=(below("a", "table9", "fid", (), ("bad",)),), margin=SMALL)
    with pytest.raises(StoreError, match="table9"):
        judged([claim], published)


@pytest.mark.parametrize(("row", "key"), [(("nobody",), "fid"), (("good",), "beauty")])
def test_a_table_made_before_it_had_a_row_leaves_the_reading_unjudged(published, row, key):
    """kills: all claims refused while one table is older. (test_claims.py holds them to rows.)"""
    claim = Claim("§1", "x", tests=(below("a", "table9", key, row, ("bad",)),), margin=SMALL)
    (reading,) = judged([claim], published)
    assert (reading.verdict, reading.why) == (Verdict.MISSING, NO_ROWS)


def test_a_ledger_is_judged_as_its_simulations_are(tmp_path):
    """kills: a step of the adjustment that the simulated ledgers have and the published ones lack:
    here 200 contrasts, of which every second is nothing; margins of 1, a tenth of the base row."""
    values = np.random.default_rng(3).standard_normal((200, 10))
    values[::2] += 2.0
    rows = {(f"{i}",): {"fid": [10 + x for x in line]} for i, line in enumerate(values.tolist())}
    publish(tmp_path, "table9", {("base",): {"fid": [10.0] * 10}, **rows})
    tests = tuple(above(f"{i}", "table9", "fid", (f"{i}",), ("base",)) for i in range(200))
    claim = Claim("", "", tests=tests, margin=SMALL)
    made = judged([claim], PublishedTables(tmp_path))
    p = stats.false_discovery_control(stats.ttest_1samp(values, 0, axis=-1).pvalue)
    sides = [stats.ttest_1samp(values * s, -1, axis=-1, alternative="greater") for s in (1, -1)]
    within = stats.false_discovery_control(np.maximum(*(side.pvalue for side in sides)))
    wanted = [
        verdict(Tested(m, d, w), Expected.ABOVE, printed=True)
        for m, d, w in zip(values.mean(axis=1), p, within, strict=True)
    ]
    assert {*wanted} == {Verdict.HOLDS, Verdict.FAILS, Verdict.UNDECIDED}
    assert [reading.verdict for reading in made] == wanted
