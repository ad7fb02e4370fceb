"""Routings of several experts a cluster, as stages: what they load is the router they name."""

import torch

from datamodules.sources.source import Split
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.stages.clusters import noised
from experiments.stages.routers import InRanges
from modules.schedules import Linear
from tests.helpers.stages import SMOKE, make


def test_a_router_in_ranges_gives_its_own_answers_to_each_range(tmp_path):
    """kills: boundaries lost on the way, another router's weights."""
    store, router = Store(tmp_path), experts.router(SMOKE, True, 0)
    stage, heldout = InRanges(router, (0.5,)), experts.encoded(SMOKE, Split.HELDOUT)
    for each in (stage, heldout):
        make(store, each)
    x, t, _, c = noised(heldout.load(store), Linear(), 0)
    with torch.inference_mode():
        plain, parted = (each.load(store)(x, t, c) for each in (router, stage))
    high = (t > 0.5)[:, None]
    assert high.any()
    assert not high.all()
    assert torch.equal(parted, torch.cat([plain * ~high, plain * high], 1))
    assert not torch.allclose(plain, plain[:1].expand_as(plain), atol=1e-5)
