"""Weights of others below TORCH_HOME: tensors, and nothing that runs."""

import os

import numpy as np
import pytest
import torch

from metrics.networks.features import InceptionFeatures
from metrics.networks.perceptual import Backbone, Lpips
from metrics.networks.weights import WeightsFileError, reading


class Planted:
    """Unpickled, it writes a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def picture(network, device=torch.device("cpu")):
    images = np.zeros((2, 3, 32, 32), np.uint8)
    return network.encode(images, device) if hasattr(network, "encode") else network.pairs(
        images, images, device
    )  # fmt: skip


@pytest.mark.parametrize("network", [InceptionFeatures(64), Lpips(Backbone.SQUEEZE), Lpips()])
@pytest.mark.parametrize("legacy", [False, True])
def test_a_planted_pickle_does_not_run(tmp_path, monkeypatch, network, legacy):
    """kills: torch.hub's loader, which unpickles in full whatever lies at its place."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    with pytest.raises(WeightsFileError, match="no weights at"):
        network.locate()
    from pytorch_fid.inception import FID_WEIGHTS_URL

    place = tmp_path / "hub" / "checkpoints"
    place.mkdir(parents=True)
    named = [FID_WEIGHTS_URL.rsplit("/")[-1], *(each.value[1] for each in Backbone)]
    for name in named:
        content = {"a": Planted(tmp_path / "ran")}
        torch.save(content, place / name, _use_new_zipfile_serialization=not legacy)
    torch.load(place / named[0], weights_only=False)
    assert (tmp_path / "ran").exists()  # the file does what a planted one would
    (tmp_path / "ran").unlink()
    with pytest.raises(WeightsFileError, match="cannot load"):
        picture(network)
    assert not (tmp_path / "ran").exists()


def test_the_environment_is_as_before(tmp_path, monkeypatch):
    """kills: tensors alone for ever, by which a killed training could not go on."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    monkeypatch.delenv(name, raising=False)
    with reading(tmp_path):
        assert os.environ[name] == "1"
    assert name not in os.environ
    monkeypatch.setenv(name, "0")
    with pytest.raises(WeightsFileError), reading(tmp_path):
        raise OSError("damaged")
    assert os.environ[name] == "0"
