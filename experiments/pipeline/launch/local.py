"""Local worker processes, one thread each: one verb, `map`.

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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import torch
from tqdm import tqdm

from experiments.pipeline.launch import server
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
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    follow_parent()


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

    Of the tasks that are ready, the one that the longest chain of work waits for starts first. One
    bar shows the whole, its estimate weighing tasks by cost. Returns the errors of the tasks that
    failed, by key; what needs one of those is not run, and everything else is.
    Raises BrokenProcessPool at once if a worker is killed.
    """
    if not tasks:
        return {}
    bars = sys.stderr.isatty()
    server.start(())  # unless whoever knew of these tasks earlier has started it
    numbers, lock = server.FORKED.Queue(), server.FORKED.RLock()
    for i in range(workers):
        numbers.put(i)
    tqdm.set_lock(lock)
    size = min(workers, len(tasks))
    progress = Progress(len(tasks), sum(task.cost for task in tasks), bars)
    processes = Processes()
    start = (numbers, lock, bars, dict(os.environ))
    pool = ProcessPoolExecutor(size, server.FORKED, _start_worker, start)
    try:
        server.wait_until_ready()
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


def chains(tasks: Sequence[Task[Item]]) -> dict[str, float]:
    """Seconds from a task's start to the end of the longest chain of tasks that needs it, by key.

    The critical path: whatever the workers, a run takes at least the largest.
    """
    needed_by: dict[str, list[Task[Item]]] = {task.key: [] for task in tasks}
    for task in tasks:
        for need in task.needs & needed_by.keys():
            needed_by[need].append(task)
    known: dict[str, float] = {}

    def chain(task: Task[Item]) -> float:
        if task.key not in known:
            after = [chain(each) for each in needed_by[task.key]]
            known[task.key] = task.cost + max(after, default=0.0)
        return known[task.key]

    return {task.key: chain(task) for task in tasks}


def _run(
    pool: ProcessPoolExecutor,
    work: Callable[[Item], object],
    tasks: Sequence[Task[Item]],
    size: int,
    progress: Progress,
    processes: Processes,
) -> dict[str, Exception]:
    ahead = chains(tasks)
    waiting = sorted(tasks, key=lambda task: ahead[task.key], reverse=True)
    undone = {task.key for task in tasks}
    running: dict[Future[object], Task[Item]] = {}
    errors: dict[str, Exception] = {}
    while True:
        ready = [task for task in waiting if not task.needs & undone]
        for task in ready[: size - len(running)]:
            with server.block_sigint():
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
