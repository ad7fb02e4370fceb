"""What a sample costs: evaluations as counted, times what a forward pass of each network takes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from experiments.hddm import ablation_sampling
from experiments.measures.resources import _blank
from experiments.pipeline.store import Context, Store
from experiments.recipes.images import SCALES
from experiments.scores.score import Score
from modules.routing import RouterNetwork

SMALL = SCALES["small"]
EVALUATIONS = {"expert_evaluations": 100.0, "router_evaluations": 26.0}


def forward(network, shape, pooled):
    """FLOPs of a forward pass of one sample, counted."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*_blank(shape, 1, pooled))
    return counter.get_total_flops()


@pytest.mark.parametrize("form", ["text-free", "text-aware"])
def test_a_sample_costs_its_evaluations_of_both_kinds(form, tmp_path, monkeypatch):
    """kills: the router's left out, or counted as an expert's; a backward pass counted; the caption
    of a router that reads none; a thousand for a million."""
    rows = ablation_sampling.TABLE.rows(SMALL, 0)
    (costed,) = (r.measured for r in rows if [*r.names.values()] == ["router every 2 steps", form])
    monkeypatch.setattr(Score, "read", lambda self, store: dict(EVALUATIONS))
    with torch.device("meta"):
        expert, router = costed.samples.experts[0].network, costed.samples.router
        pooled = router.shards.text.pooled if router.reads_text else None
        each = (
            forward(expert.build(), expert, None),
            forward(RouterNetwork(router.network, 8, pooled), router.network, pooled),
        )
    expected = 100 * each[0] + 26 * each[1]
    found = costed.measure(tmp_path, Context(Store(tmp_path)))
    assert found["megaflops"] == pytest.approx(expected / 1e6, rel=0.05)  # a third of both passes
    assert {*EVALUATIONS} < {*found}
