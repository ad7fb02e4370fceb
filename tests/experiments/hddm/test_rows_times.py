"""ablation-times: what each row's experts are trained at, on how many samples, and who is asked."""

from types import SimpleNamespace

import pytest
import torch

from experiments.hddm import ablation_times, settings, table1
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.stages.routers import InRanges
from modules.denoising import FlowMatchingExpert
from modules.selection import Top
from modules.stacking import stackable
from modules.times import Between, MinSNR, MinSNRExpert
from modules.training import LogitNormal, UniformTimes
from tests.helpers.rows import EIGHT, SEED, rows_of

SCENES = SimpleNamespace(scale=SCALES["scenes"])
TRAIN = SCALES["scenes"].train
BATCH = TRAIN.batch
DENSITIES = {
    "uniform": (UniformTimes(), FlowMatchingExpert),
    "logit-normal": (LogitNormal(), FlowMatchingExpert),
    "min-SNR, by density": (MinSNR(), FlowMatchingExpert),
    "min-SNR, by weight": (UniformTimes(), MinSNRExpert),
}


@pytest.fixture(scope="module")
def rows():
    return rows_of(ablation_times, SCENES)


def test_every_density_trains_a_monolith_and_eight_experts(rows):
    """kills: one density for all, a weight without its loss, weight and density at once, a router
    that is trained anew for each."""
    routers = set()
    for name, (times, module) in DENSITIES.items():
        one, each = (rows[name, data].measured.pictures for data in ("all data", "a cluster each"))
        assert [expert.clusters for expert in (*one.experts, *each.experts)] == [
            EIGHT,
            *((k,) for k in EIGHT),
        ]
        trained = (*one.experts, *each.experts)
        assert {(e.times, e.module, e.seed) for e in trained} == {(times, module, SEED)}
        assert [e.optim.batch for e in trained] == [BATCH, *[BATCH // 8] * 8]
        assert (each.selection, each.router.reads_text) == (Top(2), True)
        routers.add(each.router)
    assert len(routers) == 1


@pytest.mark.parametrize("boundary", [0.25, 0.5])
def test_two_experts_of_ranges_share_the_samples_of_one(rows, boundary):
    """kills: ranges exchanged between training and sampling, the whole batch for each, halves of
    unequal ranges, the learning rate of another batch, a range of all times, a threshold in
    sampling that is another than that of training."""
    name = f"t to {boundary:g}, t from {boundary:g}"
    ranges = {Between(0, boundary): boundary, Between(boundary, 1): 1 - boundary}
    one, each = (rows[name, data].measured.pictures for data in ("all data", "a cluster each"))
    for sample, wanted in (
        (one, [(EIGHT, times, share * BATCH) for times, share in ranges.items()]),
        (each, [((k,), t, share * BATCH / 8) for t, share in ranges.items() for k in EIGHT]),
    ):
        assert [(e.clusters, e.times, e.optim.batch) for e in sample.experts] == wanted
        for e in sample.experts:
            assert e.optim == experts.of_batch(SCENES.scale, e.optim.batch)
            assert e.optim.lr == pytest.approx(TRAIN.lr * (e.optim.batch / BATCH) ** 0.5)
            assert stackable(e.network, e.optim.batch)
    (plain,) = {rows[d, "a cluster each"].measured.pictures.router for d in DENSITIES}
    assert each.router == InRanges(plain, (boundary,))
    for t in (boundary - 0.01, boundary, boundary + 0.01, 1.0):
        weight = one.selection.weights(torch.full((1, 2), 0.5), torch.tensor([t]))[0]
        (asked,) = [e for e, w in zip(one.experts, weight, strict=True) if w > 0]
        assert asked.times.low <= t <= asked.times.high


def test_uniform_rows_are_table_1s(rows):
    """kills: networks trained twice for two tables."""
    of_table_1 = rows_of(table1, SCENES)
    assert rows["Real pictures", ""].measured == of_table_1["Real pictures", ""].measured
    assert rows["uniform", "all data"].measured == of_table_1["Monolithic", ""].measured
    assert rows["uniform", "a cluster each"].measured == of_table_1["Top-2", "text-aware"].measured


def test_smoke_has_two_clusters_of_scenes():
    """kills: eight experts and every boundary where the plumbing alone is tried."""
    smoke = settings.beyond(SCALES["smoke"])
    assert (smoke.data.clusters, smoke.data.source.name) == (2, "scenes")
    assert len(ablation_times.TABLE.rows(SCALES["smoke"], 0)) == 11
    assert settings.beyond(SCALES["scenes"]) == SCALES["scenes"]
