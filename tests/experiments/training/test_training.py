"""Real training stages at smoke: resume, isolation, the recipe by hand, and damaged files."""

import math
import shutil
import zipfile
from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from datamodules.latents import BatchStream
from datamodules.shards import ShardError, read_index, read_shard
from datamodules.sources.digits import Digits
from datamodules.sources.source import Split
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.scores.classifier import ClassifierJudge
from experiments.training import fit as loop
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.routing import Router
from modules.training import Optim
from modules.weights.checkpoint import CheckpointError
from tests.helpers.stages import killed_at, make

SMOKE = turned(SCALES["smoke"], {"expert.size": Size(8, 1, 2), "router.size": Size(8, 1, 2)})
LONG = turned(
    SMOKE,
    {
        "train.steps": 120,
        "router.train.steps": 120,
        "train.batch": 32,
        "router.train.batch": 8,
        "train.ema": 0.9,
        "train.ema_start": 30,
    },
)
"""Checkpoints after steps 24, 48, 72, 96, 120; lines of log.csv at 49 and 99."""


def expert(scale=SMOKE, cluster=0):
    return experts.expert(scale, FlowMatchingExpert, cluster, 0)


def router(scale=SMOKE):
    return experts.router(scale, True, 0)


def weights(store, stage):
    return (make(store, stage) / "weights.safetensors").read_bytes()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A store that holds the shards of smoke and no more."""
    store = Store(tmp_path_factory.mktemp("prepared"))
    make(store, experts.shards(SMOKE))
    return store


def copied(prepared, root):
    shutil.copytree(prepared.root, root)
    return Store(root)


@pytest.fixture
def store(prepared, tmp_path):
    """A store of its own with those shards."""
    return copied(prepared, tmp_path / "store")


@pytest.fixture(scope="module")
def straight(prepared, tmp_path_factory):
    """An expert and a router of LONG, trained without a break."""
    store = copied(prepared, tmp_path_factory.mktemp("straight") / "store")
    for stage in (expert(LONG), router(LONG)):
        make(store, stage)
    return store


def making(store, stage):
    return store.root / "making" / f"{stage.kind}-{stage.key}"


def same(store, straight, stage):
    """The artifacts agree: weights to the bit, logs to the digit."""
    ours, theirs = make(store, stage), straight.path(stage)
    assert pd.read_csv(theirs / "log.csv")["step"].tolist() == [49, 99]
    assert (ours / "log.csv").read_bytes() == (theirs / "log.csv").read_bytes()
    one, two = ((f / "weights.safetensors").read_bytes() for f in (ours, theirs))
    assert one == two


@pytest.mark.parametrize("at", [[10], [26], [50], [115], [26, 60, 97]], ids=str)
def test_an_expert_killed_and_resumed_is_bit_identical(store, straight, monkeypatch, at):
    """kills: noise or batches drawn from a running state, EMA, optimiser or schedule not restored,
    the average swapped in before it began, lines of the log lost or told twice."""
    stage = expert(LONG)
    for step in at:
        killed_at(store, stage, FlowMatchingExpert, "pose", step)
        assert (making(store, stage) / "last.ckpt").exists() == (step > 24)
    steps, draw = [], FlowMatchingExpert.draw
    monkeypatch.setattr(
        FlowMatchingExpert, "draw", lambda self, b: (steps.append(int(b["step"])), draw(self, b))[1]
    )
    same(store, straight, stage)
    assert steps == list(range(at[-1] // 24 * 24, 120))


def test_a_router_killed_and_resumed_is_bit_identical(store, straight):
    """kills: a resume that holds for experts alone, or leans on the EMA's copy of the weights."""
    killed_at(store, router(LONG), Router, "pose", 75)
    same(store, straight, router(LONG))


def test_a_kill_after_the_last_step_still_saves_the_average(store, straight):
    """kills: a resume with no step left that skips the average and saves the last weights."""
    killed_at(store, expert(LONG), loop, "save_weights")
    same(store, straight, expert(LONG))


def test_another_seed_gives_other_weights(straight, store):
    """kills: weights that hang on nothing, under which every test of resuming would pass."""
    assert weights(store, replace(expert(LONG), seed=1)) != weights(straight, expert(LONG))


def test_an_expert_needs_its_own_clusters_folder_alone(store, prepared):
    """kills: an expert that opens, counts or indexes the shards of another cluster."""
    copy = copied(prepared, store.root.with_name("copy"))
    for folder in experts.shards(SMOKE).folders(copy, range(8)):
        if folder.name != "cluster-03":
            shutil.rmtree(folder)
    assert weights(copy, expert(cluster=3)) == weights(store, expert(cluster=3))
    with pytest.raises(ShardError, match="cluster-00"):
        make(copy, experts.monolith(SMOKE, FlowMatchingExpert, 0))
    with pytest.raises(ShardError, match="cluster-04"):
        make(copy, expert(cluster=4))


@pytest.mark.parametrize("final_lr", [None, 1e-3])
def test_the_loop_is_the_recipe(store, final_lr):
    """kills: no clipping, another norm, warm-up or cosine off by a step, the scheduler stepped by
    epoch, an average begun elsewhere or of another decay, the last weights saved in its place."""
    steps, warmup, clip, decay, start, lr = 10, 4, 0.02, 0.7, 3, 4e-3
    stage = replace(expert(), optim=Optim(steps, 4, lr, warmup, final_lr, 0.1, clip, decay, start))
    module = stage.build()
    module.log_dict = lambda *_, **__: None
    parameters = list(module.parameters())
    adam = torch.optim.AdamW(parameters, lr=1.0, weight_decay=0.1)
    shards = read_index(experts.shards(SMOKE).folders(store, [0])[0])
    average, last, norms = None, [], []
    for step, batch in enumerate(BatchStream(shards, 4, module.seed, 0, steps, 100_000)):
        adam.zero_grad()
        module.training_step(batch, step).backward()
        norm = math.sqrt(sum(float(p.grad.double().square().sum()) for p in parameters))
        norms.append(norm)
        for p in parameters:
            p.grad *= min(1.0, clip / norm)
        low = lr if final_lr is None else final_lr
        cosine = low + (lr - low) * math.cos(math.pi / 2 * (step - warmup) / (steps - warmup)) ** 2
        adam.param_groups[0]["lr"] = lr * (step + 1) / warmup if step < warmup else cosine
        adam.step()
        last = [p.detach().clone() for p in parameters]
        if step == start:
            average = last
        elif step > start:
            average = [decay * a + (1 - decay) * p for a, p in zip(average, last, strict=True)]
    assert min(norms) > 2 * clip
    found = load_file(make(store, stage) / "weights.safetensors")
    ours = [found[name] for name, _ in module.network.named_parameters()]

    def distance(theirs):
        return max(float((a - b).abs().max()) for a, b in zip(ours, theirs, strict=True))

    assert distance(average) < 2e-5 < distance(last) / 20


@pytest.mark.parametrize("damage", ["garbage", "truncated", "flipped", "header", "empty"])
def test_a_damaged_checkpoint_is_named(store, damage):
    """kills: a traceback from the unpickler, or a silent start from nothing or from wrong bytes."""
    stage = expert(LONG)
    killed_at(store, stage, FlowMatchingExpert, "pose", 30)
    last = making(store, stage) / "last.ckpt"
    content = last.read_bytes()
    with zipfile.ZipFile(last) as archive:
        data = max((archive.read(item) for item in archive.infolist()), key=len)
    flipped = data[:-64] + bytes(255 - x for x in data[-64:])
    damaged = {
        "garbage": b"x" * 500,
        "truncated": content[:-300],
        "flipped": content.replace(data, flipped),
        "header": content[:8] + bytes([content[8] ^ 4]) + content[9:],  # how it is compressed
        "empty": b"",
    }
    last.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match=str(last)):
        make(store, stage)
    assert not store.has(stage)


def test_a_run_killed_before_its_first_log_goes_on(store):
    """kills: an empty metrics.csv that no later try gets past."""
    stage = expert(LONG)
    killed_at(store, stage, FlowMatchingExpert, "pose", 30)
    logs = making(store, stage) / "log-7"
    logs.mkdir()
    (logs / "metrics.csv").touch()
    make(store, stage)
    assert len(pd.read_csv(store.file(stage, "log.csv"))) > 0


def test_no_training_stage_reads_the_heldout_split(tmp_path, monkeypatch):
    """kills: clusters, shards, an expert, a router or the judge's weights made of held-out data."""
    real, seen, store = Digits.read, [], Store(tmp_path)

    def watched(self, split):
        seen.append(split)
        records = real(self, split)
        return records if split is not Split.HELDOUT else replace(records, images=-records.images)

    judge = ClassifierJudge(SMOKE.data.source, 3)
    expected = weights(Store(tmp_path / "clean"), judge)
    monkeypatch.setattr(Digits, "read", watched)
    for stage in (expert(), router()):
        make(store, stage)
    assert set(seen) == {Split.TRAIN}
    assert weights(store, judge) == expected
    assert Split.HELDOUT in seen


def test_the_shards_hold_the_training_split_and_nothing_else(prepared):
    """kills: splits that overlap, a picture lost, repeated, or of another split."""
    folders = experts.shards(SMOKE).folders(prepared, range(8))
    images = [x for folder in folders for s in read_index(folder) for x in read_shard(s)["x0"]]
    splits = [SMOKE.data.source.read(split) for split in (Split.TRAIN, Split.JUDGE, Split.HELDOUT)]
    assert sorted(map(bytes, images)) == sorted(map(bytes, splits[0].images))
    assert len({key for split in splits for key in split.keys}) == 64 + 64 + 32
    assert not {*map(bytes, images)} & {*map(bytes, splits[2].images)}
