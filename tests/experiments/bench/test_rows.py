"""Rows measured at a small size: they agree, and are refused once a side does other work."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from experiments.bench import dit_steps, guided_sampling, inception_fid, resident, tar_reading, top2
from experiments.bench.pairing import OtherWorkError, Room, measure
from modules.blocks import Size
from modules.dit import Trunk
from modules.ensemble import Ensemble
from modules.selection import Only, Top
from modules.training import Precision

SMALL = Size(256, 8, 4)
"""Where PixArt's parameters are within 2 % of ours, as they are at S and B."""


def brief(row, folder):
    """One pair of a row; the first call of each side is the one that is timed and checked."""
    folder.mkdir(exist_ok=True)
    found = measure(replace(row, warm_up=False), Room(folder, brief=True), 1)
    assert len(found.pairs) == 1
    assert found.alike


def measured(row, folder):
    """The ratio of one pair."""
    ((ours, peer),) = measure(row, Room(folder, brief=True), 1).pairs
    return row.ratio.of(ours, peer, row.clock)


def refused(row, folder, why):
    with pytest.raises(OtherWorkError, match=why):
        brief(row, folder)


def named(bench, name):
    """The bench's row of that name."""
    (row,) = (row for row in bench.rows if row.name == name)
    return row


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small_step(monkeypatch, prepare, *more):
    """A row of dit_steps at a small size, nothing compiled, which would take longer than it."""
    monkeypatch.setattr(Trunk, "compile_blocks", lambda trunk: None)
    monkeypatch.setattr(dit_steps, "BATCH", 2)
    whole = partial(prepare, SMALL, Precision.SINGLE, *more)
    return replace(dit_steps.SMALLER.rows[0], prepare=whole)


@pytest.mark.slow
def test_steps_of_two_networks(tmp_path, monkeypatch):
    """kills: a smaller network's steps, or steps that train nothing, called a step."""
    row = small_step(monkeypatch, dit_steps._both, False)
    brief(row, tmp_path)
    honest = dit_steps.training_step
    for change, why in ((still, "that a step lowered"), (of_other_weights, "loss, untrained")):
        with monkeypatch.context() as patch:
            patch.setattr(dit_steps, "training_step", partial(change, honest))
            refused(row, tmp_path, why)
    pixart = dit_steps.pixart
    shorter = replace(dit_steps.shape_of(SMALL), size=replace(SMALL, depth=SMALL.depth - 1))
    monkeypatch.setattr(dit_steps, "pixart", lambda shape: pixart(shorter))
    refused(row, tmp_path, "trained parameters")


def still(honest, *given):
    """A step that returns its loss and takes back what it has trained."""
    network, step = given[0], honest(*given)

    def stepped():
        before = [p.detach().clone() for p in network.parameters()]
        loss = step()
        for p, old in zip(network.parameters(), before, strict=True):
            p.data.copy_(old)
        return loss

    return stepped


def of_other_weights(honest, *given):
    """Steps of a network whose head is not zero."""
    for p in given[0].parameters():
        p.data += 0.1
    return honest(*given)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "why"), [(still, "that a step lowered"), (of_other_weights, "loss, untrained")]
)
def test_steps_against_products(change, why, tmp_path, monkeypatch):
    """kills: a rate of steps that train nothing, or of another network, held against a product."""
    row = small_step(monkeypatch, dit_steps._ceiling)
    brief(row, tmp_path)
    monkeypatch.setattr(dit_steps, "training_step", partial(change, dit_steps.training_step))
    refused(row, tmp_path, why)


def test_sampling(tmp_path, monkeypatch):
    """kills: fewer steps, pictures or halves of guidance taken for speed."""
    (row,) = guided_sampling.SAMPLING.rows
    monkeypatch.setattr(guided_sampling, "S", SMALL)
    brief(row, tmp_path)
    honest = guided_sampling.ours
    for change, why in (
        (lambda network, x, c, steps: honest(network, x, c, steps - 1), "evaluations of a sample"),
        (lambda network, x, c, steps: honest(network, x[:1], c[:1], steps), "evaluations of a"),
        (lambda network, x, c, steps: honest(network, x, c, steps)[:1], "numbers drawn"),
    ):
        monkeypatch.setattr(guided_sampling, "ours", change)
        refused(row, tmp_path, why)


def fewer(field):
    """Every expert asked but the last."""
    return top2_masked(replace(field, experts=field.experts[:-1]))


top2_masked = top2.masked


@pytest.mark.parametrize(
    ("name", "part", "change", "why"),
    [
        ("top2-one", "Top", lambda n: Top(1), "evaluations, halved"),
        ("top2-naive", "masked", fewer, "u, but for"),
        ("routing", "Top", lambda n: Top(1), "evaluated twice"),
        ("top2-of-8", "Top", None, "evaluations 16 and 32"),
    ],
)
def test_top_2(name, part, change, why, tmp_path, monkeypatch):
    """kills: an expert that is not asked, on either side, taken for speed."""
    row = named(top2.TOP2, name)
    monkeypatch.setattr(top2, "S", Size(64, 2, 2))
    monkeypatch.setattr(top2, "MANY", 16)
    brief(row, tmp_path)
    if change is None:  # of one side alone
        honest = top2.ensemble
        part, change = (
            "ensemble",
            lambda shape, k, _: honest(shape, k, Only(0) if k > 2 else Top(2)),
        )
    monkeypatch.setattr(top2, part, change)
    refused(row, tmp_path, why)


@pytest.mark.longest
@pytest.mark.usefixtures("limits")
def test_memory_of_mapped_weights(tmp_path, monkeypatch):
    """kills: `map_weights` that loads them all, whose memory is called that of mapped ones."""
    row, needed = named(resident.MEMORY, "top2-mapped-of-8"), resident.needed
    assert row.ratio.met(measured(row, tmp_path))

    def loading(kept, *more):
        return needed(replace(kept, mapped=kept.k == 2), *more)

    monkeypatch.setattr(resident, "needed", loading)
    assert not row.ratio.met(measured(row, tmp_path))


@pytest.mark.longest
@pytest.mark.usefixtures("limits")
def test_weights_that_are_not_resident_are_no_resident_ones(tmp_path, monkeypatch):
    """kills: a peer whose weights are mapped too."""
    needed = resident.needed
    monkeypatch.setattr(
        resident, "needed", lambda kept, *more: needed(replace(kept, mapped=True), *more)
    )
    refused(named(resident.MEMORY, "top2-mapped"), tmp_path, "bytes, at least")


def test_experts_are_asked_in_turns(tmp_path, monkeypatch):
    """kills: the same two experts asked at each answer, or one of them alone, which takes less."""
    paths = resident.written(tmp_path, 3)
    asked, honest = [], resident.ensemble_of

    def watched(kept, paths):
        ensemble = honest(kept, paths)
        for i, expert in enumerate(ensemble.experts):
            expert.network.register_forward_hook(lambda *_, i=i: asked.append(i))
        return ensemble

    monkeypatch.setattr(resident, "ensemble_of", watched)
    for mapped in (True, False):
        resident.ask(resident.Kept(3, mapped), paths, 3)
    assert [sorted(asked[i : i + 2]) for i in range(0, 12, 2)] == 2 * [[0, 1], [1, 2], [0, 2]]

    def alone(kept, paths):
        both = honest(kept, paths)
        return Ensemble(both.experts, both.router, Only(0))

    monkeypatch.setattr(resident, "ensemble_of", alone)
    with pytest.raises(RuntimeError, match="6 evaluations for 12"):
        resident.ask(resident.Kept(3), paths, 3)


@pytest.mark.slow
@pytest.mark.parametrize("row", inception_fid.FID.rows, ids=lambda row: row.name)
def test_fid(row, tmp_path, monkeypatch):
    """kills: one picture left out for speed, which FID hides; features whose FID is another."""
    monkeypatch.setattr(inception_fid, "BRIEF", 12)
    brief(row, tmp_path / "whole")
    read = inception_fid.read
    monkeypatch.setattr(inception_fid, "read", lambda folder: read(folder)[1:])
    refused(row, tmp_path / "fewer", "pictures")
    monkeypatch.setattr(inception_fid, "read", lambda folder: 255 - read(folder))
    refused(row, tmp_path / "others", "FID")


@pytest.mark.parametrize("row", tar_reading.READING.rows, ids=lambda row: row.name)
def test_reading(row, tmp_path, monkeypatch):
    """kills: a shard that is left out, or read twice in place of another, taken for speed; latents
    that are not those of the shards."""
    monkeypatch.setattr(tar_reading, "PER_SHARD", tar_reading.BRIEF // 4)
    brief(row, tmp_path / "whole")
    ours, plain, disk = tar_reading.ours, tar_reading.plain, tar_reading.off_the_disk
    changes = [("ours", lambda shards, samples: ours(shards[:-1], samples), "sum of all latents")]
    if row.name == "reading-webdataset":
        changes.append(("plain", lambda shards: plain(shards[:-1]), "samples"))
    else:
        changes.append(("off_the_disk", lambda shards: disk(shards[:-1]), "bytes"))
    for name, change, why in changes:
        with monkeypatch.context() as patch:
            patch.setattr(tar_reading, name, change)
            refused(row, tmp_path / name, why)
