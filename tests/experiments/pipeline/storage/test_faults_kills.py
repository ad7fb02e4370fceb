"""Processes killed, disks full, commands given twice: nothing half, nothing lost but time."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import ClassVar

import pytest

from experiments.pipeline.files import StoreError
from experiments.pipeline.stage import Stage
from experiments.pipeline.storage.inventory import abandoned, alive, inventory
from experiments.pipeline.storage.leases import Maker
from experiments.pipeline.store import Store
from tests.helpers.faults.corruption import Tally
from tests.helpers.faults.s3 import s3_server
from tests.helpers.files import ROOT
from tests.helpers.stages import make

FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Steps(Stage):
    """Writes ten files, one after the other, and goes on with those that are there."""

    resumes: ClassVar[bool] = True
    number: int = 0
    size: int = 1

    def make(self, folder, context):
        for i in range(10):
            if not (folder / f"{i}.txt").exists():
                (folder / ".aside").write_text(f"{self.number} {i}" * self.size)
                (folder / ".aside").rename(folder / f"{i}.txt")
                time.sleep(0.002)


STEPS = [Steps(number) for number in range(10)]


def make_all(store):
    for stage in STEPS:
        make(store, stage)


def damages(store):
    return [line for held in inventory(store.place) for line in held.damages()]


def test_a_run_killed_at_random_moments_ends_whole(store):
    """kills: half an artifact taken for whole, a lease of the dead that bars the living, folders
    left behind."""
    rng, tally = random.Random(0), Tally()
    while tally["tried"] < 20:
        child = FORK.Process(target=make_all, args=(store,))
        child.start()
        child.join(rng.uniform(0.01, 0.15))
        if not child.is_alive():  # all is made, and nothing is left to be killed in
            shutil.rmtree(store.root)
            continue
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        tally.tried(damages(store))
    make_all(store)
    for stage in STEPS:
        for i in range(10):
            found = store.file(stage, f"{i}.txt").read_text()
            tally["silent"] += found != f"{stage.number} {i}"
    assert tally.told("kills of a small run") == (20, 20, 0, 0)
    assert damages(store) == []
    left = store.place.names("making")  # leases of who was killed when all was made but that
    assert all(name.endswith(".lease") for name in left)
    assert abandoned(store.place, alive(store.place), timedelta()) == sorted(left)


@pytest.fixture
def tiny(tmp_path):
    """A file system of 1 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a tmpfs")
    folder = tmp_path / "tiny"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_is_named_and_leaves_nothing_half(tiny):
    """kills: an OSError let through bare, or what did not fit taken for an artifact."""
    store, large = Store(tiny / "store"), Steps(0, 60_000)
    make(store, Steps(1))
    with pytest.raises(StoreError, match=f"cannot make steps/{large.key} in the store {tiny}"):
        make(store, large)
    tally = Tally()
    tally.tried(damages(store))
    tally["silent"] += store.has(large) or store.file(Steps(1), "0.txt").read_text() != "1 0"
    assert tally.told("full disks") == (1, 1, 0, 0)


def table1(tmp_path, name, store="store", scale="smoke"):
    """The command of Table 1 of one seed, and the csv that it writes."""
    places = ["--store", str(store), "--results", str(tmp_path / name)]
    arguments = ["--scale", scale, "--seeds", "1", "--workers", "2", *places]
    command = [sys.executable, "-m", "experiments.hddm.table1", *arguments]
    return command, tmp_path / name / scale / "table1.csv"


def start(command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    )


def undisturbed(folder, scale="smoke"):
    """Table 1's csv of a run that nothing happens to, and the seconds that it took."""
    began = time.monotonic()
    command, csv = table1(folder, "results", folder / "store", scale)
    assert start(command).wait(3600) == 0
    return csv.read_bytes(), time.monotonic() - began


@pytest.fixture(scope="module")
def right(tmp_path_factory):
    return undisturbed(tmp_path_factory.mktemp("right"))


@pytest.mark.longest
def test_table_1_killed_at_random_moments_is_the_same(tmp_path, right):
    """kills: numbers that depend on where a run was killed."""
    killed_at_random(tmp_path, "smoke", 50, right)


@pytest.mark.longest
@pytest.mark.skipif("SMALL_TOO" not in os.environ, reason="half an hour, with SMALL_TOO=1 alone")
def test_table_1_of_small_killed_at_random_moments_is_the_same(tmp_path):
    """Where trainings are killed for the most part. kills: weights that depend on where."""
    (folder := tmp_path / "right").mkdir()
    killed_at_random(tmp_path, "small", 10, undisturbed(folder, "small"))


def killed_at_random(tmp_path, scale, kills, right):
    rng, tally, store = random.Random(2), Tally(), Store(tmp_path / "store")
    command, csv = table1(tmp_path, "results", store.root, scale)
    while tally["tried"] < kills:
        process = start(command)
        try:
            process.wait(rng.uniform(1, max(2, right[1] / 5)))
        except subprocess.TimeoutExpired:
            whole = rng.random() < 0.5  # the command and its workers, or the command alone
            os.killpg(process.pid, signal.SIGKILL) if whole else process.kill()
            process.wait()
            tally.tried(damages(store) if store.root.exists() else [])
        else:  # all is made, and nothing is left to be killed in
            shutil.rmtree(store.root)
    assert start(command).wait(3600) == 0
    tally["silent"] += csv.read_bytes() != right[0]
    assert tally.told(f"kills of Table 1 at {scale}") == (kills, kills, 0, 0)
    assert damages(store) == []


@pytest.mark.longest
def test_two_commands_at_once_beside_another_hosts_lease(tmp_path, right):
    """kills: a folder deleted in which another works, or two that spoil each other's artifacts."""
    store = Store(tmp_path / "store")
    expert = next(path.name for path in (tmp_path.parent).glob("right*/store/trainexpert/*"))
    making, stop = store.root / "making", threading.Event()
    (making / f"trainexpert-{expert}").mkdir(parents=True)
    (making / f"trainexpert-{expert}" / "theirs").write_text("half")
    maker = asdict(replace(Maker.this(), host="far", boot="another"))
    form = {"state": "holding", "folder": f"trainexpert-{expert}", "maker": maker, "inputs": []}
    lease = making / f"trainexpert-{expert}.00000000.lease"
    lease.write_text(json.dumps(form))

    def beat():
        while not stop.wait(1):
            os.utime(lease)

    threading.Thread(target=beat, daemon=True).start()
    both = [table1(tmp_path, name, store.root) for name in "ab"]
    processes = [start(command) for command, _ in both]
    assert [process.wait(900) for process in processes] == [0, 0]
    stop.set()
    tally = Tally()
    for _, csv in both:
        tally.once(csv.read_bytes() == right[0])
    assert tally.told("two commands at once, beside another host's lease") == (2, 2, 0, 0)
    assert damages(store) == []
    assert (making / f"trainexpert-{expert}" / "theirs").read_text() == "half"
    assert len(list(making.iterdir())) == 2


@pytest.mark.longest
def test_table_1_at_an_address_that_fails_every_fifth_request(tmp_path, right, monkeypatch):
    """kills: a request tried once, and bytes that depend on where the store lies."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with s3_server(5) as server:
        command, csv = table1(tmp_path, "results", "s3://bucket/table1")
        assert start(command).wait(1200) == 0
    tally = Tally(tried=server.failed)
    tally["survived" if csv.read_bytes() == right[0] else "silent"] = server.failed
    assert tally.told("requests that the server failed") == (server.failed, server.failed, 0, 0)
    assert server.failed
