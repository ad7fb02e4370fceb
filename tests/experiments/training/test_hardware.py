"""What a stage trains on: read off the command line, divided among workers, no part of a key."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from experiments.cli import engines, options
from experiments.measures import resources
from experiments.pipeline import build
from experiments.pipeline.hardware import Hardware, Strategy
from experiments.pipeline.launch import local
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.training import compiling
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.dit import XL, DiT, DiTNetwork, TextShape
from modules.selection import Top
from modules.training import Precision
from tests.helpers.stages import make

SMOKE = turned(
    SCALES["smoke"], {"data.clusters": 2, "expert.size": Size(8, 2, 2), "train.batch": 8}
)
EXPERT = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
SHAPE = DiT(Size(16, 2, 2), image=8, channels=3, patch=2, text=TextShape(5, 12, 3), frequencies=32)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with the shards."""
    store = Store(tmp_path_factory.mktemp("store"))
    make(store, EXPERT.shards)
    return store


def trained(store, root, stage, hardware=Hardware()):
    """The weights' bytes, of a run in a store of its own."""
    alone = Store(root)
    (root / "shards").parent.mkdir(parents=True)
    (root / "shards").symlink_to(store.root / "shards")
    made = alone.make(stage, Context(alone, device="cpu", hardware=hardware))
    return (made / "weights.safetensors").read_bytes()


def parsed(*arguments):
    return options.parse("table1", "A table", ["--scale", "smoke", *arguments], SCALES)


@pytest.fixture
def four(monkeypatch):
    """A machine with four GPUs, of which the run may use three and has them by other names."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1,2")


def test_the_command_line_says_what_to_train_on(monkeypatch):
    """kills: an option read as another, or workers that crowd each other out."""
    monkeypatch.setattr(engines, "cores", lambda: 5)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert parsed().hardware == Hardware()
    assert parsed().launch == local.Local(5)
    found = parsed("--devices", "2", "--strategy", "fsdp", "--compile", "true")
    assert found.hardware == Hardware(2, Strategy.FSDP, compile=True)
    assert found.launch == local.Local(2)
    assert parsed("--devices", "9").launch == local.Local(1)
    assert parsed("--checkpointing", "true", "--workers", "3").hardware.checkpointing


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--devices 0", "--devices must be at least 1, not 0"),
        ("--strategy fsdp", "--strategy fsdp .*--devices 2"),
        ("--strategy dp --devices 2", "strategy.*dp"),
        ("--compile often", "compile.*often"),
        ("--devices 4", "--devices 4: there are 3 GPUs"),
        ("--devices 2 --workers 2", "no 2 of 3 GPUs for worker 2"),
    ],
)
def test_what_does_not_fit_is_refused(four, arguments, said):
    """kills: a run that begins and dies on the second worker's first stage."""
    with pytest.raises(options.UsageError, match=said) as caught:
        parsed(*arguments.split())
    assert "\n" not in str(caught.value)


def test_workers_divide_the_gpus(four, monkeypatch, tmp_path):
    """kills: all workers on the first GPU, GPUs that the run may not use, a GPU given twice, a slot
    that only a terminal gives."""
    one, two = parsed(), parsed("--devices", "2")
    assert (one.launch, two.launch) == (local.Local(3), local.Local(1))
    assert [one.hardware.share(i) for i in range(3)] == [("3",), ("1",), ("2",)]
    assert two.hardware.share(0) == ("3", "1")
    with pytest.raises(ValueError, match="worker 2"):
        two.hardware.share(1)
    assert parsed("--device", "cpu").hardware.gpus == ()
    monkeypatch.setattr(local, "worker", 1)
    context = Context(Store(tmp_path), device="cpu", hardware=one.hardware)
    build.make((), context)
    assert build.os.environ["CUDA_VISIBLE_DEVICES"] == "1"


def test_precision_is_in_the_key_where_it_is_not_single():
    """kills: weights of bfloat16 taken for those of float32, or hardware in the key."""
    assert EXPERT.key != replace(EXPERT, optim=replace(EXPERT.optim, precision=Precision.BF16)).key
    assert not re.search("hardware|checkpointing", str(EXPERT.config))


def test_checkpointing_changes_no_bit(store, tmp_path, monkeypatch):
    """kills: a block run again with other inputs, or none run again at all."""
    runs, forward = [0], resources.nn.Module.__call__

    def counted(self, *arguments, **named):
        runs[0] += type(self).__name__ == "Block"
        return forward(self, *arguments, **named)

    monkeypatch.setattr("modules.blocks.Block.__call__", counted)
    plain, once = trained(store, tmp_path / "plain", EXPERT), runs[0]
    again = trained(store, tmp_path / "again", EXPERT, Hardware(checkpointing=True))
    assert again == plain
    assert runs[0] - once == 2 * once > 0


def test_bfloat16_trains_float32_weights(store, tmp_path):
    """kills: a precision that nothing reads, or weights and averages kept in half."""
    half = replace(EXPERT, optim=replace(EXPERT.optim, precision=Precision.BF16))
    one, two = (trained(store, tmp_path / n, s) for n, s in (("one", EXPERT), ("two", half)))
    assert one != two
    assert len(one) == len(two)
    weights = half.load(Store(tmp_path / "two")).network.state_dict()
    exact = EXPERT.load(Store(tmp_path / "one")).network.state_dict()
    assert max(float((weights[k] - x).abs().max()) for k, x in exact.items()) < 0.05


class Alive(TorchDispatchMode):
    """Bytes of all that was computed under it and is still held, the network's own left out."""

    def __init__(self, network):
        super().__init__()
        own = [*network.parameters(), *network.buffers()]
        self.seen, self.own = {}, {x.untyped_storage()._cdata for x in own}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for x in tree_leaves(out):
            if isinstance(x, torch.Tensor) and x.untyped_storage()._cdata not in self.own:
                storage = x.untyped_storage()
                self.seen[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        return out

    def bytes(self):
        return sum(size for held, size in self.seen.values() if not held.expired())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_block_keeps_what_is_counted(checkpointing):
    """kills: memory counted that is not kept, or blocks' activations kept under checkpointing."""
    held = []
    for depth in (2, 7):
        shape = replace(SHAPE, size=replace(SHAPE.size, depth=depth))
        network, blank = DiTNetwork(shape), resources._blank(shape, 6, None)
        network.trunk.checkpoint(checkpointing)
        with Alive(network) as alive:
            loss = network(*blank).square().mean()
        held.append((alive.bytes(), shape))
        del loss
    (less, shallow), (more, deep) = held
    count = resources.checkpointed_bytes if checkpointing else resources.saved_bytes
    single = resources.NumberFormat.SINGLE
    assert more - less == count(deep, 6, single) - count(shallow, 6, single)


@pytest.mark.slow
def test_xl_trains_in_48_gb():
    """kills: a copy of the network, or activations, that the paper's single GPU has no room for."""
    shape, mixed = DiT(XL), resources.NumberFormat.MIXED
    cast = 2 * resources.parameters(shape)  # autocast's copies of the weights
    static = resources.static_bytes(shape) + cast
    assert static + resources.checkpointed_bytes(shape, 128, mixed) < 24 * resources.GB
    assert static + resources.saved_bytes(shape, 128, mixed) > 48 * resources.GB


@pytest.mark.longest
def test_a_compiled_network_trains_alike(store, tmp_path):
    """kills: weights under other names, or a compiled network that computes something else."""
    straight, compiled = tmp_path / "straight", tmp_path / "compiled"
    stage = replace(EXPERT, network=replace(EXPERT.network, size=Size(8, 1, 2)))
    trained(store, straight, stage)
    trained(store, compiled, stage, Hardware(compile=True))
    one, two = (stage.load(Store(p)).network.state_dict() for p in (straight, compiled))
    assert max(float((one[k] - x).abs().max()) for k, x in two.items()) < 1e-3


@pytest.mark.longest
def test_compiled_networks_draw_alike(store, tmp_path):
    """kills: networks that draw uncompiled, a graph for each number of rows that an expert is asked
    about, a compiled network that computes something else, or eight graphs a process."""
    pair = tuple(experts.expert(SMOKE, FlowMatchingExpert, k, 0) for k in range(2))
    stage = scores.score(SMOKE, pair, experts.router(SMOKE, True, 0), Top(1), 0).pictures
    straight = make(store, stage)
    torch._dynamo.utils.counters.clear()
    tmp_path.joinpath("drawn").mkdir()
    stage.make(tmp_path / "drawn", Context(store, device="cpu", hardware=Hardware(compile=True)))
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert 2 <= graphs <= 3  # of the router, of an expert, of one that is asked about one row
    assert torch._dynamo.config.recompile_limit == compiling.GRAPHS > 8
    one, two = (np.load(folder / "00000.npz") for folder in (straight, tmp_path / "drawn"))
    assert np.abs(one["latents"] - two["latents"]).max() < 1e-3
    assert one["expert_evaluations"] == two["expert_evaluations"]
