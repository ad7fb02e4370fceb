"""float16 with its gradients scaled (HDDM, §6.2): what a step is, and what an overflow does."""

import itertools
from dataclasses import replace

import pytest
import torch

from experiments.cli import options
from experiments.pipeline.hardware import Hardware, Strategy
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.training.strategies import Scaled, strategy
from modules.blocks import Size
from modules.denoising import DenoisingExpert, FlowMatchingExpert
from modules.together import Together
from modules.training import Precision, ScaledPrecision, half
from tests.helpers.stages import killed_at, make

CLIP = 0.01
"""So small that it binds at every step."""
SMOKE = turned(
    SCALES["smoke"],
    {"data.clusters": 2, "expert.size": Size(8, 2, 2), "train.batch": 8, "train.clip": CLIP},
)
EXPERT = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
HALF = replace(EXPERT, optim=replace(EXPERT.optim, precision=ScaledPrecision.FP16))
FIRST_SCALE = 2.0**16
"""torch's."""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with the shards."""
    store = Store(tmp_path_factory.mktemp("store"))
    make(store, EXPERT.shards)
    return store


@pytest.fixture
def steps(monkeypatch):
    """What each optimiser step leaves: (the gradients that it used, the weights behind it)."""
    made, average = [], Together._take_into_average

    def recorded(self, step):
        made.append((self.flat.gradient.clone(), self.flat.weights.detach().clone()))
        average(self, step)

    monkeypatch.setattr(Together, "_take_into_average", recorded)
    return made


def alone(store, root):
    """A store of its own, with those shards."""
    (root / "shards").parent.mkdir(parents=True)
    (root / "shards").symlink_to(store.root / "shards")
    return Store(root)


def trained(store, root, stage):
    own = alone(store, root)
    return own.make(stage, Context(own, device="cpu"))


def test_a_scaled_step_is_the_unscaled_one(store, tmp_path, steps):
    """kills: gradients clipped before they are unscaled, or unscaled twice or never; weights kept
    in half; a precision that nothing reads."""
    trained(store, tmp_path / "single", EXPERT)
    single = [*steps]
    steps.clear()
    trained(store, tmp_path / "half", HALF)
    assert len(steps) == len(single) == EXPERT.optim.steps
    (ours, after), (theirs, wanted) = steps[0], single[0]  # from the same weights
    assert ours.dtype == after.dtype == torch.float32
    assert float(ours.norm()) == pytest.approx(CLIP, rel=1e-3)
    assert 0 < float((ours - theirs).norm()) < 2**-7 * float(theirs.norm())
    lr = EXPERT.optim.lr * EXPERT.optim.rate(0)
    assert float((after - wanted).abs().max()) <= 2.01 * lr  # where a sign of nearly 0 turns
    assert float((after - wanted).abs().mean()) < 0.02 * lr
    assert float((steps[-1][1] - single[-1][1]).abs().max()) < 0.05


def test_a_step_that_overflows_is_skipped_and_the_scale_halves(store, tmp_path, monkeypatch, steps):
    """kills: infinities in the weights, a scale that stays or that falls at every step, a step
    skipped for good."""
    judged, step, scales, overflows = DenoisingExpert.judged, Scaled.optimizer_step, [], (2, 5)

    def huge(self, y, target):
        numbers = judged(self, y, target)
        large = 1e30 if len(steps) in overflows else 1.0
        return {name: large * x for name, x in numbers.items()}

    def recorded(self, *arguments, **named):
        before = self.scaler.get_scale()
        made = step(self, *arguments, **named)
        scales.append((before, self.scaler.get_scale()))
        return made

    monkeypatch.setattr(DenoisingExpert, "judged", huge)
    monkeypatch.setattr(Scaled, "optimizer_step", recorded)
    trained(store, tmp_path / "half", HALF)
    same = [torch.equal(a, b) for (_, a), (_, b) in itertools.pairwise(steps)]
    assert [i + 1 for i, kept in enumerate(same) if kept] == [*overflows]
    scale = FIRST_SCALE
    for i, (before, after) in enumerate(scales):
        assert before == scale
        scale = scale / 2 if i in overflows else scale
        assert after == scale
    assert all(bool(weights.isfinite().all()) for _, weights in steps)


def test_a_killed_run_goes_on_with_its_scale(store, tmp_path, monkeypatch):
    """kills: a checkpoint without the scale, which would go on from torch's first: the steps after
    an overflow would be skipped anew, or scaled by another number."""
    pose, judged = FlowMatchingExpert.pose, DenoisingExpert.judged
    step, scales = Scaled.optimizer_step, {}

    def posed(self, batch):
        self.now = int(batch["step"])
        return pose(self, batch)

    def huge(self, y, target):
        large = 1e30 if self.now == 1 else 1.0
        return {name: large * x for name, x in judged(self, y, target).items()}

    def recorded(self, optimizer, model, closure, **named):
        scales.setdefault(model.trainer.global_step, []).append(self.scaler.get_scale())
        return step(self, optimizer, model, closure, **named)

    monkeypatch.setattr(FlowMatchingExpert, "pose", posed)
    monkeypatch.setattr(DenoisingExpert, "judged", huge)
    whole = trained(store, tmp_path / "whole", HALF) / "weights.safetensors"
    monkeypatch.setattr(Scaled, "optimizer_step", recorded)
    resumed = alone(store, tmp_path / "killed")
    killed_at(resumed, HALF, FlowMatchingExpert, "pose", 7)
    made = resumed.make(HALF, Context(resumed, device="cpu"))
    assert 1 < min(scales) <= 7  # it went on, and behind the overflow
    assert {tuple(found) for found in scales.values()} == {(FIRST_SCALE / 2,)}
    assert (made / "weights.safetensors").read_bytes() == whole.read_bytes()


def test_what_scales_its_gradients_shares_no_step():
    """kills: experts in one stack, of which one's overflow skips the other's step; parts of a
    network that skip by themselves."""
    assert EXPERT.stack_key is not None
    assert HALF.stack_key is None
    with pytest.raises(ValueError, match="fsdp scales no float16"):
        strategy(Hardware(devices=2, strategy=Strategy.FSDP), ScaledPrecision.FP16)


def test_samples_are_drawn_in_the_half_that_was_trained():
    """kills: float16 drawn in bfloat16, or in single."""
    every = (*Precision, *ScaledPrecision)
    assert [half(p) for p in every] == [None, torch.bfloat16, torch.float16]
    dials = options.parse("t", "T", ["--scale=smoke", "--scale.train.precision=FP16"], SCALES)
    assert dials.scale.train.precision is ScaledPrecision.FP16
    drawn = scores.default(dials.scale).precision
    assert drawn is ScaledPrecision.FP16
