"""Ours against peers, as ratios: results/bench/*.csv and *.md.

Each row is checked to do the same work on both sides, then the sides are timed in turns in one
process of one thread. Seconds are of a machine; run it where nothing else runs.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from experiments.bench import (
    dit_steps,
    guided_sampling,
    inception_fid,
    lightning_run,
    resident,
    tar_reading,
    top2,
)
from experiments.bench.commands import baseline, startup
from experiments.bench.pairing import Bench, Measured, RefusedError, Room, measure
from experiments.bench.ratio_table import Where, summary_line, write
from experiments.cli.bounds import named_folder

BENCHES = (
    startup.STARTUP,
    dit_steps.SMALLER,
    lightning_run.LIGHTNING,
    guided_sampling.SAMPLING,
    top2.TOP2,
    resident.MEMORY,
    inception_fid.FID,
    tar_reading.READING,
    baseline.TABLE1,
    dit_steps.LARGER,
    baseline.ALL,
)


def positive(text: str) -> int:
    """A number of at least 1. ValueError for another."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


positive.__name__ = "number"  # as argparse names what it refuses


def parser(benches: Sequence[Bench]) -> argparse.ArgumentParser:
    """The command line over these benches."""
    names = [bench.name for bench in benches]
    asked = ", ".join(bench.name for bench in benches if bench.asked_only)
    made = argparse.ArgumentParser("python -m experiments.bench", description=__doc__)
    made.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar="NAME",
        help=f"a table, repeatable: {', '.join(names)}; default: all but {asked or 'none'}",
    )
    made.add_argument("--pairs", type=positive, default=7, help="pairs of a row, 7 by default")
    made.add_argument("--seeds", type=positive, default=1, help="of tables that are made, 1")
    made.add_argument(
        "--results", type=named_folder, default=Path("results"), help="written below bench/"
    )
    made.add_argument(
        "--brief", action="store_true", help="less work, nothing written: do the rows run?"
    )
    return made


def run(bench: Bench, pairs: int, results: Path | None, seeds: int = 1) -> bool:
    """Measure a bench's rows and write them; False if one was refused. results: None for no files.

    A refused row is named on stderr and left out; the others are measured all the same.
    """
    where, measurements, refused = Where.here(), list[Measured](), False
    for row in bench.rows:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            room = Room(Path(folder), results is None, seeds)
            try:
                measurements.append(measure(row, room, pairs))
            except RefusedError as error:
                print(f"{row.name}: refused, {error}", file=sys.stderr)
                refused = True
                continue
        print(summary_line(measurements[-1]), flush=True)
        if results is not None:  # after each row: a stopped run keeps those before it
            write(bench, measurements, where, results / "bench")
    return not refused


def main(arguments: Sequence[str] | None = None, benches: Sequence[Bench] = BENCHES) -> int:
    """0, or 1 if a row was refused; a goal missed is a result, printed as one."""
    asked = parser(benches).parse_args(arguments)
    chosen = [b for b in benches if (b.name in asked.only if asked.only else not b.asked_only)]
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that rows start
    torch.set_num_threads(1)
    results = None if asked.brief else asked.results
    with threadpool_limits(1):
        whole = [run(bench, asked.pairs, results, asked.seeds) for bench in chosen]
    return 0 if all(whole) else 1


if __name__ == "__main__":
    sys.exit(main())
