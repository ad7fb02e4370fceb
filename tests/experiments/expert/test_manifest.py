"""What strangers send is read strictly, and nothing of it is run."""

import json
import pickle
import shutil

import pytest

from experiments.stages.fetched import check_address
from tests.helpers.stages import contribute


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
