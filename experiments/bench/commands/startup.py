"""What commands cost before they do anything: help, a table that is made, a worker's start.

Against `import torch` in a process of its own, which all of them have to do.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments.bench.commands import python
from experiments.bench.commands.python import IMPORT
from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import versioned
from experiments.bench.ratios import RateRatio, Ratio, SecondsOfOurs, TimeRatio
from experiments.pipeline.stage import Stage

HELP = ("-m", "experiments.hddm.table1", "--help")
WORKERS = 4
START = f"""
from experiments.bench.commands.startup import look
from experiments.cli.main import LIBRARIES
from experiments.hddm.table1 import TABLE
from experiments.pipeline.launch.local import Local
from experiments.pipeline.launch.task import Task
engine = Local({WORKERS})
engine.prepare(LIBRARIES)
stages = TABLE.stages(TABLE.scales["smoke"], 1)[:{WORKERS}]
tasks = [Task(stage.key, stage, stage.label, 1.0, frozenset()) for stage in stages]
assert len(tasks) == {WORKERS} and not engine.map(look, tasks)
"""
"""Hands a stage of Table 1 to each of four workers, forked as a table's are, who look at it."""


def look(stage: Stage) -> str:
    """In a worker: the stage's kind. AssertionError if it would import what it trains with."""
    assert "lightning" in sys.modules
    return stage.kind


def table1(folder: Path, seeds: int, scale: str = "smoke") -> tuple[str, ...]:
    """Table 1 with its store and results in the folder."""
    where = ("--store", str(folder / "store"), "--results", str(folder / "results"))
    return ("-m", "experiments.hddm.table1", "--scale", scale, "--seeds", str(seeds), *where)


def _ended(ours: int, peer: int) -> Sequence[Alike]:
    return (Alike("exit status", ours, 0), Alike("exit status", peer, 0))


def _imported() -> Side:
    return Side(partial(python.status, IMPORT))


def _help(room: Room) -> TwoSides:
    return TwoSides(Side(partial(python.status, HELP)), _imported(), _ended)


def _warm(room: Room) -> TwoSides:
    again = table1(room.folder, room.amount(3, 1))
    python.require(again)
    stages = sorted((room.folder / "store").glob("*/*/provenance.json"))
    made = [path.stat().st_mtime_ns for path in stages]

    def alike(ours: int, peer: int) -> Sequence[Alike]:
        there = sorted((room.folder / "store").glob("*/*/provenance.json"))
        kept = sum(path.stat().st_mtime_ns in made for path in there)
        return (*_ended(ours, peer), Alike("stages that were made before", kept, len(stages)))

    return TwoSides(Side(partial(python.status, again)), _imported(), alike)


def _workers(room: Room) -> TwoSides:
    started = Side(partial(python.status, ("-c", START)), 1 + WORKERS)
    return TwoSides(started, _imported(), _ended)


def _row(
    name: str, what: str, ratio: Ratio, unit: str, shapes: str, prepare: partial[TwoSides]
) -> BenchRow:
    peer = versioned("torch", f'python {IMPORT[0]} "{IMPORT[1]}"')
    return BenchRow(name, what, peer, ratio, unit, shapes, "none", prepare)


STARTUP = Bench(
    name="startup",
    title="Start-up",
    rows=(
        _row(
            "help",
            f"python {' '.join(HELP)}",
            TimeRatio(2.0),
            "process",
            "one process a call",
            partial(_help),
        ),
        _row(
            "warm-table1",
            "`make table1` where everything is made",
            SecondsOfOurs(4.0),
            "process",
            "scale smoke, 3 seeds",
            partial(_warm),
        ),
        _row(
            "worker",
            f"a command and its {WORKERS} workers, which hold what stages import, a stage for each",
            RateRatio(0.5),
            "process",
            f"{1 + WORKERS} processes a call",
            partial(_workers),
        ),
    ),
    notes=(
        "Processor time of the process and of all that it starts, from start to end. Files are in "
        f"the page cache, and bytecode is {'not ' if sys.dont_write_bytecode else ''}written by "
        "whoever lacks it.",
    ),
)
