"""ablation-k: so many experts of so many clusters, what all spend in training and in sampling."""

from types import SimpleNamespace

from experiments.hddm import ablation_k, table1
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.scores.judge import Judge
from modules.selection import Full, Only, Top
from tests.helpers.rows import FM, SEED, kind, rows_of

SCENES = SimpleNamespace(scale=SCALES["scenes"])
STEPS, BATCH = SCALES["scenes"].draw.steps, SCALES["scenes"].train.batch
ASKED = {"Top-1": lambda k: 1, "Top-2": lambda k: 2, "Full": lambda k: k}
SELECTIONS = {"Top-1": Top(1), "Top-2": Top(2), "Full": Full()}


def test_experts_share_one_budget_of_training_and_one_of_sampling():
    """kills: a whole batch for each expert, the learning rate of another, K experts of other
    clusters than K, a router of another K, other evaluations for larger K where they are to be
    equal, a K left out."""
    rows, seen = rows_of(ablation_k, SCENES), set()
    for (equal, router, strategy, k), row in rows.items():
        if strategy.startswith(("Real", "Monolithic, ")):
            continue
        sample, k = row.measured.pictures, int(k)
        assert isinstance(row.measured.judge, Judge)
        assert sum(e.optim.batch for e in sample.experts) == BATCH
        assert {e.optim for e in sample.experts} == {experts.of_batch(SCENES.scale, BATCH // k)}
        assert {(kind(e), e.seed, e.optim.steps) for e in sample.experts} == {
            (FM, SEED, SCALES["scenes"].train.steps)
        }
        seen.add((equal, router, strategy, k))
        if strategy == "Monolithic":
            assert (k, router, sample.selection) == (1, "", Only(0))
            asked = 1
        else:
            assert [e.clusters for e in sample.experts] == [(i,) for i in range(k)]
            assert {e.shards.k for e in sample.experts} == {k} == {sample.router.shards.k}
            assert sample.router.clusters == tuple(range(k))
            assert sample.router.reads_text == (router == "text-aware")
            assert sample.selection == SELECTIONS[strategy]
            asked = ASKED[strategy](k)
        spent = asked * sample.setting.steps
        if equal == "as many solver steps":
            assert sample.setting.steps == STEPS
        else:
            assert spent == 16 * 5
    strategies = [("Top-1", k) for k in (2, 4, 8, 16)] + [("Top-2", k) for k in (4, 8, 16)]
    strategies += [("Full", k) for k in (2, 4, 8, 16)]
    forms = [(form, *each) for form in ("text-free", "text-aware") for each in strategies]
    forms.append(("", "Monolithic", 1))
    wanted = {(e, *x) for e in ("as many solver steps", "as many evaluations") for x in forms}
    assert seen == wanted


def test_the_monolith_is_drawn_in_fulls_few_steps_too():
    """kills: Euler's error at few steps told as the number of experts'."""
    rows = rows_of(ablation_k, SCENES)
    few = {k: row for k, row in rows.items() if k[2].startswith("Monolithic, ")}
    full = {
        row.measured.pictures.setting.steps
        for (equal, _, strategy, _), row in rows.items()
        if (equal, strategy) == ("as many evaluations", "Full")
    }
    assert {row.measured.pictures.setting.steps for row in few.values()} == full == {5, 10, 20, 40}
    plain = rows["as many solver steps", "", "Monolithic", "1"].measured.pictures
    for (_, _, strategy, _), row in few.items():
        steps = row.measured.pictures.setting.steps
        assert strategy == f"Monolithic, {steps} steps"
        assert row.measured.pictures.experts == plain.experts


def test_eight_and_one_are_table_1s():
    """kills: networks trained twice for two tables."""
    rows, of_table_1 = rows_of(ablation_k, SCENES), rows_of(table1, SCENES)
    equal = "as many solver steps"
    monolith = rows[equal, "", "Monolithic", "1"].measured
    assert monolith == of_table_1["Monolithic", ""].measured
    for strategy in SELECTIONS:
        for form in ("text-free", "text-aware"):
            eight = rows[equal, form, strategy, "8"].measured
            assert eight == of_table_1[strategy, form].measured
