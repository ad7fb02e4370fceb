"""The two sides of the training rows train one network: their weights at the end agree."""

from dataclasses import replace

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
    for row, scale in zip(
        lightning_run.LIGHTNING.rows, (SCALES["small"], VIDEO_SCALES["small"]), strict=True
    ):
        batch = scale.train.batch // scale.data.clusters
        assert str(scale.expert.size) in row.shapes
        assert row.shapes.endswith(f"batch {batch}")
        assert expert(scale, 5).optim.batch == batch


@pytest.mark.slow
def test_both_sides_end_with_the_same_weights(tmp_path, monkeypatch):
    """kills: a bare loop without the clipping, the schedule or the average of the run, or one that
    starts from other weights; sides that differ and are timed all the same."""
    row = replace(
        lightning_run.LIGHTNING.rows[0],
        prepare=lambda room: lightning_run._sides(SCALES["smoke"], BRIEF, room),
    )
    found = measure(row, Room(tmp_path / "a", brief=True), 1)
    assert len(found.pairs) == 1
    honest = lightning_run.bare

    def other_rate(stage, store):
        return honest(replace(stage, optim=replace(stage.optim, lr=2 * stage.optim.lr)), store)

    monkeypatch.setattr(lightning_run, "bare", other_rate)
    with pytest.raises(OtherWorkError, match="averaged weights"):
        measure(row, Room(tmp_path / "b", brief=True), 1)
