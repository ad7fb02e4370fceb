"""Tables written from a store that has what they show, several at once."""

import contextlib
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.cli.options import Options
from experiments.pipeline import build, edits
from experiments.pipeline.files import write_whole
from experiments.pipeline.launch import local, server
from experiments.pipeline.store import Store
from experiments.tables import report
from experiments.tables.results import Results, Table
from experiments.tables.rows import Row, measurements


@dataclass(frozen=True)
class WrittenFiles:
    """A table's markdown and folder, and its rows that lack a number; no folder if all do."""

    markdown: str
    folder: Path | None
    lacking: tuple[str, ...]


@dataclass(frozen=True)
class Writing:
    """What the tables of a run are written with.

    made: keys of the stages behind them that the store has.  turned: dials that were.
    """

    options: Options
    store: Store
    made: frozenset[str]
    turned: Mapping[str, object]

    def write(self, table: Table[Any], rows: list[list[Row]]) -> WrittenFiles:
        """Write one. Of a table without some numbers it takes the place of no whole one."""
        options = self.options
        named = table, options.scale_name, options.scale, options.seeds
        results = Results(*named, self.store, rows)
        lacking = tuple(f"{table.name}, {results.rows[0][i].name}" for i in results.lacking)
        if len(lacking) >= sum(row.measured is not None for row in results.rows[0]):
            return WrittenFiles("", None, lacking)
        name = f"{options.scale_name}-incomplete" if lacking else options.scale_name
        behind = build.behind(measurements(rows))
        remark = edits.outdated([x for x in behind if x.key in self.made], self.store)
        remarks = [f"{remark[0].upper()}{remark[1:]}."] if remark else []
        folder = report.open_folder(options.results, name, self.turned)
        markdown = report.write(results, folder, remarks)
        write_whole(folder / f"{table.name}.yaml", options.repeated_by.encode())
        return WrittenFiles(markdown, folder, lacking)

    def each(
        self, tables: Sequence[Table[Any]], by_seed: Sequence[list[list[Row]]]
    ) -> Iterator[WrittenFiles]:
        """Write all, and give each in turn. The one of most figures is begun first, so that nobody
        waits for it alone at the end."""
        jobs = [*zip(tables, by_seed, strict=True)]
        order = sorted(range(len(jobs)), key=lambda i: -len(tables[i].figures))
        return in_forks(lambda i: self.write(*jobs[i]), order, self.processes)

    @property
    def processes(self) -> int:
        """As many as there are workers here. One where a fork of this process is not safe: it talks
        to a cluster or to a store elsewhere, or the system's own libraries do not bear it."""
        engine = self.options.launch
        alone = self.store.remote is not None or sys.platform != "linux"
        return 1 if alone or not isinstance(engine, local.Local) else engine.workers


_work: Callable[[int], Any] | None = None
"""In a fork: what it is asked for, since a function of this run's own cannot be sent to it."""


def in_forks(work: Callable[[int], Any], order: Sequence[int], processes: int) -> Iterator[Any]:
    """work(0), work(1), …, begun in `order`, by forks of this process, which have what it refers
    to; one process does each as it is asked for.

    What it does is done on the CPU. Raises BrokenProcessPool if a fork is killed.
    """
    global _work
    n = len(order)
    if min(n, processes) < 2:
        yield from map(work, range(n))
        return
    _work, forks = work, local.Processes()
    pool = ProcessPoolExecutor(min(n, processes), multiprocessing.get_context("fork"), _settle)
    try:
        with server.block_sigint(), _blocked_sigterm():
            futures = {i: pool.submit(_called, i) for i in order}
        for i in range(n):
            yield futures[i].result()
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        forks.end()
        raise
    finally:
        _work = None


@contextlib.contextmanager
def _blocked_sigterm() -> Iterator[None]:
    """Block SIGTERM while forks begin: a handler of the command's that raises there, as Ray has
    one, would unwind the command's own frames in the fork. `_settle` lifts it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _settle() -> None:
    """Begin a fork: it ends at SIGTERM, whatever the command does then."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    local.settle()


def _called(i: int) -> Any:
    assert _work is not None
    return _work(i)
