"""Loggers by option: Weights & Biases, offline, has the numbers of the CSV, each training's own."""

import json

import pandas as pd
import pytest

from experiments.cli import options
from experiments.hddm.table1 import TABLE
from experiments.pipeline import build
from experiments.pipeline.launch.local import Local
from experiments.pipeline.store import Context
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert

SMOKE = turned(
    SCALES["smoke"],
    {"expert.size": Size(8, 1, 2), "data.clusters": 2, "train.steps": 100, "train.batch": 4},
)
TWO = [experts.expert(SMOKE, FlowMatchingExpert, k, 0) for k in (0, 1)]


def history(folder):
    """step: loss of the run that lies in a folder, read as `wandb sync` reads it."""
    datastore = pytest.importorskip("wandb.sdk.internal.datastore")
    records = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    (path,) = folder.glob("*.wandb")
    scan, logged = datastore.DataStore(), {}
    scan.open_for_scan(str(path))
    while (content := scan.scan_data()) is not None:
        record = records.Record.FromString(content)
        items = {item.nested_key[0] if item.nested_key else item.key: json.loads(item.value_json)
                 for item in record.history.item}  # fmt: skip
        if "loss" in items:
            logged[items["trainer/global_step"]] = items["loss"]
    return logged


def test_weights_and_biases_has_each_trainings_own_numbers(store, monkeypatch):
    """kills: a second run that is logged into the first, as wandb does within one process, and one
    that is never ended."""
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    build.ensure(TWO, Context(store, device="cpu", wandb=True), Local(1))
    for stage in TWO:
        (run,) = (store.root / "wandb" / "wandb").glob(f"offline-run-*{stage.key}")
        log = pd.read_csv(store.file(stage, "log.csv"))
        assert history(run) == pytest.approx(dict(zip(log["step"], log["loss"], strict=True)))
    assert wandb.run is None


def test_without_weights_and_biases_one_line_says_so(monkeypatch):
    """kills: an ImportError of a worker's, after an hour."""
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    with pytest.raises(options.UsageError, match="--wandb true: it is not installed here"):
        options.parse("table1", "", ["--scale", "smoke", "--wandb", "true"], TABLE.scales)
