"""Random damage to a finished store: each fault is named, and none is silently used."""

import os
import random
import subprocess
import sys
from dataclasses import dataclass

import pytest

from experiments import store as command
from experiments.cli.main import main
from experiments.hddm.table1 import TABLE
from experiments.pipeline.files import StoreError
from experiments.pipeline.stage import Measurement
from experiments.pipeline.storage.inventory import inventory
from experiments.pipeline.store import Store
from tests.helpers.faults.corruption import Tally, corrupted, summary
from tests.helpers.files import ROOT
from tests.helpers.parts import Part, Whole
from tests.helpers.stages import make


def test_counts_are_summed_over_all_faults():
    """kills: the last tally told for all, a count under another's name."""
    told = [("kills", (3, 2, 1, 0)), ("damage", (4, 3, 0, 1))]
    assert summary(told) == [
        "kills: 3 tried, 2 survived, 1 lost, 0 silent",
        "damage: 4 tried, 3 survived, 0 lost, 1 silent",
        "all faults: 7 tried, 5 survived, 1 lost, 1 silent",
    ]
    assert summary([]) == []


@dataclass(frozen=True)
class Counted(Measurement):
    """Numbers, and a file in a folder."""

    number: int = 0

    def measure(self, folder, context):
        (folder / "inner").mkdir()
        (folder / "inner" / "more.txt").write_text(f"more of {self.number}")
        return {"number": self.number, "squared": self.number**2}


STAGES = [*(Counted(i) for i in range(4)), *(Part(f"part {i}") for i in range(4)), Whole()]
FILES = {Counted: "measured.json", Part: "part.txt", Whole: "part.txt"}


def read(store, stage):
    return store.file(stage, FILES[type(stage)]).read_bytes() if store.has(stage) else None


def named(store):
    return "\n".join(line for held in inventory(store.place) for line in held.damages())


@pytest.mark.parametrize("count", [200])
def test_each_of_many_faults_is_named_and_none_is_used(store, count):
    """kills: a file without a checksum, a provenance or config believed unread, and the files of
    one artifact taken for another's."""
    for stage in STAGES:
        make(store, stage)
    whole = {stage: read(store, stage) for stage in STAGES}
    assert named(store) == ""
    rng, tally = random.Random(0), Tally()
    for _ in range(count):
        with corrupted(store.root, rng) as (_, paths):
            tally["tried"] += 1
            told, fresh = named(store), Store(store.root)
            tally["lost"] += not all(str(path) in told for path in paths)
            for stage in STAGES:
                try:
                    tally["silent"] += read(fresh, stage) not in (whole[stage], None)
                except StoreError as error:
                    tally["lost"] += not any(str(path.parent) in str(error) for path in paths)
            tally["survived"] += all(str(path) in told for path in paths)
    assert tally.told("corruptions of a small store") == (count, count, 0, 0)
    assert named(store) == ""


@pytest.mark.longest
def test_no_fault_changes_a_table(tmp_path, capsys):
    """kills: a number in a table from a file that is not what was written."""
    places = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    arguments = ["--scale", "smoke", "--seeds", "1", "--workers", "2", *places]
    done = [sys.executable, "-m", "experiments.hddm.table1", *arguments]
    subprocess.run(done, cwd=ROOT, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    csv = tmp_path / "results/smoke/table1.csv"
    right, rng, tally = csv.read_bytes(), random.Random(1), Tally()
    for _ in range(200):
        with corrupted(tmp_path / "store", rng) as (_, paths):
            tally["tried"] += 1
            status = command.main(["verify", "--store", str(tmp_path / "store")])
            told = capsys.readouterr().out
            tally["lost"] += not (status == 1 and all(str(path) in told for path in paths))
            status = main(TABLE, arguments=arguments)
            said = capsys.readouterr().err
            tally["silent"] += status == 0 and csv.read_bytes() != right
            about = [str(path) for path in paths] + [str(path.parent) for path in paths]
            assert status == 0 or any(each in said for each in about), said
            tally["survived"] += 1
    with capsys.disabled():
        assert tally.told("corruptions of Table 1's store") == (200, 200, 0, 0)
