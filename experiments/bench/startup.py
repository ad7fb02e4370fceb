"""What a command costs before it does anything: `table1 --help` against `import torch`."""

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import versioned
from experiments.bench.ratios import TimeRatio

ROOT = Path(__file__).parents[2]
HELP = ("-m", "experiments.hddm.table1", "--help")
IMPORT = ("-c", "import torch")


def _status(arguments: Sequence[str]) -> int:
    """The exit status of Python with the arguments; what it prints is thrown away."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode


def _sides(room: Room) -> TwoSides:
    def alike(ours: int, peer: int) -> Sequence[Alike]:
        return (Alike("exit status", ours, 0), Alike("exit status", peer, 0))

    return TwoSides(Side(partial(_status, HELP)), Side(partial(_status, IMPORT)), alike)


STARTUP = Bench(
    name="startup",
    title="Start-up",
    rows=(
        BenchRow(
            name="help",
            what=f"python {' '.join(HELP)}",
            peer=versioned("torch", f'python {IMPORT[0]} "{IMPORT[1]}"'),
            ratio=TimeRatio(2.0),
            unit="process",
            shapes="one process a call",
            precision="none",
            prepare=_sides,
        ),
    ),
    notes=(
        "Processor time of the process, from its start to its end. Files are in the page cache, "
        f"and bytecode is {'not ' if sys.dont_write_bytecode else ''}written by whoever lacks it.",
    ),
)
