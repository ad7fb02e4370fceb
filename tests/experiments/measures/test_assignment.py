"""The rule that gives each cluster its objective: its errors, and what it makes of them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from datamodules.sources.source import Split
from experiments.measures.assignment import LEVELS, Assigned, ByObjective, ErrorOf
from experiments.measures.losses import ByNoise, noise_like
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.stages.clusters import noised
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.schedules import Linear
from modules.text import Text
from tests.helpers.stages import SMOKE, make

SEED, DRAWS = 4, 2
HELDOUT = experts.encoded(SMOKE, Split.HELDOUT)


def errors(kind=ByObjective, **more):
    fm, ddpm = (
        tuple(experts.mixed(SMOKE, module, {}, SEED)) for module in (FlowMatchingExpert, DDPMExpert)
    )
    return kind(fm, ddpm, HELDOUT, DRAWS, SEED, **more)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    store, stage = Store(tmp_path_factory.mktemp("store")), errors()
    make(store, stage)
    return store, stage


def test_x0_errors_are_those_by_noise_level(measured):
    """kills: pictures of other clusters, kinds exchanged, one level for all, other noise for the
    second kind. ByNoise has them at each level, in float64."""
    store, stage = measured
    for k, pair in enumerate(zip(stage.first, stage.second, strict=True)):
        found = stage.read(store)[f"{k}"]["x0"]
        for error, expert in zip(found, pair, strict=True):
            levels = ByNoise(expert, HELDOUT, LEVELS, DRAWS, 1, SEED)
            make(store, levels)
            each = [levels.read(store)[f"{level:g}"]["x0_error"] for level in LEVELS]
            assert error == pytest.approx(np.mean(each), rel=1e-3)


def test_velocity_errors_of_an_fm_expert_are_its_loss(measured):
    """kills: times of a part of [0, 1], a converted answer, an error summed over pixels."""
    store, stage = measured
    data = HELDOUT.load(store)
    for k, expert in enumerate(stage.first):
        own = data["cluster"] == k
        x0, n = data["x0"][own], int(own.sum())
        c = Text.of(data["tokens"][own], data["pooled"][own])
        module, losses = expert.load(store), []
        for j in range(DRAWS):
            t = (torch.arange(n) + (j + 0.5) / DRAWS) / n
            with torch.no_grad():
                losses.append(float(module.loss(x0, t, noise_like(x0, SEED, len(LEVELS), j), c)))
        found = stage.read(store)[f"{k}"]["velocity"]
        assert found[0] == pytest.approx(np.mean(losses), rel=1e-5)
        assert found[1] != pytest.approx(found[0], rel=1e-3)


@dataclass(frozen=True)
class Typed(ByObjective):
    """Errors by hand: by x0 the second kind errs less on cluster 0 alone, by velocity on 1."""

    def measure(self, folder, context):
        return {
            "0": {"x0": [0.3, 0.2], "velocity": [0.2, 0.3]},
            "1": {"x0": [0.2, 0.2], "velocity": [0.5, 0.1]},
        }


@pytest.mark.parametrize(("judged", "choice"), [(ErrorOf.X0, [1, 0]), (ErrorOf.VELOCITY, [0, 1])])
def test_each_cluster_gets_the_kind_that_errs_less(tmp_path, judged, choice):
    """kills: the larger error chosen, a draw given to the second kind, one error for the other,
    the choice of another cluster asked in sampling."""
    store, router = Store(tmp_path), experts.router(SMOKE, True, 0)
    stage = Assigned(router, errors(Typed), judged)
    for each in (stage, HELDOUT):
        make(store, each)
    assert stage.choice(store) == choice
    x, t, _, c = noised(HELDOUT.load(store), Linear(), 0)
    with torch.inference_mode():
        plain, chosen = (each.load(store)(x, t, c) for each in (router, stage))
    expected = torch.zeros(len(x), 4)
    for k, kind in enumerate(choice):
        expected[:, 2 * kind + k] = plain[:, k]
    assert torch.equal(chosen, expected)
