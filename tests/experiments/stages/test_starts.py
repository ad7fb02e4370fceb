"""An ImageNet DiT's checkpoint as what a training stage begins with."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.cli import main as cli
from experiments.hddm import ablation_init
from experiments.pipeline.launch import local
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages import experts as stages
from experiments.stages.experts import Start
from experiments.stages.starts import PretrainedDiT
from metrics.networks.weights import WeightsFileError
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert, X0Expert
from modules.dit import XL
from modules.timesteps import Index, Rounded, Thousand
from modules.weights.checkpoint import CheckpointError
from modules.weights.facebook_dit import convert
from modules.weights.pretrained import Transfer
from tests.helpers.originals.dit import Original
from tests.helpers.stages import make, serial

TOY = PretrainedDiT(size=Size(24, 2, 3))
SMOKE = turned(
    SCALES["smoke"],
    {
        "data.clusters": 2,
        "train.batch": 8,
        "expert.patch": 2,
        "train.steps": 2,
        "train.warmup": 1,
        "train.ema_start": 1,
        "expert.pretrained": TOY,
    },
)


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A small checkpoint of the published layout, where torch.hub would keep it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / "DiT-XL-2-256x256.pt"
    path.parent.mkdir(parents=True)
    torch.manual_seed(3)
    torch.save(Original(channels=1, frequencies=256).state_dict(), path)
    return path


def begun(module, source=TOY, what=Transfer()):
    plain = experts.expert(SMOKE, module, 0, 0)
    shape = replace(source.shape(plain.network, module.objective), text_std=0.02, head_std=0.02)
    return replace(plain, network=shape, start=Start(source, what))


@pytest.mark.parametrize("module", [FlowMatchingExpert, DDPMExpert])
def test_training_from_it_tells_of_every_tensor(store, file, monkeypatch, module):
    """kills: weights left as drawn, or drawn again after; a report of another conversion, without
    the file's hash, or not among what the store guards; weights that no longer load."""
    stage, real, seen = begun(module), stages.train, []

    def watched(begun, folders, context, *rest):
        state = begun[0].begun(context.store).network.state_dict()
        seen.append({name: x.clone() for name, x in state.items()})
        real(begun, folders, context, *rest)

    monkeypatch.setattr(stages, "train", watched)
    folder = make(store, stage)
    network = stage.build().network
    report = convert(torch.load(file), network)
    for name, x in network.state_dict().items():
        assert torch.equal(seen[0][name], x), name
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    head = [f"file           {TOY.url}", f"SHA-256        {digest}"]
    told = store.file(stage, "transfer.txt").read_text().splitlines()
    assert told == head + str(report).splitlines()
    assert len(report.transferred) == len(set(report.transferred)) > 20
    after = stage.load(store).network.state_dict()
    assert not torch.equal(after["final.linear.weight"], seen[0]["final.linear.weight"])
    assert (folder / "weights.safetensors").exists()
    assert stage.inputs() == (stage.shards, TOY)


def test_the_time_map_is_the_objectives():
    """kills: one map for all, or a network that reads other numbers than its source was taught."""
    maps = {FlowMatchingExpert: Rounded(), DDPMExpert: Index(), X0Expert: Index()}
    for module, time in maps.items():
        stage = begun(module)
        assert (stage.network.time, stage.network.size) == (time, TOY.size)
        for other in {Rounded(), Index(), Thousand()} - {time}:
            with pytest.raises(ValueError, match=re.escape(f"reads {time} (Eq. 21), not {other}")):
                replace(stage, network=replace(stage.network, time=other))
    without = turned(SMOKE, {"expert.pretrained": None})
    plain, source = (experts.expert(without, m, 1, 0) for m in (FlowMatchingExpert, DDPMExpert))
    assert replace(plain, start=Start(source)).network.time == Thousand()


def test_the_key_says_which_file():
    """kills: one key for two files, or for what is taken of them."""
    sources = [TOY, replace(TOY, url="https://a/b.pt"), replace(TOY, sha256="0" * 64)]
    stages = [begun(FlowMatchingExpert, source) for source in sources]
    stages += [begun(FlowMatchingExpert, TOY, Transfer(head=True)), begun(DDPMExpert)]
    stages += [replace(stages[0], start=None)]
    assert len({stage.key for stage in stages}) == len(stages)


@pytest.mark.parametrize(
    ("spoil", "source", "what", "error", "said"),
    [
        (Path.unlink, TOY, Transfer(), WeightsFileError, "curl .*{path} {url}$"),
        (
            None,
            replace(TOY, sha256="0" * 64),
            Transfer(),
            WeightsFileError,
            "has SHA-256 .*, not 000",
        ),
        (None, replace(TOY, size=Size(24, 1, 3)), Transfer(), CheckpointError, "unused: blocks.1"),
        (None, TOY, Transfer(captions=True), CheckpointError, "no text projection"),
        (lambda p: p.write_bytes(b"x"), TOY, Transfer(), CheckpointError, "cannot read .*{path}"),
    ],
)
def test_a_file_that_cannot_serve_is_one_line(store, file, spoil, source, what, error, said):
    """kills: a training from scratch under the name of another, a download without a word."""
    if spoil is not None:
        spoil(file)
    stage = begun(FlowMatchingExpert, source, what)
    with pytest.raises(error, match=said.format(path=file, url=source.url)) as caught:
        make(store, stage)
    assert isinstance(caught.value, cli.BAD_INPUT)
    assert not store.has(stage)


def test_a_file_that_changed_is_not_begun_with(store, file):
    """kills: experts of one key begun with two files."""
    make(store, TOY)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(WeightsFileError, match=f"{file} has SHA-256"):
        TOY.begin(begun(FlowMatchingExpert).build().network, Transfer(), store)


def test_the_table_without_the_file_ends_in_a_line(tmp_path, monkeypatch, capsys):
    """kills: a dial that the command line cannot turn, a traceback, a table half-written, or days
    of training before the file is missed."""

    def costliest_first(work, tasks, workers):  # as the workers do
        return serial(work, sorted(tasks, key=lambda task: -task.cost), workers)

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(local, "map", costliest_first)
    dials = ["data.clusters=4", "train.batch=8", "expert.patch=2"]
    dials += ["expert.pretrained.url=https://a/b.pt"]
    where = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    scale = ["--scale", "smoke", "--seeds", "1", *(f"--scale.{dial}" for dial in dials)]
    assert cli.main(ablation_init.TABLE, arguments=[*scale, *where]) == 1
    out, err = capsys.readouterr()
    path = tmp_path / "hub" / "checkpoints" / "b.pt"
    assert (out, err.count("\n")) == ("", 1)
    command = f"curl -L --create-dirs -o {path} https://a/b.pt"
    assert err == f"ablation-init: no weights at {path}: {command}\n"
    assert not list((tmp_path / "results").rglob("*.md"))
    assert not (tmp_path / "store" / "encode").exists()


def test_the_scales_say_who_has_it():
    """kills: a download needed at small, or the paper's recipe begun with the stand-in."""
    assert {name: scale.expert.pretrained for name, scale in SCALES.items()} == {
        **dict.fromkeys(("smoke", "small", "scenes", "emoji", "medium")),
        "paper": PretrainedDiT(),
    }
    assert PretrainedDiT().url.endswith("/DiT/models/DiT-XL-2-256x256.pt")
    assert PretrainedDiT().size == XL
