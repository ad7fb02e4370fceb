"""A store at an address: the same store, its copies bounded, its marker last."""

import multiprocessing
import os
import pickle
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.pipeline.address import open_store
from experiments.pipeline.files import StoreError, sealed
from experiments.pipeline.stage import Stage
from experiments.pipeline.storage.addresses import AddressPlace
from experiments.pipeline.store import Store
from experiments.stages.run import load_trained
from modules.weights.checkpoint import save_weights
from tests.helpers.faults.s3 import s3_server
from tests.helpers.parts import Part, Whole
from tests.helpers.stages import make

SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Large(Stage):
    """Files of `size` bytes, one of them in a folder."""

    size: int = 400_000
    name: str = "a"

    def make(self, folder, context):
        (folder / "large").write_bytes(self.name.encode() * self.size)
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text(self.name)


@pytest.fixture(scope="module")
def address():
    with s3_server():
        yield "s3://bucket/prefix"


@pytest.fixture
def store(address, tmp_path, request):
    """An empty store at an address of its own."""
    return open_store(f"{address}/{request.node.name}", tmp_path / "cache")


def elsewhere(store, tmp_path, gb=1.0):
    """The same store from another machine."""
    return open_store(str(store.place), tmp_path / "elsewhere", gb)


def test_what_one_machine_makes_another_reads(store, tmp_path):
    """kills: an artifact that stays where it was made, or one fetched without its folders."""
    make(store, Whole())
    make(store, Large())
    other = elsewhere(store, tmp_path)
    assert other.has(Whole())
    assert other.file(Whole(), "part.txt").read_text() == "a"
    assert other.provenance(Whole()) == store.provenance(Whole())
    assert (other.fetched(Large(), "inner") / "file").read_text() == "a"
    assert not (other.root / f"large/{Large().key}/large").exists()  # nobody asked for it
    assert (other.path(Large()) / "large").stat().st_size == 400_000
    assert store.place.names("making") == []


def test_a_store_may_be_copied_there_from_a_folder(store, tmp_path):
    """kills: a layout of its own, which a copy of a folder would not have."""
    local = Store(tmp_path / "local")
    make(local, Whole())
    for path in local.root.rglob("*"):
        if path.is_file():
            store.place.send(path, path.relative_to(local.root).as_posix())
    assert elsewhere(store, tmp_path).file(Whole(), "part.txt").read_text() == "a"


def test_without_its_marker_there_is_no_artifact(store, tmp_path, monkeypatch):
    """kills: a marker that is sent before the files that it vouches for."""
    sent, send = [], AddressPlace.send

    def watched(self, path, name):
        assert not self.exists(f"{name.rpartition('/')[0]}/provenance.json")
        sent.append(name.rpartition("/")[2])
        send(self, path, name)
        if len(sent) == 2:
            raise StoreError("killed")

    monkeypatch.setattr(AddressPlace, "send", watched)
    with pytest.raises(StoreError, match="killed"):
        make(store, Part())
    assert sent == ["part.txt", "config.json"]
    assert not elsewhere(store, tmp_path).has(Part())
    monkeypatch.undo()
    make(store, Part())
    assert elsewhere(store, tmp_path).has(Part())


def test_a_damaged_copy_is_fetched_again_and_a_damaged_original_named(store, tmp_path):
    """kills: a copy trusted because it is here; damage hidden by fetching for ever."""
    make(store, Part())
    other = elsewhere(store, tmp_path)
    other.file(Part(), "part.txt").write_text("rotten")
    assert other.file(Part(), "part.txt").read_text() == "a"
    store.place.write(f"part/{Part().key}/part.txt", b"rotten")
    shutil.rmtree(other.root)
    with pytest.raises(StoreError, match=f"{store.place}/part/{Part().key}/part.txt is damaged"):
        other.file(Part(), "part.txt")


@dataclass(frozen=True)
class Trained(Stage):
    """The weights of a network."""

    def make(self, folder, context):
        save_weights(nn.Linear(2, 2), folder / "weights.safetensors")


def test_weights_are_those_that_were_made_where_their_copy_here_is_damaged(store, tmp_path):
    """kills: weights read before they are checked: the copy is mended, the network is not."""
    make(store, Trained())
    other, right, read = elsewhere(store, tmp_path), nn.Linear(2, 2), nn.Linear(2, 2)
    load_trained(right, Trained(), store)
    copy = other.file(Trained(), "weights.safetensors")
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    load_trained(read, Trained(), other)
    assert torch.equal(read.weight, right.weight)
    assert torch.equal(read.bias, right.bias)


def test_a_provenance_that_names_files_elsewhere_is_refused(store, tmp_path):
    """kills: a name joined to the cache unread: whoever writes a bucket writes this machine."""
    make(store, Part())
    marker = f"part/{Part().key}/provenance.json"
    made = {**store.provenance(Part()), "inside": {"../../../escaped.txt": "0" * 64}}
    store.place.write(marker, sealed(made))
    with pytest.raises(StoreError, match=r"names a file outside itself: \.\./"):
        elsewhere(store, tmp_path).path(Part())
    assert not list(tmp_path.rglob("escaped.txt"))


def test_the_cache_is_bounded_and_keeps_what_is_in_use(store, tmp_path):
    """kills: copies without end, the wrong one evicted, or one evicted that a stage reads."""
    stages = [Large(name=name) for name in "abc"]
    for stage in stages:
        make(store, stage)
    small = elsewhere(store, tmp_path, gb=0.00085)  # two of them and their papers
    for stage in stages:
        small.file(stage, "large")
        held = sum(path.stat().st_size for path in small.root.rglob("*") if path.is_file())
        assert held <= 850_000
    assert [small.root.joinpath("large", x.key).exists() for x in stages] == [False, True, True]
    with small.remote.cache.at_work():
        small.file(stages[1], "large")
        small.file(stages[0], "large")
        with pytest.raises(StoreError, match=r"cache .* may hold 0\.00085 GB"):
            small.file(stages[2], "large")
        assert small.root.joinpath("large", stages[1].key, "large").exists()
    small.file(stages[2], "large")


def test_an_artifact_that_has_no_room_is_named_and_does_not_push_itself_out(store, tmp_path):
    """kills: a folder handed out without the files that its last ones pushed out."""
    make(store, Large())
    small = elsewhere(store, tmp_path, gb=0.0003)
    with pytest.raises(StoreError, match=r"cache .* may hold 0\.0003 GB"):
        small.path(Large())
    enough = open_store(str(store.place), tmp_path / "enough", 0.00041)
    assert {path.name for path in enough.path(Large()).rglob("*")} >= {"large", "file"}


def test_files_that_are_being_fetched_count_until_they_were_cut_short(store, tmp_path):
    """kills: a cache over its limit by all that other processes fetch, or by what a kill left."""
    make(store, Large())
    small = elsewhere(store, tmp_path, gb=0.0005)
    part = small.root / "parts" / "another's"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"a" * 200_000)
    with pytest.raises(StoreError, match=r"of which 0\.000\d+ are in use"):
        small.file(Large(), "large")
    os.utime(part, (time.time() - 4000,) * 2)
    assert small.file(Large(), "large").stat().st_size == 400_000
    assert not part.exists()


def race(place, cache, barrier):
    barrier.wait(60)
    make(open_store(place, Path(cache)), Whole())


def test_machines_that_race_leave_one_artifact(store, tmp_path):
    """kills: files of one beside the marker of another."""
    barrier = SPAWN.Barrier(2)
    caches = [str(tmp_path / name) for name in "xy"]
    each = [SPAWN.Process(target=race, args=(str(store.place), c, barrier)) for c in caches]
    [process.start() for process in each]
    [process.join(120) for process in each]
    assert [process.exitcode for process in each] == [0, 0]
    assert elsewhere(store, tmp_path).file(Whole(), "part.txt").read_text() == "a"
    assert store.place.names("making") == []


def test_an_artifact_that_came_meanwhile_is_seen(store, tmp_path):
    """kills: a listing believed for ever, and so a stage made again, or a row without a number."""
    stages, other = [Part(name) for name in "abcdefgh"], elsewhere(store, tmp_path)
    assert not any(other.has(stage) for stage in stages)
    for stage in stages:
        make(store, stage)
    assert all(other.has(stage) for stage in stages)
    assert pickle.loads(pickle.dumps(other)).has(stages[0])


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nowhere://bucket", "Protocol not known"),
        ("http://127.0.0.1:1/store", "HTTP keeps nothing"),
        ("simplecache::https://127.0.0.1:1/store", "HTTP keeps nothing"),
    ],
)
def test_an_address_that_can_be_no_store_is_one_line(address, reason, tmp_path):
    """kills: a server of pages that fails taken for a store that lacks everything, below another
    file system too; a refusal tried five times, or told as of an address out of reach."""
    with pytest.raises(StoreError, match=f"^no store at {address}: {reason}"):
        open_store(address, tmp_path).has(Part())


@pytest.mark.parametrize("store", ["", " "])
def test_a_store_without_a_name_is_refused(store):
    """kills: artifacts laid over the current folder where a variable was not set."""
    with pytest.raises(StoreError, match="the store has no name"):
        open_store(store)


def test_a_server_that_fails_every_fifth_request_loses_nothing(tmp_path):
    """kills: a request tried once."""
    with s3_server(5) as server:
        store = open_store("s3://bucket/failing", tmp_path / "cache")
        make(store, Part())
        assert elsewhere(store, tmp_path).file(Part(), "part.txt").read_text() == "a"
        assert server.failed > 3
