"""Experts in a stack: the bits of each alone, whatever trains beside it and whatever befalls.

The stack's arithmetic is held against the networks' own in tests/modules/test_stacking.py.
"""

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from safetensors.torch import load_file

from experiments.pipeline import build
from experiments.pipeline.files import StoreError
from experiments.pipeline.hardware import Hardware
from experiments.pipeline.launch.local import Local
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages.experts import Start
from experiments.training import checkpoints
from experiments.training import fit as loop
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.stacking import small
from tests.helpers.stages import killed_at, make, serial

SMOKE = turned(
    SCALES["smoke"],
    {
        "expert.size": Size(8, 1, 2),
        "train.steps": 60,
        "train.batch": 32,
        "train.ema": 0.9,
        "train.ema_start": 20,
    },
)
"""Checkpoints after steps 12, 24, 36, 48, 60; a line of log.csv at 49."""
KINDS = (FlowMatchingExpert, DDPMExpert, FlowMatchingExpert, FlowMatchingExpert)
FOUR = [experts.expert(SMOKE, kind, k, 0) for k, kind in enumerate(KINDS)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A store that holds the shards of smoke and no more."""
    store = Store(tmp_path_factory.mktemp("prepared"))
    make(store, experts.shards(SMOKE))
    return store


@pytest.fixture(scope="module")
def alone(prepared, tmp_path_factory):
    """The four, each trained by itself."""
    store = copied(prepared, tmp_path_factory.mktemp("alone") / "store")
    for stage in FOUR:
        make(store, stage)
    return store


@pytest.fixture
def store(prepared, tmp_path):
    return copied(prepared, tmp_path / "store")


def copied(prepared, root):
    shutil.copytree(prepared.root, root)
    return Store(root)


def context(store, stack=4):
    return Context(store, device="cpu", hardware=Hardware(stack=stack))


def same(store, alone, stages=FOUR):
    """Weights to the bit, logs to the digit, cards to the letter."""
    for stage in stages:
        for name in ("weights.safetensors", "log.csv", "card.json"):
            ours, theirs = (s.path(stage) / name for s in (store, alone))
            assert ours.read_bytes() == theirs.read_bytes(), (stage.label, name)


@pytest.mark.parametrize("height", [2, 3, 4])
def test_experts_in_a_stack_have_the_bits_of_each_alone(store, alone, height):
    """kills: one norm, one draw, one average or one schedule for all; rows of one that another
    sees; a member's objective or shards taken for another's; a product that hangs on the height."""
    for start in range(0, 4, height):
        store.make_stack(FOUR[start : start + height], context(store))
    same(store, alone)
    steps = pd.read_csv(store.path(FOUR[0]) / "log.csv")["step"].tolist()
    assert steps == [49]
    assert store.provenance(FOUR[0])["stack"] == height


@pytest.mark.parametrize("at", [[20], [40, 55]], ids=str)
def test_a_killed_stack_goes_on_in_any_company(store, alone, at):
    """kills: rows of a checkpoint given to another, the state of one kept for all."""

    def four(store_, _):
        store_.make_stack(FOUR, context(store_))

    for step in at:
        killed_at(store, FOUR[0], FlowMatchingExpert, "pose", step, make=four)
    found = [checkpoints.step(folder) for folder in making(store)]
    assert set(found) == {step // 12 * 12 for step in at[-1:]}
    make(store, FOUR[2])
    store.make_stack(FOUR, context(store))
    same(store, alone)


def test_those_that_a_kill_set_apart_are_not_mixed(store, alone):
    """kills: trainings at different steps joined in one stack, where one would repeat or skip."""
    killed_at(store, FOUR[0], FlowMatchingExpert, "pose", 50)
    killed_at(store, FOUR[2], FlowMatchingExpert, "pose", 30)
    assert sorted(checkpoints.step(folder) for folder in making(store)) == [24, 48]
    store.make_stack(FOUR, context(store))
    same(store, alone)


def making(store):
    return [path for path in (store.root / "making").iterdir() if path.is_dir()]


def test_who_has_ended_waits_for_the_others(store, alone):
    """kills: a finished member whose checkpoint goes before those behind it have ended: a kill then
    costs it the whole training."""
    killed_at(store, FOUR[0], FlowMatchingExpert, "pose", 50)

    def four(store_, _):
        store_.make_stack(FOUR, context(store_))

    killed_at(store, FOUR[0], FlowMatchingExpert, "pose", 49, make=four)
    killed_at(store, FOUR[0], DDPMExpert, "pose", 58, make=four)
    assert min(checkpoints.step(folder) for folder in making(store)) == 48
    store.make_stack(FOUR, context(store))
    same(store, alone)


def test_a_save_that_fails_costs_no_training(store, alone, monkeypatch):
    """kills: checkpoints deleted as the weights are saved, one by one."""
    real, saved = loop.save_weights, []

    def failing(network, path, write):
        saved.append(path)
        if len(saved) == 3:
            raise OSError("no space left on device")
        real(network, path, write)

    monkeypatch.setattr(loop, "save_weights", failing)
    with pytest.raises(StoreError, match="no space left"):
        store.make_stack(FOUR, context(store))
    assert [checkpoints.step(folder) for folder in making(store)] == [60] * 4
    store.make_stack(FOUR, context(store))
    same(store, alone)


def test_a_diverged_expert_is_no_artifact(store, monkeypatch):
    """kills: weights that are no numbers, stored as complete, alone or beside sound ones."""
    real = DDPMExpert.judged
    monkeypatch.setattr(
        DDPMExpert,
        "judged",
        lambda self, y, target: {"loss": real(self, y, target)["loss"] * math.nan},
    )
    monkeypatch.setattr(build.local, "map", serial)
    with pytest.raises(build.StagesFailed, match="not finite: the training diverged") as error:
        build.ensure(FOUR, context(store), Local())
    assert list(error.value.errors) == [FOUR[1]]


def test_a_gpu_has_stacks_of_one():
    """kills: products of several matrices where another kernel may round otherwise."""
    cpu, gpu = (
        Context(Store(Path("none")), device=name, hardware=Hardware()) for name in ("cpu", "cuda")
    )
    assert (cpu.stack, gpu.stack) == (4, 1)


def test_the_shapes_that_are_stacked():
    """kills: another limit, by which experts of a scale would train by other sums unnoticed."""
    found = {
        name: small(experts.network(scale, scale.data.source)) for name, scale in SCALES.items()
    }
    assert found == {
        "smoke": True, "small": True, "scenes": True, "emoji": True, "medium": False,
        "paper": False,
    }  # fmt: skip


def test_one_that_fails_costs_no_other(store, alone, monkeypatch):
    """kills: a damaged shard of one cluster that stops its neighbours, or goes unnamed."""
    folder = experts.shards(SMOKE).folders(store, [1])[0]
    (folder / "000000.tar").write_bytes(b"not a shard")
    monkeypatch.setattr(build.local, "map", serial)
    with pytest.raises(build.StagesFailed, match="cluster-01") as error:
        build.ensure(FOUR, context(store), Local())
    assert list(error.value.errors) == [FOUR[1]]
    same(store, alone, [FOUR[0], *FOUR[2:]])


def test_a_run_leaves_its_average(alone):
    """kills: the last weights saved in place of their average, in every stack alike."""
    last = replace(FOUR[0], optim=replace(FOUR[0].optim, ema=None))
    make(alone, last)
    one, two = (load_file(alone.path(s) / "weights.safetensors") for s in (FOUR[0], last))
    assert max(float((one[k] - x).abs().max()) for k, x in two.items()) > 1e-3


def test_who_stands_in_a_stack():
    """kills: other recipes, validated experts, those whose start is not there yet, in one stack; a
    worker left without; a monolith's batches beside an expert's."""
    eight = [experts.expert(SMOKE, FlowMatchingExpert, k, 0) for k in range(8)]
    monolith = experts.monolith(SMOKE, FlowMatchingExpert, 0)
    later = replace(eight[0], start=Start(eight[1]))
    longer = replace(eight[0], optim=replace(eight[0].optim, steps=61))
    groups = build.stacked([*eight, monolith, later, longer, experts.router(SMOKE, True, 0)], 4, 2)
    assert [len(group) for group in groups] == [4, 4, 1, 1, 1, 1]
    assert [len(group) for group in build.stacked(eight, 4, 4)] == [2, 2, 2, 2]
    assert [len(group) for group in build.stacked(eight, 1, 2)] == [1] * 8
    assert [len(group) for group in build.stacked(eight, 8, 1)] == [8]
    large = replace(eight[0], network=replace(eight[0].network, size=Size(384, 12, 6)))
    uneven = replace(eight[0], optim=replace(eight[0].optim, batch=5))
    assert large.stack_key is uneven.stack_key is None


def test_the_height_is_no_part_of_a_key():
    """kills: a dial of the machine by which every expert would be trained again."""
    assert "stack" not in str(FOUR[0].config)
    with pytest.raises(ValueError, match="--stack"):
        Hardware(stack=0)
