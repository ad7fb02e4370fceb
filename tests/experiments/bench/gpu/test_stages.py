"""Stages at `smoke`, of pictures and of clips, made on the CPU and on a device: they agree."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from datamodules.shards import read_index, read_shard
from datamodules.sources.source import Split
from experiments.hddm import ablation_join, distill, readings
from experiments.hddm.variants import STRATEGIES
from experiments.measures.alignment import Aligned
from experiments.measures.evidence import Evidence
from experiments.measures.losses import ByNoise
from experiments.measures.routing import Routed
from experiments.measures.trajectories import Trajectories
from experiments.paris2 import later
from experiments.pipeline.build import behind
from experiments.pipeline.hardware import Hardware, Strategy
from experiments.pipeline.storage.remote import CONFIG, MARKER
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.stages.run import Validation
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.mmdit import MMSize

SMOKE = turned(
    SCALES["smoke"],
    {"data.clusters": 2, "expert.size": Size(8, 1, 2), "router.size": Size(8, 1, 2)},
)
CLIPS = turned(
    VIDEO_SCALES["smoke"], {"expert.size": MMSize(8, 1, 1, 1), "router.size": Size(8, 1, 2)}
)
NEAR, NEARLY_ALL = 2e-2, 0.95


def made(root, stages, **hardware):
    """The stages in a store of their own, but for those that are there."""
    store = Store(root)
    for stage in stages:
        store.make(stage, Context(store, **hardware))
    return store


def top_two(scale, others):
    """The score of Top-2 under a router, of FM experts but for the clusters in `others`."""
    trained = experts.mixed(scale, FlowMatchingExpert, others, 0)
    router = experts.router(scale, True, 0)
    how = readings.corrected(scores.default(scale))
    return scores.score(scale, trained, router, STRATEGIES["Top-2"], 0, how)


def measures():
    """Those of a router with a temperature, of heads in its place, of samples and of an expert."""
    sample = top_two(SMOKE, {0: DDPMExpert}).pictures
    heldout = experts.encoded(SMOKE, Split.HELDOUT)
    heads = ablation_join._rules(SMOKE, (0, 1), 0)["heads"]
    return [
        Routed(experts.calibrated(SMOKE, True, 0), heldout, 0, draws=1),
        Routed(heads, heldout, 0, draws=1),
        Aligned(sample, heldout, (0.9, 0.5)),
        Trajectories(sample, (0.9, 0.5)),
        ByNoise(sample.experts[0], heldout, (0.2, 0.8), draws=1, batches=1, seed=0),
    ]


def bounds():
    """The scores of pictures that are only decoded, and of Top-1 under the oracle."""
    trained = experts.mixed(SMOKE, FlowMatchingExpert, {}, 0)
    routed = scores.score(SMOKE, trained, experts.oracle(SMOKE), STRATEGIES["Top-1"], 0)
    return [scores.decoded(SMOKE, 0), routed]


def clips():
    """The score of Top-2, and what its router goes by."""
    score = top_two(CLIPS, {})
    router = score.pictures.router
    return [score, Evidence(router, router.shards, 0)]


def further():
    """An expert of clips trained on from another, for image-to-video, and one that is validated."""
    heldout = experts.encoded(SMOKE, Split.HELDOUT)
    plain = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
    begun = later.later(CLIPS, experts.expert(CLIPS, FlowMatchingExpert, 0, 0))
    return [begun, replace(plain, validation=Validation(heldout, every=4, draws=1))]


CHAINS = {
    "a DDPM and an FM expert": lambda: [top_two(SMOKE, {0: DDPMExpert})],
    "a student": lambda: [scores.alone(SMOKE, distill.student(SMOKE, 1, 0), 0)],
    "bounds": bounds,
    "measures": measures,
    "clips": clips,
    "trained further": further,
}


def written(path):
    """The numbers and the words in a file of JSON, whatever they are called."""
    left, numbers, words = [json.loads(path.read_text())], [], []
    while left:
        value = left.pop()
        if isinstance(value, dict | list):
            left += value.values() if isinstance(value, dict) else value
        elif isinstance(value, str):
            words.append(value)
        else:
            numbers.append(np.nan if value is None else value)
    return {"numbers": np.array(numbers, dtype=np.float64), "words": np.array(words, dtype=str)}


def unpacked(path):
    """The arrays of a shard, which its index has the digest of."""
    (shard,) = (each for each in read_index(path.parent) if each.path == path)
    return read_shard(shard)


READERS = {
    ".npy": lambda path: {"": np.load(path)},
    ".npz": lambda path: dict(np.load(path)),
    ".safetensors": lambda path: {key: x.numpy() for key, x in load_file(path).items()},
    ".tar": unpacked,
    ".json": written,
    ".csv": lambda path: dict(pd.read_csv(path, float_precision="round_trip")),
}
ABOUT = (CONFIG, MARKER, "index.json")
"""What says how an artifact was made, and what a shard's bytes are."""


def arrays(folder):
    """{file and name: numbers or words} of all that an artifact holds."""
    read = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in ABOUT:
            name = path.relative_to(folder).as_posix()
            assert path.suffix in READERS, f"nobody here reads {name}"
            read |= {
                f"{name} {key}".strip(): np.asarray(x)
                for key, x in READERS[path.suffix](path).items()
            }
    return read


def same(one, other):
    """Whether two arrays are of equal bits."""
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def near(one, other):
    """Whether two arrays are as near as another device's may be: floats by their norm, of all else
    nearly all equal."""
    if not np.issubdtype(one.dtype, np.floating):
        return (one != other).sum() <= (1 - NEARLY_ALL) * one.size
    if (np.isnan(one) != np.isnan(other)).any():
        return False
    one, other = (np.nan_to_num(x.astype(np.float64)) for x in (one, other))
    return np.linalg.norm(one - other) <= NEAR * max(np.linalg.norm(one), 1e-6)


def test_arrays_are_of_every_file_or_of_none(tmp_path):
    """kills: a file that is passed over, one array of several, a number within a part."""
    np.savez(tmp_path / "00000.npz", a=[1.0], b=[2])
    (tmp_path / "measured.json").write_text('{"part": {"x": 0.5, "y": null}, "z": [3, "word"]}')
    (tmp_path / CONFIG).write_text("{}")
    read = arrays(tmp_path)
    names = {"00000.npz": "ab", "measured.json": ("numbers", "words")}
    assert [*read] == [f"{file} {x}" for file, each in names.items() for x in each]
    np.testing.assert_array_equal(read["measured.json numbers"], [3, np.nan, 0.5])
    assert [*read["measured.json words"]] == ["word"]
    (tmp_path / "weights.pt").touch()
    with pytest.raises(AssertionError, match=r"weights\.pt"):
        arrays(tmp_path)


def test_equal_bits_are_asked_of_one_device_and_nearness_of_two():
    """kills: whole numbers that are equal for the most part taken for equal on the CPU; floats
    compared one by one; a NaN on one device alone."""
    whole, parts = np.arange(40), np.linspace(0, 1, 40)
    for one in (whole, parts, np.array([np.nan, 1])):
        assert same(one, one.copy())
        assert near(one, one.copy())
    one_off, three_off = (np.where(whole < n, -1, whole) for n in (1, 3))
    assert [same(whole, one_off), near(whole, one_off), near(whole, three_off)] == [0, 1, 0]
    assert [same(parts, x * parts) for x in (1 + 1e-15, 1.01)] == [0, 0]
    assert [near(parts, x * parts) for x in (1.01, 1.03)] == [1, 0]
    assert not near(np.array([0.0, 1]), np.array([np.nan, 1]))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of stores, in which a chain finds what another has made."""
    return tmp_path_factory.mktemp("stores")


@pytest.mark.slow
@pytest.mark.parametrize("chain", CHAINS)
def test_what_leads_to_a_score_or_measure_agrees_with_the_cpu(chain, device, root):
    """kills: of encoded splits, clusters, shards, experts, students, routers, temperatures, heads,
    samples, judges, scores and measures one that computes on a device something else, loses rows
    there, draws its noise there, or cannot run there; on the CPU, one that differs by a bit from
    run to run."""
    wanted, agree = behind(CHAINS[chain]()), same if device.type == "cpu" else near
    cpu = made(root / "first", wanted, device="cpu")
    there = made(root / device.type, wanted, device=device.type)
    for stage in wanted:
        own, others = arrays(cpu.path(stage)), arrays(there.path(stage))
        assert own, f"nothing to compare of {stage.label}"
        assert own.keys() == others.keys(), stage.label
        for name, x in own.items():
            assert x.shape == others[name].shape, (stage.label, name)
            assert agree(x, others[name]), (stage.label, name)


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
