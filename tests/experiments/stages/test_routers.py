"""Routers of sample sets: calibrated on pictures never seen, or an oracle, whatever the batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from datamodules.sources.source import Split
from experiments.pipeline.store import Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages.clusters import noised
from experiments.stages.routers import Known, at_rows, networks
from experiments.stages.seeds import MEASURING, run_seed
from metrics.calibration import log_loss
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.ensemble import Uniform
from modules.routing import Oracle, RouterNetwork, Tempered
from modules.schedules import Linear
from modules.selection import Full, Only
from tests.helpers.stages import make

SMOKE = turned(
    SCALES["smoke"],
    {
        "expert.size": Size(8, 1, 2),
        "router.size": Size(8, 1, 2),
        "data.clusters": 2,
        "train.batch": 16,
        "train.steps": 4,
        "draw.samples": 9,
        "router.train.steps": 6,
        "router.train.lr": 5e-2,
    },
)
EXPERTS = [experts.expert(SMOKE, FlowMatchingExpert, k, 0) for k in range(2)]
ORACLE, CALIBRATED = experts.oracle(SMOKE), experts.calibrated(SMOKE, True, 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two experts, a router, its temperature and the oracle."""
    store = Store(tmp_path_factory.mktemp("routed"))
    for stage in EXPERTS:
        make(store, stage)
    for stage in (CALIBRATED.router, CALIBRATED.pictures, CALIBRATED, ORACLE.heldout, ORACLE):
        make(store, stage)
    return store


def drawn(store, router, selection=Full(), **changes):
    """The pictures of a sample set, and the evaluations that they took."""
    stage = scores.score(SMOKE, EXPERTS, router, selection, 0).pictures
    stage = replace(stage, **changes)
    make(store, stage)
    return stage.images(store), stage.evaluations(store)


def test_the_oracle_knows_the_cluster_of_each_prompts_picture(store):
    """kills: clusters of another split, or a set longer than the split that runs off its end."""
    found = np.load(store.path(ORACLE) / "cluster.npy")
    cluster = experts.encoded(SMOKE, Split.HELDOUT).load(store)["cluster"]
    assert found.tolist() == cluster[:9].tolist()
    assert len(set(found)) == 2
    long = Known(ORACLE.heldout, 70)
    make(store, long)
    p = long.load(store).p
    assert p.shape == (70, 2)
    assert p.argmax(1).tolist() == [int(cluster[i % 32]) for i in range(70)]


@pytest.mark.parametrize("batch", [1, 4, 9, 20])
def test_under_the_oracle_every_row_is_its_own_experts(store, batch):
    """kills: a second batch that is given the first batch's clusters, or rows counted anew."""
    images, evaluations = drawn(store, ORACLE, batch=batch)
    alone = [drawn(store, None, Only(k))[0] for k in range(2)]
    assert np.abs(alone[0] - alone[1]).max(axis=(1, 2, 3)).min() > 1e-4
    cluster = np.load(store.path(ORACLE) / "cluster.npy")
    expected = np.stack([alone[k][i] for i, k in enumerate(cluster)])
    np.testing.assert_allclose(images, expected, atol=1e-5)
    steps = float(SMOKE.draw.steps)
    assert evaluations == {"expert_evaluations": steps, "router_evaluations": 0.0}


def test_the_temperature_is_the_best_on_the_judges_split(store):
    """kills: fitting on training pictures, on one draw, or labels repeated out of step."""
    router = CALIBRATED.router.load(store)
    data = experts.encoded(SMOKE, Split.JUDGE).load(store)
    logits = []
    with torch.no_grad():
        for i in range(CALIBRATED.draws):
            seed = run_seed(0, MEASURING, i)
            x, t, _, c = noised(data, Linear(), seed)
            logits.append(router.network(x, t, c))
    labels = np.tile(data["cluster"].numpy(), CALIBRATED.draws)

    def loss(t):
        return log_loss((torch.cat(logits).double() / t).softmax(1).numpy(), labels)

    found = CALIBRATED.temperature(store)
    assert 0.06 < found < 19
    assert loss(found) < min(loss(1.02 * found), loss(found / 1.02))
    assert abs(found - 1) > 0.02


def test_a_calibrated_router_is_the_router_tempered(store):
    """kills: a temperature that is fitted and then left aside, or a router of other weights."""
    router, calibrated = CALIBRATED.router.load(store), CALIBRATED.load(store)
    data = experts.encoded(SMOKE, Split.HELDOUT).load(store)
    x, t, _, c = noised(data, Linear(), 0)
    with torch.no_grad():
        logits = router.network(x, t, c) / CALIBRATED.temperature(store)
        torch.testing.assert_close(calibrated(x, t, c), logits.softmax(1), rtol=1e-4, atol=1e-5)


def test_a_routers_networks_are_counted_once_a_step(store):
    """kills: the temperature's own module counted too, or a wrapped router not counted at all."""
    plain, evaluations = drawn(store, CALIBRATED.router)
    tempered, again = drawn(store, CALIBRATED)
    steps = float(SMOKE.draw.steps)
    assert evaluations == again == {"expert_evaluations": 2 * steps, "router_evaluations": steps}
    assert np.abs(plain - tempered).max() > 1e-5


def test_the_networks_of_a_router():
    """kills: modules that no sample passes through counted for networks, or a nested one missed."""
    router = CALIBRATED.router.build()
    assert networks(router) == networks(Tempered(Tempered(router, 2.0), 2.0)) == [router.network]
    assert isinstance(router.network, RouterNetwork)
    expert = EXPERTS[0].build().network
    assert networks(nn.ModuleList([router, expert])) == [router.network, expert]
    oracle = Oracle(torch.tensor([0, 1]), 2)
    assert networks(Uniform(2)) == networks(oracle) == []
    assert at_rows(router, range(3)) is router


def test_the_router_is_part_of_the_key():
    """kills: an ensemble read from the store as if another router had routed it."""
    routers = [None, ORACLE, CALIBRATED.router, CALIBRATED, replace(CALIBRATED, draws=3)]
    made = [scores.score(SMOKE, EXPERTS, router, Full(), 0) for router in routers]
    assert len({score.pictures.key for score in made}) == 5
    assert all(
        router is None or router in score.pictures.inputs()
        for router, score in zip(routers, made, strict=True)
    )
