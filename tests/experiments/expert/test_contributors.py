"""From a manifest to an expert made elsewhere, and from experts made elsewhere to one ensemble."""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from experiments import publish
from experiments.expert import manifest
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.weights.published import load_expert
from tests.helpers.files import ROOT
from tests.helpers.stages import SMOKE, contribute, killed_at, make

WATCH = """
import sys
opened = set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
from experiments.expert.__main__ import main
status = main(sys.argv[1:])
print("\\n".join(sorted(path for path in opened if path.endswith(".tar"))))
sys.exit(status)
"""


@pytest.mark.parametrize(("k", "module"), [(0, FlowMatchingExpert), (1, DDPMExpert)])
def test_an_expert_from_a_manifest_is_the_suites_own_to_the_bit(home, contributed, k, module):
    """kills: another seed, order of shards, recipe, time density or schedule than the tables'."""
    store = Store(home / "store")
    stage = experts.expert(SMOKE, module, k, 0)
    make(store, stage)
    theirs, ours = (
        load_file(path)
        for path in (
            contributed[k] / "model.safetensors",
            store.path(stage) / "weights.safetensors",
        )
    )
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name].view(torch.uint8), x.view(torch.uint8))
               for name, x in ours.items())  # fmt: skip
    publish.save(stage, store, home / f"ours-{k}", "CC0-1.0", None)
    ours, theirs = (load_expert(x).card for x in (home / f"ours-{k}", contributed[k]))
    assert ours == theirs


def test_only_its_own_clusters_shards_are_opened(home, tmp_path):
    """Every file that the process opens is seen, and the other cluster's are not even there.

    kills: shards looked through for the cluster; all of them fetched first.
    """
    islands = tmp_path / "island"
    folder = Store(home / "store").path(experts.shards(SMOKE))
    shutil.copytree(folder / "cluster-01", islands / "cluster-01")
    command = contribute(home, tmp_path, 1, "fm", "--address", str(islands / "cluster-01"))
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    opened = [line for line in done.stdout.splitlines() if line.endswith(".tar")]
    assert opened
    assert all("cluster-01" in path for path in opened)
    assert {path.rsplit("/", 2)[0] for path in opened} > {str(islands)}


def test_contributed_experts_and_a_router_draw(home, contributed, tmp_path, said):
    """kills: a folder that says it is whole and cannot be loaded; pictures of none."""
    out = tmp_path / "together"
    both = [x for folder in contributed[::-1] for x in ("--expert", folder)]
    prompt = ["--prompt", "the digit three", "--steps", 3]
    assert said("ensemble", *both, "--router", home / "router", "--out", out, *prompt)[0] == 0
    assert sorted(p.name for p in out.iterdir()) == ["expert_0", "expert_1", "pictures", "router"]
    assert [p.suffix for p in sorted((out / "pictures").iterdir())] == [".png", ".json"]
    assert (
        "there already" in said("ensemble", *both, "--router", home / "router", "--out", out)[1][0]
    )


@pytest.mark.parametrize(
    ("dial", "value", "status", "said_of_it"),
    [
        ("--steps", "0", 2, "--steps must be at least 1"),
        ("--steps", "many", 2, "--steps"),
        ("--cfg", "-1", 2, "--cfg not negative"),
        ("--cfg", "nan", 2, "--cfg not negative"),
        ("--prompt", "word " * 900, 1, "caption longer than"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    home, contributed, tmp_path, said, dial, value, status, said_of_it
):
    """kills: a folder that the corrected command finds there already."""
    out = tmp_path / "together"
    both = [x for folder in contributed for x in ("--expert", folder)]
    where = ("--router", home / "router", "--out", out, "--prompt=-a zero")
    code, err = said("ensemble", *both, *where, f"{dial}={value}")
    assert (code, len(err)) == (status, 1)
    assert said_of_it in err[0]
    assert list(tmp_path.iterdir()) == []
    assert said("ensemble", *both, *where, "--steps", 2)[0] == 0


@pytest.mark.parametrize(
    ("field", "value", "lines"),
    [
        ("latents", "another", ["latent space: another, the router's is {'is': 'PixelLatents'}"]),
        ("captions", "another", ["text encoder: another"]),
        ("partition", "another", ["clusters: another, the router's is clusters/"]),
        ("experts", 3, ["number of clusters: 3, the router's is 2"]),
    ],
)
def test_each_disagreement_is_a_line(home, contributed, tmp_path, said, field, value, lines):
    """kills: a field of the card that nobody compares; one long line for all."""
    other = tmp_path / "other"
    shutil.copytree(contributed[1], other)
    form = json.loads((other / "card.json").read_text())
    form["card"]["origin"][field] = value
    (other / "card.json").write_text(json.dumps(form))
    where = ("--expert", contributed[0], "--expert", other, "--router", home / "router")
    status, err = said("ensemble", *where, "--out", tmp_path / "out")
    assert (status, len(err)) == (1, len(lines))
    assert err[0].startswith(f"expert: {other}: {lines[0]}")
    assert not (tmp_path / "out").exists()


def test_clusters_and_the_path_are_compared(home, contributed, tmp_path, said):
    """A router whose path has an infinite slope at the data can be followed by no Euler step.

    kills: a missing expert, or one twice, found after the weights were read; a path not asked.
    """
    where = ("--router", home / "router")
    status, err = said("ensemble", "--expert", contributed[0], *where)
    assert (status, err) == (1, ["expert: clusters: no expert of cluster 1"])
    twice = tmp_path / "twice"
    shutil.copytree(contributed[0], twice)
    status, err = said("ensemble", "--expert", contributed[0], "--expert", twice, *where)
    assert err == [f"expert: clusters: 2 experts of cluster 0: {contributed[0]}, {twice}",
                   "expert: clusters: no expert of cluster 1"]  # fmt: skip
    shutil.copytree(home / "router", tmp_path / "router")
    card = json.loads((tmp_path / "router" / "card.json").read_text())
    card["card"]["schedule"] = {"is": "NicholDhariwal"}
    (tmp_path / "router" / "card.json").write_text(json.dumps(card))
    both = [x for folder in contributed for x in ("--expert", folder)]
    status, err = said("ensemble", *both, "--router", tmp_path / "router")
    assert (status, len(err)) == (1, 2)
    assert all(": path: " in line for line in err)


def test_a_changed_shard_is_refused(home, tmp_path, said):
    """kills: a shard used before its SHA-256 is known to be the manifest's; one in part."""
    folder = Store(home / "store").path(experts.shards(SMOKE)) / "cluster-00"
    for change in (lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b[:-512], lambda b: b + b"x"):
        place = tmp_path / str(change.__code__.co_firstlineno + len(list(tmp_path.iterdir())))
        shutil.copytree(folder, place)
        shard = place / "000000.tar"
        shard.write_bytes(change(shard.read_bytes()))
        status, err = said(*contribute(home, tmp_path, 0, "fm", "--address", place))
        assert (status, len(err)) == (1, 1)
        assert f"{shard} is not the shard" in err[0]
    assert not (tmp_path / "expert_0").exists()


def test_a_killed_training_goes_on_to_the_same_bits(home, contributed, tmp_path):
    """kills: a training begun anew under another seed, or shards fetched into a broken run."""
    store = Store(tmp_path / "own")
    stage = manifest.read(home / "m.json").stage("ddpm", 1)
    make(store, stage.shards)
    killed_at(store, stage, DDPMExpert, "pose", step=9)
    store.make(stage, Context(store, device="cpu"))
    ours, theirs = (
        path.read_bytes()
        for path in (
            store.path(stage) / "weights.safetensors",
            contributed[1] / "model.safetensors",
        )
    )
    assert ours == theirs
