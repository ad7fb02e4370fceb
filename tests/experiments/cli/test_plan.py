"""What a run would take: counted by hand, and beside what is really written."""

import re
from dataclasses import replace

import pytest

from datamodules.encoders.autoencoders import StableDiffusionVAE
from datamodules.encoders.clip_text import ClipText
from experiments.cli import downloads
from experiments.cli import main as cli
from experiments.cli.plan import plan
from experiments.hddm import settings
from experiments.hddm.table1 import TABLE
from experiments.measures import encoding
from experiments.measures.costs import Cost, asked, cost
from experiments.measures.resources import expert_flops, router_flops
from experiments.pipeline.build import behind
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.denoising import FlowMatchingExpert
from modules.selection import Full, Only, Switch, Top
from tests.helpers.stages import make

SMOKE = SCALES["smoke"]


def test_every_stage_stands_after_what_it_is_made_from(store):
    """kills: stages that are left out or told twice, inputs by another's number."""
    stages = behind(TABLE.stages(SMOKE, 1))
    lines = [line for line in plan(stages, store).splitlines() if re.match(r"\| \d", line)]
    assert len(lines) == len(stages) == len({stage.key for stage in stages})
    for i, (line, stage) in enumerate(zip(lines, stages, strict=True), 1):
        number, label, inputs = (cell.strip() for cell in line.strip("|").split("|")[:3])
        assert (number, label) == (str(i), stage.label)
        found = [stages[int(n) - 1].key for n in inputs.split(", ") if n]
        assert found == [item.key for item in stage.inputs()]
        assert all(int(n) < i for n in inputs.split(", ") if n)


def test_training_costs_its_samples():
    """kills: steps without the batch, accumulation left out, the text tower forgotten at paper."""
    expert = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
    router = experts.router(SMOKE, True, 0)
    accumulated = replace(router, optim=replace(router.optim, accumulate=3))
    each = router_flops(router.network, 8, 64)
    assert cost(expert).flops == 12 * 8 * expert_flops(expert.network)
    assert cost(router).flops == 12 * 32 * each
    assert cost(accumulated).flops == 3 * 12 * 32 * each
    paper = settings.matched(SCALES["paper"])
    monolith = experts.monolith(paper, FlowMatchingExpert, 0)
    tower = encoding.text_flops(ClipText())
    assert cost(monolith).flops == 500_000 * 256 * (expert_flops(monolith.network) + tower)


@pytest.mark.parametrize(
    ("selection", "count"),
    [(Only(2), 1), (Top(3), 3), (Full(), 8), (Switch(0.5, early=Top(1), late=Full()), 4.5)],
)
def test_the_experts_that_a_selection_asks(selection, count):
    """kills: K whatever the selection, or one moment of a switch for all."""
    eight = experts.mixed(SMOKE, FlowMatchingExpert, {}, 0)
    sample = scores.score(SMOKE, eight, experts.router(SMOKE, True, 0), selection, 0).pictures
    assert asked(sample) == pytest.approx(count, rel=0.1)


def test_disk_is_what_is_written(store):
    """kills: bytes of another precision, a picture's text left out, headers of tar forgotten."""
    many = turned(
        SMOKE, {"data.source": replace(SMOKE.data.source, train=400), "data.per_shard": 400}
    )
    shards = experts.shards(many)
    make(store, shards)

    def written(stage, pattern):
        return sum(path.stat().st_size for path in store.path(stage).rglob(pattern))

    tars = written(shards, "*.tar")
    assert 0.7 * tars < cost(shards).disk < tars  # tars also end in blocks of nothing
    expert = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
    make(store, expert)
    weights = written(expert, "*.safetensors")
    assert 0.8 * weights < cost(expert).disk <= weights


def test_encoders_are_counted_as_published():
    """kills: multiply-adds counted once, a network of another depth. By hand: a transformer of
    depth L and width d over n tokens takes 24 L n d² + 4 L n² d, and its patches."""
    n, d, depth = 257, 1024, 24
    by_hand = 24 * depth * n * d**2 + 4 * depth * n**2 * d + 2 * 256 * 588 * d
    assert encoding.dinov2_flops(224) == pytest.approx(by_hand, rel=0.01)
    n, d, depth = 77, 768, 12
    by_hand = 24 * depth * n * d**2 + 4 * depth * n**2 * d
    assert encoding.text_flops(ClipText()) == pytest.approx(by_hand, rel=0.01)
    assert encoding.encode_flops(SMOKE.data.latents, 8) == encoding.text_flops(SMOKE.data.text) == 0


def test_checkpointing_takes_time_for_memory():
    """kills: memory of one mode and FLOPs of the other; XL at batch 128 without it is 79 GB."""
    expert = experts.expert(SCALES["paper"], FlowMatchingExpert, 0, 0)
    plain, again = cost(expert), cost(expert, True)
    tower = 500_000 * 128 * encoding.text_flops(ClipText())
    assert again.flops - tower == pytest.approx((plain.flops - tower) * 4 / 3)
    assert again.memory < 24e9 < 70e9 < plain.memory


def test_costs_add_up():
    """kills: memory summed over stages that run one after another."""
    assert Cost(1, 2, 3) + Cost(10, 20, 1) == Cost(11, 22, 3)


def test_what_is_not_here_is_named_before_anything_is_made(tmp_path, monkeypatch, capsys):
    """kills: days of encoding before a missing judge is noticed, one absence told at a time, a
    folder left behind, a plan that needs the weights it lists."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    places = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    assert cli.main(TABLE, arguments=["--scale", "paper", "--seeds", "1", *places]) == 1
    said = capsys.readouterr().err
    named = ("sd-vae-ft-mse", "dinov2-large", "clip-vit-large-patch14", "pt_inception", "alexnet")
    assert all(name in said for name in named)
    assert list(tmp_path.iterdir()) == []
    lines = downloads.missing(behind(TABLE.stages(SCALES["paper"], 1)))
    assert len(lines) == len(set(lines)) >= len(named)
    assert downloads.missing(behind(TABLE.stages(SMOKE, 1))) == []


@pytest.mark.slow
def test_a_dry_run_of_paper_is_printed(tmp_path, capsys):
    """kills: a plan that makes something, or leaves out a stage's cost. 500,000 steps of DiT-B/2
    at batch 256 on an A100 at 40 % are days, not hours."""
    places = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    assert cli.main(TABLE, arguments=["--scale", "paper", "--plan", "true", *places]) == 0
    said = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    monolith = next(line for line in said.splitlines() if "expert monolith, seed 0" in line.lower())
    assert 1 < float(monolith.split("|")[4]) < 5
    assert said.count("—") == 0
    assert "hf download stabilityai/sd-vae-ft-mse" in said
    assert "--scale.study.matched.source.root" in said


def test_a_latent_is_counted_as_it_is_stored():
    """kills: float32 latents of an autoencoder, which are kept in 16 bits."""
    scale = turned(
        settings.matched(SCALES["paper"]), {"data.text": replace(ClipText(), cached=True)}
    )
    encoded = experts.shards(scale).clusters.encoded
    assert isinstance(scale.data.latents, StableDiffusionVAE)
    n = encoded.source.expected(encoded.split)
    each = 2 * 4 * 32 * 32 + 2 * 77 * 768 + 2 * 768 + 2 * 1024
    assert cost(encoded).disk == n * each
