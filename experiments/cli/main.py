"""What every table script does: make what its tables lack, write them, say what went wrong.

One table or many: what they share is made once, and all of it in one pool of workers.
"""

import errno
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from datamodules.encoders import hub
from datamodules.shards import ShardError
from datamodules.sources.source import SourceError
from experiments.cli import downloads
from experiments.cli.options import Options, UsageError, parse
from experiments.cli.plan import plan
from experiments.cli.records import bad_records, unused
from experiments.cli.writing import Writing
from experiments.measures.costs import cost
from experiments.pipeline import build, edits
from experiments.pipeline.address import check_store, open_store
from experiments.pipeline.files import StoreError
from experiments.pipeline.launch.remote import OtherCodeError
from experiments.pipeline.launch.task import WorkerLostError
from experiments.pipeline.process import one_thread
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context
from experiments.tables import report
from experiments.tables.results import Table
from experiments.tables.rows import measurements
from metrics.networks import weights
from modules.weights.checkpoint import CheckpointError

BAD_INPUT = (
    *(ValueError, OSError, SourceError, ShardError, StoreError, CheckpointError),
    *(WorkerLostError, OtherCodeError),
    *(hub.HubWeightsError, weights.WeightsFileError),
)
"""What a person can mend, said in one line (--debug true shows where). The rest is a bug."""
LIBRARIES = ("experiments.training.fit", "sklearn.cluster", "sklearn.metrics", "scipy.stats")
"""What stages import where they use it, and so workers need beside the modules that are here."""

FULL = (errno.ENOSPC, errno.EDQUOT)
MANY = 30
"""Tables times seeds whose stages take seconds to name, before which a line says what goes on."""


class RowsMissingError(Exception):
    """Stages failed, and rows of tables are without their numbers; all else is made and written."""

    def __init__(self, rows: Sequence[str], failed: build.StagesFailed) -> None:
        self.failed = failed
        super().__init__(f"without {several(rows, 'other row')}: " if rows else "")


def run(tables: Sequence[Table], options: Options) -> Iterator[str]:
    """Make whatever the tables lack, then write each and give its markdown.

    Raises RowsMissingError at the end if something could not be made.
    """
    store = open_store(options.store, options.cache, options.cache_gb)
    context = Context(
        store,
        tensorboard=options.tensorboard,
        wandb=options.wandb,
        device=options.device,
        hardware=options.hardware,
    )
    if len(tables) * options.seeds >= MANY:
        said = f"[0/?] looking up what {len(tables)} tables have made for {options.seeds} seeds"
        print(said, file=sys.stderr, flush=True)
    by_seed = [table.by_seed(options.scale, options.seeds) for table in tables]
    wanted = [stage for rows in by_seed for stage in measurements(rows)]
    if options.plan:
        yield plan(wanted, store, options.hardware.checkpointing)
        return
    for table in tables:
        table.judge(options.scale)  # ValueError, before anything is made, where nobody can judge
    check_store(store, writing=False)
    stages = build.behind(wanted)
    missing = build.missing(stages, store, options.launch, LIBRARIES)
    downloads.require(missing)
    if missing:
        check_store(store, writing=True)
    tell(tables, edits.made_anew(missing, store))
    turned = tables[0].changed(options.scale_name, options.scale)
    opened = report.open_folder(options.results, options.scale_name, turned)  # before hours of work
    missing_rows, failed = list[str](), None
    try:
        build.ensure(wanted, context, options.launch, memory)
    except build.StagesFailed as error:
        failed = error  # tables are written of what is there
    made = {stage.key: stage for stage in stages if store.has(stage)}
    tell(tables, edits.outdated([*made.values()], store))
    for line in bad_records(missing, store):
        tell(tables, line)
    writing = Writing(options, store, frozenset(made), turned)
    for table, written in zip(tables, writing.each(tables, by_seed), strict=True):
        missing_rows += written.lacking
        if written.folder is not None:
            yield written.markdown
            if turned and not written.lacking:
                tell([table], f"written to {written.folder}")
    report.close_folder(opened)
    if failed is not None:
        raise RowsMissingError(missing_rows, failed)


def main(*tables: Table, arguments: Sequence[str] | None = None) -> int:
    """A script of tables: 0 when they are written, 2 for a bad command line, 1 for bad input."""
    hear_interrupts()
    one_thread()
    arguments = sys.argv[1:] if arguments is None else arguments
    many = len(tables) > 1
    prog = "all" if many else tables[0].name
    about = f"All {len(tables)} tables" if many else tables[0].title
    try:
        sweep = None if many else tables[0].sweep
        options = parse(prog, about, arguments, tables[0].scales, sweep)
    except UsageError as error:
        return say(prog, str(error), 2)
    if options.sweep is not None:
        tables = (tables[0].swept(options.sweep),)
    if many:  # those that there are at this scale
        tables = tuple(table for table in tables if options.scale_name in table.scales)
    try:
        for markdown in run(tables, options):
            print(markdown)
    except KeyboardInterrupt:
        return say(prog, "interrupted; the same command goes on from here", 130)
    except BrokenProcessPool:
        return say(prog, "a worker process was killed; the same command goes on from here", 1)
    except RowsMissingError as error:
        if options.debug or is_bug(error.failed):
            raise error.failed from error
        message = f"{error}{reason(error.failed, options.store)}"
        return say(prog, " ".join(message.split()), 1)
    except BAD_INPUT as error:
        if options.debug or is_bug(error):
            raise
        return say(prog, " ".join(reason(error, options.store).split()), 1)
    return 0


def memory(stage: Stage) -> float | None:
    """Bytes of the networks that a stage holds, computed from its config; None where none is."""
    needed = cost(stage)
    return None if needed is None else needed.memory


def tell(tables: Sequence[Table], line: str | None) -> None:
    """Say on stderr what a reader of the tables should know, if there is anything."""
    if line is not None:
        print(f"{', '.join(table.name for table in tables)}: {line}", file=sys.stderr)


def hear_interrupts() -> None:
    """Ctrl-C raises KeyboardInterrupt from here on; experiments/__init__.py had it end at once."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def is_bug(error: Exception) -> bool:
    """Whether a stage failed of what no person can mend."""
    errors = error.errors.values() if isinstance(error, build.StagesFailed) else [error]
    return not all(isinstance(each, BAD_INPUT) for each in errors)


def reason(error: Exception, store: str | Path) -> str:
    """What went wrong, and, where an artifact is at fault, which folder to delete."""
    if isinstance(error, build.StagesFailed):
        causes = dict[str, list[str]]()
        for stage, each in error.errors.items():
            if isinstance(each, OSError) and each.errno in FULL:  # whichever file it was
                what = f"{store}: {each.strerror}"
            else:
                what = reason(each, store)
            cause = f"{what}{unused(stage, error.store)}"
            causes.setdefault(cause, []).append(stage.label)
        lines = [f"{several(labels)}: {cause}" for cause, labels in causes.items()]
        if sum("is damaged" in cause for cause in causes) > 1:
            lines.append("make store ARGS=verify names all that is damaged")
        return "; ".join(lines) + error.consequence
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    message = str(error)
    about = re.search(rf"{re.escape(str(store))}/(?!making/)[a-z]+/[0-9a-f]+", message)
    if about is None or "delete " in message:
        return message
    return f"{message}; delete {about.group()} and run again"


def several(names: Sequence[str], noun: str = "other") -> str:
    """The first of some, and how many others."""
    others = len(names) - 1
    return names[0] if not others else f"{names[0]} and {others} {noun}{'s'[: others > 1]}"


def say(prog: str, message: str, status: int) -> int:
    print(f"{prog}: {message}", file=sys.stderr)
    return status
