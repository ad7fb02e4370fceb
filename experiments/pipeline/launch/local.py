"""Local worker processes, one thread each.

Two processes of one thread beat one of two at small sizes, and one thread makes sums repeatable.
"""

import multiprocessing
import multiprocessing.connection
import multiprocessing.queues
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, ClassVar

from tqdm import tqdm

from experiments.pipeline.launch import order, server
from experiments.pipeline.launch.progress import Progress
from experiments.pipeline.launch.task import Item, Task
from experiments.pipeline.process import one_thread

TERMINATE_TIMEOUT = 5.0
"""Seconds that a worker has to end by itself once it is asked to."""
worker: int | None = None
"""In a worker: its number, from 0."""
slot: int | None = None
"""In a worker: its row of progress bars, from 1. None where there is no terminal."""


def follow_parent() -> None:
    """End this process when its parent ends, whatever it is doing."""
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _start_worker(
    numbers: "multiprocessing.queues.Queue[int]",
    lock: Any,
    bars: bool,
    environment: Mapping[str, str],
) -> None:
    global worker, slot
    os.environ.clear()  # it is as old as the server
    os.environ.update(environment)
    worker = numbers.get()
    slot = worker + 1 if bars else None
    tqdm.set_lock(lock)
    settle()


def settle() -> None:
    """Use one thread, end at SIGINT without a traceback, and end with the parent."""
    one_thread()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    follow_parent()


@dataclass(frozen=True)
class Local:
    """Worker processes on this machine, of one thread each. ValueError for less than one."""

    declares: ClassVar[bool] = False
    workers: int = 1

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"--workers must be at least 1, not {self.workers}")

    @property
    def width(self) -> int:
        return self.workers

    def prepare(self, libraries: Sequence[str]) -> None:
        server.start(libraries)

    def map(
        self, work: Callable[[Item], object], tasks: Sequence[Task[Item]]
    ) -> dict[str, Exception]:
        """Engine.map. Raises BrokenProcessPool at once if a worker is killed."""
        return map(work, tasks, self.workers)


def map(
    work: Callable[[Item], object], tasks: Sequence[Task[Item]], workers: int
) -> dict[str, Exception]:
    """Local(workers).map."""
    if not tasks:
        return {}
    bars = sys.stderr.isatty()
    server.start(())  # unless whoever knew of these tasks earlier has started it
    numbers, lock = server.FORKED.Queue(), server.FORKED.RLock()
    for i in range(workers):
        numbers.put(i)
    tqdm.set_lock(lock)
    size = min(workers, len(tasks))
    progress = Progress(tasks, size, bars)
    processes = Processes()
    start = (numbers, lock, bars, dict(os.environ))
    pool = ProcessPoolExecutor(size, server.FORKED, _start_worker, start)
    try:
        server.wait_until_ready()
        errors = order.run(_Workers(pool, work, size, processes), tasks, progress)
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        processes.end()
        tqdm.set_lock(threading.RLock())  # a killed worker may have held the old one
        raise
    finally:
        progress.close()
    return errors


@dataclass(frozen=True, eq=False)
class _InPool:
    """A task in the pool: on this machine, which goes without saying."""

    future: Future[object]

    def error(self) -> Exception | None:
        try:
            self.future.result()
        except BrokenProcessPool:
            raise
        except Exception as error:
            return error
        return None

    def place(self) -> str:
        return ""


@dataclass(frozen=True)
class _Workers:
    """The pool, as `order.run` sees it: a worker, a task."""

    pool: ProcessPoolExecutor
    work: Callable[[Any], object]
    size: int
    processes: "Processes"

    def room(self) -> int:
        return self.size

    def submit(self, tasks: Sequence[Task[Any]]) -> list[_InPool]:
        handed = []
        for task in tasks:
            with server.block_sigint():
                handed.append(_InPool(self.pool.submit(self.work, task.item)))
        return handed

    def wait(self, running: Collection[_InPool]) -> list[_InPool]:
        self.processes.check()
        futures = {handed.future: handed for handed in running}
        done = wait(futures, timeout=1, return_when=FIRST_COMPLETED).done
        return [handed for future, handed in futures.items() if future in done]


class Processes:
    """The worker processes: the children that this process has started since this was made."""

    def __init__(self) -> None:
        self.others = set(multiprocessing.active_children())
        self.workers: set[BaseProcess] = set()

    def check(self) -> None:
        """BrokenProcessPool if a worker has died; the pool itself may overlook its newest one."""
        self.workers |= set(multiprocessing.active_children()) - self.others
        if any(worker.exitcode for worker in self.workers):
            raise BrokenProcessPool("a worker process ended abruptly")

    def end(self) -> None:
        """Terminate all, and kill those that are still there after TERMINATE_TIMEOUT."""
        self.workers |= set(multiprocessing.active_children()) - self.others
        for worker in self.workers:
            worker.terminate()
        end = time.monotonic() + TERMINATE_TIMEOUT
        for worker in self.workers:
            worker.join(max(0.0, end - time.monotonic()))
            if worker.is_alive():
                worker.kill()
                worker.join(TERMINATE_TIMEOUT)
