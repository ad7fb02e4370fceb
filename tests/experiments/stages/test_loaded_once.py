"""A process keeps the small networks that it has loaded, up to a number of parameters."""

import os

import numpy as np
import pytest
import torch

from datamodules.encoders.encoder import CPU
from experiments.pipeline.files import StoreError
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.scale import turned
from experiments.stages import run
from experiments.stages.experts import TrainExpert
from experiments.stages.run import loaded_once
from modules.denoising import FlowMatchingExpert
from modules.selection import Top
from tests.helpers.stages import SMOKE, make

THREE = turned(SMOKE, {"data.clusters": 3, "train.batch": 6})
EXPERTS = [experts.expert(THREE, FlowMatchingExpert, k, 0) for k in range(3)]


@pytest.fixture
def store(tmp_path):
    """A store with three experts."""
    store = Store(tmp_path / "store")
    for stage in EXPERTS:
        make(store, stage)
    return store


@pytest.fixture
def loads(store, monkeypatch):
    """The experts that are loaded from here on, nothing being kept yet."""
    monkeypatch.setattr(run, "_loaded", {})
    loads, load = [], TrainExpert.load
    monkeypatch.setattr(
        TrainExpert, "load", lambda stage, store: loads.append(stage) or load(stage, store)
    )
    return loads


def test_an_expert_is_loaded_once_a_process(store, loads):
    """kills: one that is loaded for each sample set, or another expert's in its place."""
    found = [[loaded_once(stage, store, CPU, False) for stage in EXPERTS] for _ in range(3)]
    assert loads == EXPERTS
    for row in found:
        for stage, module in zip(EXPERTS, row, strict=True):
            expected = stage.load(store).network.state_dict()
            assert all(torch.equal(module.network.state_dict()[k], x) for k, x in expected.items())


def test_what_is_kept_is_not_counted_anew(store, loads, monkeypatch):
    """kills: the parameters of all kept modules counted at each call, which took longer than to
    draw."""
    first = [loaded_once(stage, store, CPU, False) for stage in EXPERTS]
    monkeypatch.setattr(torch.nn.Module, "parameters", lambda self: pytest.fail("counted"))
    again = [loaded_once(stage, store, CPU, False) for stage in EXPERTS]
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_what_is_compiled_is_kept_apart(store, loads):
    """kills: blocks that one sample set has compiled, of which a measure is then made too."""
    compiled, plain = (loaded_once(EXPERTS[0], store, CPU, which) for which in (True, False))
    assert compiled is not plain
    assert [x.network.trunk.compiled for x in (compiled, plain)] == [True, False]
    assert loaded_once(EXPERTS[0], store, CPU, True) is compiled


def test_an_artifact_that_is_damaged_or_made_anew_is_read_anew(store, loads):
    """kills: weights known by their key alone, of another store, of a file that has changed."""
    stage, other = EXPERTS[:2]
    loaded_once(stage, store, CPU, False)
    with pytest.raises(StoreError, match="weights"):
        loaded_once(stage, Store(store.root.parent / "another"), CPU, False)
    path = store.file(stage, "weights.safetensors")
    whole, others = path.read_bytes(), store.file(other, "weights.safetensors").read_bytes()
    path.write_bytes(others)
    with pytest.raises(StoreError, match="weights"):
        loaded_once(stage, store, CPU, False)
    path.write_bytes(whole)
    os.utime(path, ns=(1, 1))
    loaded_once(stage, store, CPU, False)
    assert loads == [stage, stage]


def test_what_nobody_asked_for_longest_is_dropped(store, loads, monkeypatch):
    """kills: a process that fills its memory; the first that was loaded dropped, or the last."""
    a, b, c = EXPERTS
    one = sum(p.numel() for p in a.load(store).parameters())
    monkeypatch.setattr(run, "LOADED_NUMBERS", 3 * one - 1)
    loads.clear()
    for stage in (a, b, a, c, a, b):
        loaded_once(stage, store, CPU, False)
    assert loads == [a, b, c, b]
    monkeypatch.setattr(run, "LOADED_NUMBERS", one - 1)
    loads.clear()
    for _ in range(2):
        loaded_once(c, store, CPU, False)
    assert loads == [c, c]


def test_a_set_drawn_from_kept_networks_is_that_of_loaded_ones(store, loads, tmp_path):
    """kills: a network that drawing has changed."""
    router = experts.router(THREE, False, 0)
    stage = scores.score(THREE, tuple(EXPERTS), router, Top(2), 0).pictures
    drawn = [np.load(make(store, stage) / "00000.npz")["latents"]]
    for again in range(2):
        (tmp_path / f"{again}").mkdir()
        stage.make(tmp_path / f"{again}", Context(store, device="cpu"))
        drawn.append(np.load(tmp_path / f"{again}" / "00000.npz")["latents"])
    assert loads == EXPERTS
    assert all(np.array_equal(drawn[0], each) for each in drawn)
