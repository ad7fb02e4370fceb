"""Every stage of a small ensemble at `smoke`, made on the CPU and on a device: they agree."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from experiments.hddm.variants import STRATEGIES
from experiments.pipeline.build import behind
from experiments.pipeline.hardware import Hardware, Strategy
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert

SMOKE = turned(
    SCALES["smoke"],
    {"data.clusters": 2, "expert.size": Size(8, 1, 2), "router.size": Size(8, 1, 2)},
)
NEAR, NEARLY_ALL = 2e-2, 0.95


def made(root, stages, **hardware):
    """The stages in a store of their own."""
    store = Store(root)
    for stage in stages:
        store.make(stage, Context(store, **hardware))
    return store


def stages():
    """Top-2 of two experts under a router, with its score, inputs first."""
    trained = experts.mixed(SMOKE, FlowMatchingExpert, {}, 0)
    router = experts.router(SMOKE, True, 0)
    return behind([scores.score(SMOKE, trained, router, STRATEGIES["Top-2"], 0)])


def arrays(folder):
    """{file and name: numbers} of every array that an artifact holds."""
    read = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".npy":
            read[name] = np.load(path)
        elif path.suffix == ".safetensors":
            read |= {f"{name} {key}": x.numpy() for key, x in load_file(path).items()}
        elif path.name == "measured.json":
            numbers = json.loads(path.read_text())
            read[name] = np.array([v for v in numbers.values() if isinstance(v, int | float)])
    return read


def apart(one, other):
    """How far two arrays are apart, over the size of the first; of whole numbers, how many."""
    if not np.issubdtype(one.dtype, np.floating):
        return 0.0 if (one == other).mean() >= NEARLY_ALL else 1.0
    one, other = one.astype(np.float64), other.astype(np.float64)
    return np.linalg.norm(one - other) / max(np.linalg.norm(one), 1e-6)


@pytest.mark.slow
def test_every_stage_agrees_with_the_cpu(device, tmp_path):
    """kills: a stage that computes on a device something else, loses rows there, draws its noise
    there, or cannot run there; on the CPU, one that differs from run to run."""
    wanted = stages()
    cpu = made(tmp_path / "cpu", wanted, device="cpu")
    there = made(tmp_path / "there", wanted, device=device.type)
    compared = 0
    for stage in wanted:
        own, others = arrays(cpu.path(stage)), arrays(there.path(stage))
        assert own.keys() == others.keys(), stage.label
        for name, x in own.items():
            assert x.shape == others[name].shape, (stage.label, name)
            most = 0.0 if device.type == "cpu" else NEAR
            assert apart(x, others[name]) <= most, (stage.label, name)
            compared += 1
    assert compared > 40


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="fewer than two CUDA devices")
@pytest.mark.parametrize("strategy", list(Strategy))
def test_two_devices_train_as_one(strategy, tmp_path):
    """kills: DDP or FSDP that trains another network than one device does. (That it runs on two
    processes of a CPU, `tests/experiments/training/test_distributed.py` says.)"""
    stage = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
    wanted, ends = behind([stage]), []
    for devices in (1, 2):
        hardware = Hardware(devices, strategy if devices > 1 else Strategy.DDP)
        store = made(tmp_path / str(devices), wanted, device="cuda", hardware=hardware)
        ends.append(load_file(store.path(stage) / "weights.safetensors"))
    one, two = (torch.cat([x.flatten() for x in end.values()]) for end in ends)
    assert (one - two).norm() / one.norm() < NEAR
