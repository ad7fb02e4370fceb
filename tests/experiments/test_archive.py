"""All networks of Table 1 as one archive."""

import hashlib
import tarfile

import pytest
import torch

from experiments import publish
from experiments.pipeline import build
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.selection import Only, Top
from modules.weights.published import load_ensemble
from tests.helpers.stages import made_here

DIALS = {
    **{"data.clusters": 2, "train.batch": 8, "train.steps": 2, "train.warmup": 1},
    **{"train.ema_start": 0, "router.train.steps": 2},
}
SIZE = ["--scale.expert.size.width=8", "--scale.expert.size.depth=1"]
SMOKE = turned(SCALES["smoke"], {**DIALS, "expert.size": Size(8, 1, 2)})


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """The command, with what is missing made in this process."""
    monkeypatch.setattr(build, "ensure", made_here)
    turned_dials = [f"--scale.{name}={value}" for name, value in DIALS.items()]
    where = ["--scale", "smoke", *SIZE, *turned_dials, "--store", str(tmp_path / "store")]
    where += ["--archive", str(tmp_path / "table1-smoke.tar.gz"), "--licence", "CC0-1.0"]
    return lambda *more: publish.main([*where, "--train=true", *more])


def same(network, other):
    ours, theirs = network.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_table_1_is_one_archive_that_opens_as_folders(pack, tmp_path, capsys):
    """kills: a network of Table 1 left out or under another's name, sums of other files, an archive
    that says when or by whom it was made, one that is written over."""
    archive, top = tmp_path / "table1-smoke.tar.gz", tmp_path / "table1-smoke"
    assert pack() == 0
    assert capsys.readouterr().out.split() == [str(archive)]
    with tarfile.open(archive) as tar:
        assert {(member.mtime, member.uid, member.uname) for member in tar} == {(0, 0, "")}
        tar.extractall(tmp_path, filter="data")
    sums = dict(line.split("  ")[::-1] for line in (top / "SHA256SUMS").read_text().splitlines())
    files = {path.relative_to(top).as_posix(): path for path in top.rglob("*.*") if path.is_file()}
    assert sums == {n: hashlib.sha256(path.read_bytes()).hexdigest() for n, path in files.items()}
    store = Store(tmp_path / "store")
    each = experts.mixed(SMOKE, FlowMatchingExpert, {}, 0)
    for form, reads_text in (("text-free", False), ("text-aware", True)):
        ensemble, _ = load_ensemble([top / "experts", top / f"router-{form}"], Top(2))
        for expert, stage in zip(ensemble.experts, each, strict=True):
            assert same(expert.network, stage.load(store).network)
        router = experts.router(SMOKE, reads_text, 0).load(store)
        assert same(ensemble.router.network, router.network)
    alone, _ = load_ensemble([top / "monolith"], Only(0))
    monolith = experts.monolith(SMOKE, FlowMatchingExpert, 0).load(store)
    assert same(alone.experts[0].network, monolith.network)
    first = archive.read_bytes()
    assert pack() == 1
    assert "nothing is published over" in capsys.readouterr().err
    archive.unlink()
    assert pack() == 0
    assert archive.read_bytes() == first


def test_an_archive_is_all_of_it(pack, capsys):
    """kills: a cluster that is named and passed over."""
    assert pack("--clusters", "0") == 2
    assert "name no --clusters" in capsys.readouterr().err
