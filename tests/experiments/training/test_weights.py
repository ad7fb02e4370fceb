"""Weights of an expert on disk: of another architecture, truncated, or not written."""

from dataclasses import replace

import pytest
import torch

from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.weights.checkpoint import CheckpointError, load_weights, save_weights
from tests.helpers.files import full_disk

SMOKE = turned(SCALES["smoke"], {"expert.size": Size(8, 1, 2), "router.size": Size(8, 1, 2)})


def expert():
    return experts.expert(SMOKE, FlowMatchingExpert, 0, 0)


def router():
    return experts.router(SMOKE, True, 0)


def test_weights_of_another_architecture_are_refused_key_by_key(tmp_path):
    """kills: strict=False, a shape forced, or an error that names no key; anything half loaded."""
    small, path = expert().build().network, tmp_path / "weights.safetensors"
    other = replace(expert(), network=router().network).build().network
    save_weights(small, path)
    before = {key: value.clone() for key, value in other.state_dict().items()}
    ours, theirs = set(before), set(small.state_dict())
    assert min(len(ours - theirs), len(theirs - ours)) > 0
    with pytest.raises(CheckpointError, match=str(path)) as caught:
        load_weights(other, path)
    assert all(key in str(caught.value) for key in ours ^ theirs)
    assert all(torch.equal(value, before[key]) for key, value in other.state_dict().items())
    wide = replace(expert(), network=replace(expert().network, size=Size(16, 1, 2))).build().network
    with pytest.raises(CheckpointError, match=r"of another shape: .*\[8\] for \[16\]"):
        load_weights(wide, path)


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_truncated_weights_are_named(tmp_path, content):
    """kills: the parser's own error let through, which names no file."""
    path, network = tmp_path / "weights.safetensors", expert().build().network
    save_weights(network, path)
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    with pytest.raises(CheckpointError, match=str(path)):
        load_weights(network, path)
    with pytest.raises(CheckpointError, match="absent"):
        load_weights(network, tmp_path / "absent")


def test_weights_that_cannot_be_written_are_an_error_of_the_disk(tmp_path):
    """kills: safetensors' own error, which is no OSError: a full disk would end in a traceback."""
    with pytest.raises((OSError, CheckpointError)), full_disk(1_000):
        save_weights(expert().build().network, tmp_path / "weights.safetensors")
