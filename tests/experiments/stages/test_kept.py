"""A process keeps the small experts that it has loaded, up to a number of parameters."""

import pytest
import torch

from datamodules.encoders.encoder import CPU
from experiments.pipeline.files import StoreError
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.stages import samples
from experiments.stages.experts import TrainExpert
from modules.denoising import FlowMatchingExpert
from tests.helpers.stages import SMOKE, make

EXPERTS = [experts.expert(SMOKE, FlowMatchingExpert, k, 0) for k in range(2)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two experts."""
    store = Store(tmp_path_factory.mktemp("experts"))
    for stage in EXPERTS:
        make(store, stage)
    return store


@pytest.fixture
def loads(monkeypatch):
    """The experts that are loaded from here on, nothing being kept yet."""
    monkeypatch.setattr(samples, "_kept", {})
    loads, load = [], TrainExpert.load
    monkeypatch.setattr(
        TrainExpert, "load", lambda stage, store: loads.append(stage) or load(stage, store)
    )
    return loads


def numbers(module):
    return sum(p.numel() for p in module.parameters())


def test_an_expert_is_loaded_once_a_process(store, loads):
    """kills: one that is loaded for each sample set, or another expert's in its place."""
    found = [[samples.kept(stage, store, CPU) for stage in EXPERTS] for _ in range(3)]
    assert loads == EXPERTS
    for row in found:
        for stage, module in zip(EXPERTS, row, strict=True):
            expected = stage.load(store).network.state_dict()
            assert all(torch.equal(module.network.state_dict()[k], x) for k, x in expected.items())


def test_another_stores_expert_is_loaded_from_there(store, loads, tmp_path):
    """kills: weights known by key alone, of a store that was deleted or never had them."""
    samples.kept(EXPERTS[0], store, CPU)
    with pytest.raises(StoreError, match="weights"):
        samples.kept(EXPERTS[0], Store(tmp_path), CPU)


def test_what_nobody_asked_for_longest_is_dropped(store, loads, monkeypatch):
    """kills: a process that fills its memory, or drops what was asked for last."""
    first, second = EXPERTS
    one = numbers(first.load(store))
    monkeypatch.setattr(samples, "KEPT", 2 * one - 1)
    loads.clear()
    for stage in (first, first, second, second, first):
        samples.kept(stage, store, CPU)
    assert loads == [first, second, first]
    monkeypatch.setattr(samples, "KEPT", one - 1)
    loads.clear()
    for _ in range(2):
        samples.kept(second, store, CPU)
    assert loads == [second, second]
