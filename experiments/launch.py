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
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from tqdm import tqdm

Item = TypeVar("Item")

slot: int | None = None
"""In a worker: its row of progress bars, from 1. None where bars make no sense."""


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _start_worker(slots: "multiprocessing.queues.Queue[int]", lock: Any, bars: bool) -> None:
    global slot
    slot = slots.get() if bars else None
    tqdm.set_lock(lock)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()


@dataclass(frozen=True)
class Task(Generic[Item]):
    """One piece of work. needs: keys of tasks to be done before; cost: rough seconds."""

    key: str
    item: Item
    label: str
    cost: float
    needs: frozenset[str]


def map(work: Callable[[Item], object], tasks: Sequence[Task[Item]], workers: int) -> None:
    """Run work(task.item) for every task in worker processes, each after the tasks it needs.

    Of the tasks that are ready the costliest starts first. One bar shows the whole, its estimate
    weighing tasks by cost. The first failure stops the rest and is raised.
    """
    if not tasks:
        return
    bars = sys.stderr.isatty()
    spawn = multiprocessing.get_context("spawn")
    slots, lock = spawn.Queue(), spawn.RLock()
    for i in range(workers):
        slots.put(i + 1)
    tqdm.set_lock(lock)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # inherited by the workers, before they import torch
    size = min(workers, len(tasks))
    layout = "{desc} {percentage:3.0f}% |{bar}| {elapsed} elapsed, {remaining} left"
    total = sum(task.cost for task in tasks)
    with (
        tqdm(total=total, bar_format=layout, mininterval=0.1 if bars else 15) as bar,
        ProcessPoolExecutor(size, spawn, _start_worker, (slots, lock, bars)) as pool,
    ):
        try:
            _run(pool, work, tasks, bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _run(
    pool: ProcessPoolExecutor,
    work: Callable[[Item], object],
    tasks: Sequence[Task[Item]],
    bar: "tqdm[Any]",
) -> None:
    waiting = sorted(tasks, key=lambda task: task.cost, reverse=True)
    unfinished = {task.key for task in tasks}
    running: dict[Future[object], tuple[Task[Item], float]] = {}
    while unfinished:
        for task in [task for task in waiting if not task.needs & unfinished]:
            running[pool.submit(work, task.item)] = task, time.monotonic()
            waiting.remove(task)
        finished, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
        for future in finished:
            task, _ = running.pop(future)
            future.result()
            unfinished.remove(task.key)
            bar.update(task.cost)
        done = len(tasks) - len(unfinished)
        bar.set_description_str(f"{done}/{len(tasks)} stages", refresh=False)
        bar.refresh() if sys.stderr.isatty() else None
