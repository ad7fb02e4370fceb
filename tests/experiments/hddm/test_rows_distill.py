"""distill: who learns from whom, and what as many FLOPs are."""

from types import SimpleNamespace

import pytest

from experiments.hddm import distill, table1
from experiments.recipes.images import SCALES
from experiments.stages.distilled import TrainStudent
from modules.distilling import StudentExpert
from modules.schedules import Linear
from modules.selection import Top
from tests.helpers.rows import EIGHT, FM, SEED, form, kind, rows_of

SCENES = SimpleNamespace(scale=SCALES["scenes"])
OWN = "the scale's"


@pytest.fixture(scope="module")
def rows():
    return rows_of(distill, SCENES)


@pytest.mark.parametrize("k", [1, 2])
def test_a_student_has_the_monoliths_recipe_and_its_ensemble_for_a_teacher(rows, k):
    """kills: a student of another ensemble than the row beside it, of another size, batch or
    number of steps than the monolith, or that samples under a router."""
    sample = rows[f"Student of Top-{k}", OWN].measured.pictures
    teacher = rows[f"Ensemble, Top-{k}", OWN].measured.pictures
    monolith = rows["Monolithic", OWN].measured.pictures.experts[0]
    (student,) = sample.experts
    assert isinstance(student, TrainStudent)
    assert kind(student) == (StudentExpert, Linear())
    assert (student.teachers, student.router) == (teacher.experts, teacher.router)
    assert student.selection == teacher.selection == Top(k)
    assert {kind(expert) for expert in teacher.experts} == {FM}
    assert form(teacher.router) == "text-aware"
    for name in ("shards", "clusters", "network", "optim", "text_dropout", "seed", "times"):
        assert getattr(student, name) == getattr(monolith, name)
    assert (student.clusters, student.seed, sample.router) == (EIGHT, SEED, None)
    assert {*teacher.experts, teacher.router} <= {*student.inputs()}


@pytest.mark.parametrize("k", [1, 2])
def test_a_longer_monolith_spends_what_experts_and_student_spend(rows, k):
    """kills: the teachers' answers for nothing, the student's own training left out, a forward
    pass that costs what a step costs. In evaluations of one network, a sample in training is 3."""
    name = f"Monolithic, as many FLOPs as experts and student of Top-{k}"
    (longer,) = rows[name, OWN].measured.pictures.experts
    teacher = rows[f"Ensemble, Top-{k}", OWN].measured.pictures
    (student,) = rows[f"Student of Top-{k}", OWN].measured.pictures.experts
    spent = sum(3 * e.optim.steps * e.optim.batch for e in teacher.experts)
    spent += (3 + k) * student.optim.steps * student.optim.batch
    step = 3 * longer.optim.batch
    assert spent - step < step * longer.optim.steps <= spent
    assert longer.clusters == EIGHT


def test_at_as_many_evaluations_the_ensemble_has_fewer_steps(rows):
    """kills: the same steps under two names; a row of Top-1, which costs what one network does."""
    steps = SCALES["scenes"].draw.steps
    equal = rows["Ensemble, Top-2", "as many evaluations"].measured.pictures
    assert equal.setting.steps == steps // 2
    assert ("Ensemble, Top-1", "as many evaluations") not in rows
    assert [*rows["Monolithic", OWN].measured.called] == [f"Top-{k}'s samples" for k in (1, 2)]
    others = {row.measured.pictures.setting.steps for (_, how), row in rows.items() if how == OWN}
    assert others == {steps}


def test_what_table_1_has_is_its_own(rows):
    """kills: networks trained twice for two tables; one expert of no cluster, or of all."""
    of_table_1 = rows_of(table1, SCENES)
    drawn = of_table_1["Monolithic", ""].measured
    assert rows["Monolithic", OWN].measured.pictures == drawn.pictures
    assert rows["Real pictures", ""].measured == of_table_1["Real pictures", ""].measured
    taught = [of_table_1[f"Top-{k}", "text-aware"].measured for k in (1, 2)]
    for k, ensemble in zip((1, 2), taught, strict=True):
        assert rows[f"Ensemble, Top-{k}", OWN].measured.pictures == ensemble.pictures
    for (name, _), row in rows.items():
        if name != "Real pictures":
            assert row.measured.judge == drawn.judge
            others = [x.pictures for x in taught if x.pictures != row.measured.pictures]
            assert [*row.measured.references] == others
    (alone,) = rows["One expert, of the largest cluster", OWN].measured.pictures.experts
    assert alone == of_table_1["Top-1", "text-aware"].measured.pictures.experts[0]
