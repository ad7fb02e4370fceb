"""Table 1 at smoke through the real command: the whole pipeline, twice, and killed midway."""

import csv
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from experiments.cli import main as cli
from experiments.hddm.table1 import TABLE
from experiments.recipes.images import SCALES
from tests.helpers.files import ROOT
from tests.helpers.stages import places

pytestmark = pytest.mark.slow
OUTPUTS = ("table1.csv", "table1.md", "figures/table1.png")
ROWS = [("Monolithic", ""), ("Real pictures", "")] + [
    (strategy, form)
    for form in ("text-free", "text-aware")
    for strategy in ("Top-1", "Top-2", "Full")
]
IN_THE_PAPER = [
    ("Monolithic", ""),
    ("Top-1", "text-free"),
    ("Top-2", "text-free"),
    ("Full", "text-free"),
]


def start(folder):
    """The command in a process group of its own."""
    command = [sys.executable, "-m", "experiments.hddm.table1", "--scale", "smoke", "--seeds", "1"]
    return subprocess.Popen(
        [*command, "--workers", "2", *places(folder)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(folder):
    """Run the command to its end: (stdout, stderr)."""
    process = start(folder)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out, err


def outputs(folder):
    return {name: (folder / "results" / "smoke" / name).read_bytes() for name in OUTPUTS}


def artifacts(folder):
    """{path: time of the last change} of the store's files."""
    return {p: p.stat().st_mtime_ns for p in (folder / "store").rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The folder of one run from nothing, and what it printed."""
    folder = tmp_path_factory.mktemp("table1")
    return folder, finish(folder)


def test_rows_and_evaluations_are_what_the_strategies_say(table):
    """kills: a row lost or out of order, experts run that have no weight, evaluations not counted,
    the router asked by the monolith or more than once a step."""
    folder, (out, err) = table
    with open(folder / "results" / "smoke" / "table1.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["Strategy"], line["Router"]) for line in lines] == ROWS
    steps = SCALES["smoke"].draw.steps
    experts = {"Monolithic": 1, "Top-1": 1, "Top-2": 2, "Full": 8, "Real pictures": 0}
    for line in lines:
        assert float(line["Expert evaluations a sample"]) == steps * experts[line["Strategy"]]
        assert float(line["Router evaluations a sample"]) == steps * bool(line["Router"])
        shown = line["FID-50K (paper)"]
        assert bool(shown) == ((line["Strategy"], line["Router"]) in IN_THE_PAPER)
    assert out.strip() == outputs(folder)["table1.md"].decode().strip()
    assert all(re.match(r"\[\d+/\d+\] ", line) for line in err.splitlines())
    assert list((folder / "store" / "making").iterdir()) == []


def test_a_second_run_makes_nothing_and_writes_the_same(table):
    """kills: stages made again, a time or date in the outputs, rows in an order of the moment."""
    folder, _ = table
    files, before = artifacts(folder), outputs(folder)
    assert cli.main(TABLE, arguments=["--scale", "smoke", "--seeds", "1", *places(folder)]) == 0
    assert outputs(folder) == before
    assert artifacts(folder) == files


def test_killed_at_any_moment_the_same_command_makes_the_same_table(table, tmp_path):
    """kills: state left behind by a kill, a number that hangs on the store, the machine's moment
    or the order in which workers finish."""
    moment = random.Random(0)
    for part in (0.15, 0.6):
        wanted = int((part + moment.uniform(0, 0.3)) * 29)
        process, end = start(tmp_path), time.monotonic() + 600
        while len(list(tmp_path.glob("store/*/*/config.json"))) < wanted:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.05)
        time.sleep(moment.uniform(0, 0.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finish(tmp_path)
    assert outputs(tmp_path) == outputs(table[0])
