"""What strangers send is read strictly, and nothing of it is run."""

import json
import pickle
import shutil

import fsspec
import pytest

from experiments.expert import manifest
from experiments.pipeline.address import open_store
from experiments.pipeline.files import StoreError
from experiments.recipes import experts
from experiments.stages.fetched import check_address
from tests.helpers.faults.s3 import BUCKET, s3_server
from tests.helpers.stages import SMOKE, contribute, make


class Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_is_loaded_by_nobody(home, contributed, tmp_path, said):
    """kills: torch.load or pickle on what a contributor sent."""
    trap = tmp_path / "sprung"
    for name in ("model.safetensors", "card.json"):
        other = tmp_path / name.partition(".")[0]
        shutil.copytree(contributed[1], other)
        (other / name).write_bytes(pickle.dumps(Trap(trap)))
        where = ("--expert", contributed[0], "--expert", other, "--router", home / "router")
        status, err = said("ensemble", *where, "--out", tmp_path / "out")
        assert (status, len(err)) == (1, 1)
        assert str(other) in err[0]
    assert not trap.exists()


@pytest.mark.parametrize(
    "address",
    ["pipe:cat /etc/passwd", "simplecache::s3://x/y", "github://a:b@/c", "pipe:x://y", "local:/x"],
)
def test_an_address_runs_nothing(home, tmp_path, said, address):
    """kills: a stranger's shell command, or a protocol of fsspec's that nobody looked at."""
    with pytest.raises(ValueError, match="shards lie in a folder"):
        check_address(address)
    form = json.loads((home / "m.json").read_text())
    form["clusters"][0]["address"] = address
    (tmp_path / "m.json").write_text(json.dumps(form))
    status, err = said(*contribute(tmp_path, tmp_path, 0, "fm"))
    assert (status, len(err)) == (1, 1)
    assert "shards lie in a folder" in err[0]


@pytest.mark.parametrize("address", ["/a/b", "s3://a/b", "https://a.b:1/c", "../x", "a b/c"])
def test_addresses_that_only_read_are_taken(address):
    """kills: a folder or a bucket taken for a command."""
    check_address(address)


@pytest.mark.parametrize(
    ("arguments", "status", "said_of_it"),
    [
        ([], 2, "choose from manifest, train, ensemble"),
        (["publish"], 2, "choose from"),
        (["train", "--cluster", "0"], 2, "required"),
        (["ensemble", "--expert", "a", "--router", "b"], 1, "a/card.json"),
        (["manifest", "--scale", "smoke", "--objectives", "gan"], 2, "gan"),
        (["manifest", "--scale", "smoke", "--store", "/nowhere"], 1, "--make true"),
    ],
)
def test_a_bad_command_is_one_line(said, arguments, status, said_of_it):
    """kills: a traceback, or argparse's usage before the line."""
    code, err = said(*arguments)
    assert (code, len(err)) == (status, 1)
    assert said_of_it in err[0]


@pytest.mark.parametrize(
    ("change", "said_of_it"),
    [
        (lambda m: m.pop("format"), "no manifest of format 1"),
        (lambda m: m["clusters"].pop(), "clusters 0 to 1"),
        (lambda m: m["clusters"][0]["shards"][0].update(name="../../x.tar"), "no name of a shard"),
        (lambda m: m["clusters"][0]["shards"][0].update(bytes="9"), "of another type"),
        (lambda m: m["recipes"][1].update(times={"is": "Popen"}), "no such kind of value"),
        (lambda m: m.update(recipes=[m["recipes"][0]]), "no recipe for fm: it has ddpm"),
    ],
)
def test_a_manifest_is_read_strictly(home, tmp_path, said, change, said_of_it):
    """kills: a path out of the folder, a class that a stranger names, a default for what lacks."""
    form = json.loads((home / "m.json").read_text())
    change(form)
    (tmp_path / "m.json").write_text(json.dumps(form))
    status, err = said(*contribute(tmp_path, tmp_path, 0, "fm"))
    assert (status, len(err)) == (1, 1)
    assert said_of_it in err[0]


def test_a_store_at_an_address_is_where_shards_lie(home, tmp_path):
    """kills: a folder of the coordinator's own cache in what strangers are sent, or in the reason
    why there is no manifest."""
    with s3_server():
        store = open_store(f"s3://{BUCKET}/prefix", tmp_path / "cache")
        with pytest.raises(StoreError, match=f"^s3://{BUCKET}/prefix lacks shards/"):
            manifest.of_scale(SMOKE, 0, ("fm",), store, None)
        shards = experts.shards(SMOKE)
        make(store, shards)
        made = manifest.of_scale(SMOKE, 0, ("ddpm", "fm"), store, None)
        for k, cluster in enumerate(made.clusters):
            assert cluster.address == f"{store.place}/shards/{shards.key}/cluster-{k:02d}"
            for shard in cluster.shards:
                with fsspec.open(f"{cluster.address}/{shard.name}") as file:
                    assert len(file.read()) == shard.bytes
        theirs = manifest.read(home / "m.json")
        assert [x.shards for x in made.clusters] == [x.shards for x in theirs.clusters]
