"""Local worker processes, one thread each: one verb, `map`.

Two processes of one thread beat one of two at small sizes, and one thread makes sums repeatable.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import multiprocessing.queues
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import torch
from tqdm import tqdm

from experiments.pipeline.launch.progress import Progress

Item = TypeVar("Item")

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


def _start_worker(numbers: "multiprocessing.queues.Queue[int]", lock: Any, bars: bool) -> None:
    global worker, slot
    worker = numbers.get()
    slot = worker + 1 if bars else None
    tqdm.set_lock(lock)
    settle()


def settle() -> None:
    """Use one thread, end at SIGINT without a traceback, and end with the parent."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    follow_parent()


@contextlib.contextmanager
def block_sigint() -> Iterator[None]:
    """Block SIGINT while a worker starts.

    The worker inherits the block, so that no Ctrl-C interrupts its imports; `settle` lifts it
    there. This process gets the signal when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class Task(Generic[Item]):
    """One piece of work. needs: keys of tasks to be done before; cost: rough seconds."""

    key: str
    item: Item
    label: str
    cost: float
    needs: frozenset[str]


def map(
    work: Callable[[Item], object], tasks: Sequence[Task[Item]], workers: int
) -> dict[str, Exception]:
    """Run work(task.item) for every task in worker processes, each after the tasks it needs.

    Of the tasks that are ready the costliest starts first. One bar shows the whole, its estimate
    weighing tasks by cost. Returns the errors of the tasks that failed, by key; what needs one of
    those is not run, and everything else is.
    Raises BrokenProcessPool at once if a worker is killed.
    """
    if not tasks:
        return {}
    bars = sys.stderr.isatty()
    spawn = multiprocessing.get_context("spawn")
    numbers, lock = spawn.Queue(), spawn.RLock()
    for i in range(workers):
        numbers.put(i)
    tqdm.set_lock(lock)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # inherited by the workers, before they import torch
    size = min(workers, len(tasks))
    progress = Progress(len(tasks), sum(task.cost for task in tasks), bars)
    processes = Processes()
    pool = ProcessPoolExecutor(size, spawn, _start_worker, (numbers, lock, bars))
    try:
        errors = _run(pool, work, tasks, size, progress, processes)
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        processes.end()
        tqdm.set_lock(threading.RLock())  # a killed worker may have held the old one
        raise
    finally:
        progress.close()
    return errors


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


def _run(
    pool: ProcessPoolExecutor,
    work: Callable[[Item], object],
    tasks: Sequence[Task[Item]],
    size: int,
    progress: Progress,
    processes: Processes,
) -> dict[str, Exception]:
    waiting = sorted(tasks, key=lambda task: task.cost, reverse=True)
    undone = {task.key for task in tasks}
    running: dict[Future[object], Task[Item]] = {}
    errors: dict[str, Exception] = {}
    while True:
        ready = [task for task in waiting if not task.needs & undone]
        for task in ready[: size - len(running)]:
            with block_sigint():
                running[pool.submit(work, task.item)] = task
            waiting.remove(task)
        if not running:
            return errors
        processes.check()
        for future in wait(running, timeout=1, return_when=FIRST_COMPLETED).done:
            task = running.pop(future)
            try:
                future.result()
            except BrokenProcessPool:
                raise
            except Exception as error:
                errors[task.key] = error
                progress.failed(task.label, error)
            else:
                undone.remove(task.key)
                progress.finished(task.label, task.cost)
        progress.tick()
