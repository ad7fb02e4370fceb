"""The two sides of the training rows train one network: their weights at the end agree."""

from dataclasses import replace
from functools import partial

import pytest

from experiments.bench import lightning_run
from experiments.bench.lightning_run import BRIEF, expert
from experiments.bench.pairing import OtherWorkError, Room, measure
from experiments.recipes.experts import shortened
from experiments.recipes.images import SCALES
from experiments.recipes.video import VIDEO_SCALES
from modules.training import Optim


def test_a_shorter_recipe_keeps_its_shares():
    """kills: a warm-up longer than the run, an average that never starts, another batch or rate."""
    whole = Optim(1200, 32, 6e-3, warmup=120, final_lr=2e-4, ema=0.99, ema_start=300)
    assert shortened(whole, 400) == replace(whole, steps=400, warmup=40, ema_start=100)


def test_rows_are_of_the_scale_s_own_experts():
    """kills: a network, batch or data written out by hand, which a scale has left behind."""
    small = SCALES["small"]
    scales = (small, VIDEO_SCALES["small"], small)
    for row, scale in zip(lightning_run.LIGHTNING.rows, scales, strict=True):
        batch = scale.train.batch // scale.data.clusters
        assert str(scale.expert.size) in row.shapes
        assert row.shapes.endswith(f"batch {batch}")
        assert expert(scale, 5).optim.batch == batch


def small_run(loop):
    """A row of `smoke` against the loop."""
    prepare = partial(lightning_run._sides, SCALES["smoke"], BRIEF, loop)
    return replace(lightning_run.LIGHTNING.rows[0], prepare=prepare)


@pytest.mark.slow
@pytest.mark.parametrize("loop", [lightning_run.bare, lightning_run.together])
def test_both_sides_end_with_the_same_weights(loop, tmp_path):
    """kills: a bare loop without the clipping, the schedule or the average of the run, or one that
    starts from other weights; sides that differ and are timed all the same; a loop of the stack
    whose weights differ in a bit."""
    found = measure(small_run(loop), Room(tmp_path / "a", brief=True), 1)
    assert len(found.pairs) == 1
    assert found.alike[-1].within == (0 if loop is lightning_run.together else 1e-3)

    def other_rate(stage, store):
        return loop(replace(stage, optim=replace(stage.optim, lr=2 * stage.optim.lr)), store)

    with pytest.raises(OtherWorkError, match="averaged weights"):
        measure(small_run(other_rate), Room(tmp_path / "b", brief=True), 1)
