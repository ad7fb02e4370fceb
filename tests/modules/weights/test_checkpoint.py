"""Weights that are mapped from their file rather than read."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modules.blocks import Size
from modules.dit import DiT, TextShape
from modules.weights.checkpoint import CheckpointError, map_weights, save_weights

SHAPE = DiT(Size(8, 1, 2), 4, 2, 2, text=TextShape(3, 6, 5))


@pytest.fixture
def saved(tmp_path):
    """A network and the file of its weights."""
    torch.manual_seed(0)
    network, path = SHAPE.build(), tmp_path / "weights.safetensors"
    save_weights(network, path)
    return network, path


def blank():
    with torch.device("meta"):
        return SHAPE.build()


def file_behind(x):
    """The file that lies behind a tensor's memory, as the kernel tells; None if there is none."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, path = line.ljust(len(line) + 1).split(" ", 5)
        first, last = (int(end, 16) for end in span.split("-"))
        if first <= x.data_ptr() < last:
            return path.strip()
    return None


def test_mapped_weights_are_those_that_were_saved(saved):
    """kills: weights left as drawn or on meta, buffers forgotten, or gradients turned on."""
    network, path = saved
    mapped = blank().requires_grad_(False)
    map_weights(mapped, path)
    state = mapped.state_dict()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[name], x) for name, x in network.state_dict().items())
    assert not any(p.requires_grad for p in mapped.parameters())


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_mapped_weights_lie_in_their_file(saved):
    """kills: a copy of every weight in memory."""
    mapped = blank()
    map_weights(mapped, saved[1])
    assert all(file_behind(p) == str(saved[1]) for p in mapped.parameters())
    assert file_behind(next(saved[0].parameters())) != str(saved[1])


def test_the_file_stays_when_a_weight_is_written_to(saved):
    """kills: a mapping that is shared with the file."""
    mapped, before = blank(), saved[1].read_bytes()
    map_weights(mapped, saved[1])
    with torch.no_grad():
        mapped.null.fill_(7.0)
    assert saved[1].read_bytes() == before


def test_weights_of_another_precision_become_the_network_s(tmp_path):
    """kills: the file's precision taken over, where loading would convert it."""
    with torch.device("meta"):
        layer = nn.Linear(2, 3)
    state = {"weight": torch.ones(3, 2).half(), "bias": torch.zeros(3).half()}
    save_file(state, tmp_path / "half.safetensors")
    map_weights(layer, tmp_path / "half.safetensors")
    assert {p.dtype for p in layer.parameters()} == {torch.float32}
    assert layer(torch.ones(1, 2)).tolist() == [[2.0, 2.0, 2.0]]


def test_weights_of_another_network_are_refused(saved):
    """kills: names or shapes that are not compared before anything is assigned."""
    with torch.device("meta"):
        other = nn.Linear(2, 3)
    with pytest.raises(CheckpointError, match=r"missing: bias, weight; unused: "):
        map_weights(other, saved[1])
    assert other.weight.is_meta
