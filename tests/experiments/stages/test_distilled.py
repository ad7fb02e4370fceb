"""A student as a stage: whom it asks, and that it learns from them and samples as experts do."""

import dataclasses

import pytest
import torch

from datamodules.sources.source import Split
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.stages.distilled import TrainStudent
from modules.denoising import FlowMatchingExpert
from modules.distilling import StudentExpert
from modules.ensemble import Ensemble
from modules.selection import Full, Top
from tests.helpers.stages import SMOKE, make

TEACHERS = tuple(experts.mixed(SMOKE, FlowMatchingExpert, {}, 0))
ROUTER = experts.router(SMOKE, True, 0)
PLAIN = experts.monolith(SMOKE, StudentExpert, 0)
OWN = {field.name: getattr(PLAIN, field.name) for field in dataclasses.fields(PLAIN)}


def student(selection=Full(), teachers=TEACHERS, router=ROUTER):
    return TrainStudent(**OWN, teachers=teachers, router=router, selection=selection)


def test_it_learns_what_its_teachers_say(tmp_path):
    """kills: untrained teachers, a teacher left out, an optimiser that trains them too, weights
    that are not loaded again. The loss that is left is that to the ensemble's own answer."""
    store, stage, heldout = Store(tmp_path), student(), experts.encoded(SMOKE, Split.HELDOUT)
    for each in (stage, heldout):
        make(store, each)
    data = heldout.load(store)
    batch = {name: data[name] for name in ("x0", "tokens", "pooled")}
    asked = stage.begun(store).pose({**batch, "step": torch.tensor(0)})
    teachers = [each.load(store).expert() for each in TEACHERS]
    field = Ensemble(teachers, ROUTER.load(store), Full())
    with torch.no_grad():
        torch.testing.assert_close(asked.target, field(asked.x_t, asked.t, asked.c))
        losses = [
            float((module.network(asked.x_t, asked.t, asked.c) - asked.target).square().mean())
            for module in (stage.load(store), stage.build())
        ]
    assert losses[0] < losses[1]
    assert stage.load(store).expert().objective == FlowMatchingExpert.objective


def test_its_key_is_of_all_that_it_asks():
    """kills: a student of other teachers, or another selection, found under the same key."""
    every = [student(), student(Top(1)), student(teachers=TEACHERS[:1]), PLAIN]
    every.append(student(router=experts.router(SMOKE, False, 0)))
    assert len({stage.key for stage in every}) == len(every)
    assert {*TEACHERS, ROUTER} <= {*student().inputs()}
    assert student().stack_key is None


def test_one_without_a_router_is_refused(tmp_path):
    """kills: a student that learns from the data in silence."""
    store, stage = Store(tmp_path), student(router=None)
    with pytest.raises(ValueError, match="needs a router"):
        stage.begun(store)
