"""The command line of every table script: a scale, its dials, seeds, workers and the store.

One table or many: what they share is made once, and all of it in one pool of workers.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch
from jsonargparse import ArgumentError, ArgumentParser

from datamodules import hub
from datamodules.shards import ShardError
from datamodules.sources import SourceError
from experiments import report, stages
from experiments.files import StoreError
from experiments.identity import Context, Device
from experiments.provenance import commit
from experiments.recipes import ScaleError
from experiments.results import Results, Table
from experiments.scales import SCALES, Scale
from experiments.store import Store
from metrics import weights
from modules.checkpoint import CheckpointError

BAD_INPUT = (
    *(ValueError, OSError, SourceError, ShardError, StoreError, ScaleError, CheckpointError),
    *(hub.WeightsError, weights.WeightsError),
)
"""What a person can mend, said in one line (--debug true shows where). The rest is a bug."""


class UsageError(RuntimeError):
    """A command line that cannot be read."""


@dataclass(frozen=True)
class Options:
    """The command line, read."""

    scale_name: str
    scale: Scale
    seeds: int
    workers: int
    store: Path
    results: Path
    tensorboard: bool
    device: Device
    debug: bool


def cores() -> int:
    """The cores that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def take_scale(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The value of --scale, and the other arguments: the scale fixes every dial's default."""
    names, rest, ahead = [], [], iter(arguments)
    for argument in ahead:
        if argument == "--scale":
            names.append(next(ahead, ""))
        elif argument.startswith("--scale="):
            names.append(argument.partition("=")[2])
        else:
            rest.append(argument)
    if len(names) > 1:
        raise UsageError("--scale is given twice")
    name = names[0] if names else "small"
    if name not in SCALES:
        raise UsageError(f"unknown scale {name!r}: choose from {', '.join(SCALES)}")
    return name, rest


def parse(prog: str, about: str, arguments: Sequence[str]) -> Options:
    """Read a command line. UsageError for an unknown scale or option, or a bad value."""
    name, rest = take_scale(arguments)
    scales = ",".join(SCALES)
    parser = ArgumentParser(
        prog=prog,
        usage=f"%(prog)s [--scale {{{scales}}}] [--seeds N] [--workers N] [--scale.DIAL VALUE …]",
        description=f"{about}. The dials' defaults are those of scale {name}.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--scale", type=Scale, default=SCALES[name])
    parser.add_argument("--seeds", type=int, default=3, help="training seeds 0 … n - 1")
    parser.add_argument("--workers", type=int, default=cores(), help="processes at once")
    parser.add_argument("--store", type=Path, default=Path("store"), help="folder of artifacts")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of tables")
    parser.add_argument("--tensorboard", type=bool, default=False, help="also log to TensorBoard")
    parser.add_argument("--device", type=Device, default="auto", help="where to train and sample")
    parser.add_argument("--debug", type=bool, default=False, help="show tracebacks")
    try:
        found = parser.instantiate_classes(parser.parse_args(rest))
    except (ArgumentError, TypeError, ValueError) as error:
        raise UsageError(" ".join(str(error).split())) from error
    if not 1 <= found.seeds <= 1000:
        raise UsageError(f"--seeds must lie between 1 and 1000, not be {found.seeds}")
    if found.workers < 1:
        raise UsageError(f"--workers must be at least 1, not {found.workers}")
    if found.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda: no CUDA device is available here")
    return Options(scale_name=name, **vars(found))


def run(tables: Sequence[Table], options: Options) -> Iterator[str]:
    """Make whatever the tables lack, then write each and give its markdown."""
    store = Store(options.store)
    context = Context(store, tensorboard=options.tensorboard, device=options.device)
    wanted = [stage for table in tables for stage in table.stages(options.scale, options.seeds)]
    folder = report.open_folder(options.results, options.scale_name, options.scale)
    stages.ensure(wanted, context, options.workers)
    for table in tables:
        results = Results(table, options.scale_name, options.scale, options.seeds, store)
        if stale := [made for made in results.commits if made != commit()]:
            print(
                f"{table.name}: part of this was made by other code ({', '.join(stale)}); "
                "an empty store makes all of it anew",
                file=sys.stderr,
            )
        yield report.write(results, folder)


def main(*tables: Table, arguments: Sequence[str] | None = None) -> int:
    """A script of tables: 0 when they are written, 2 for a bad command line, 1 for bad input."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as experiments/__init__.py left it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = sys.argv[1:] if arguments is None else arguments
    many = len(tables) > 1
    prog = "all" if many else tables[0].name
    about = f"All {len(tables)} tables" if many else tables[0].title
    try:
        options = parse(prog, about, arguments)
    except UsageError as error:
        return say(prog, str(error), 2)
    try:
        for markdown in run(tables, options):
            print(markdown)
    except KeyboardInterrupt:
        return say(prog, "interrupted; the same command goes on from here", 130)
    except BrokenProcessPool:
        return say(prog, "a worker process was killed; the same command goes on from here", 1)
    except BAD_INPUT as error:
        if options.debug:
            raise
        return say(prog, " ".join(reason(error, options.store).split()), 1)
    return 0


def reason(error: Exception, store: Path) -> str:
    """What went wrong, and, where an artifact is at fault, which folder to delete."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    said = str(error)
    about = re.search(rf"{re.escape(str(store))}/(?!making/)[a-z]+/[0-9a-f]+", said)
    if about is None or "delete " in said:
        return said
    return f"{said}; delete {about.group()} and run again"


def say(prog: str, message: str, status: int) -> int:
    print(f"{prog}: {message}", file=sys.stderr)
    return status
