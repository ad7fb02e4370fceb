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

Item = TypeVar("Item")

LOG_EVERY = 5.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""
GRACE = 5.0
"""Seconds that a worker has to end by itself once it is asked to."""
PATIENCE = (True, 1.0)
"""A bar is drawn once its lock is free, or not at all: a killed worker may hold it for ever."""
worker: int | None = None
"""In a worker: its number, from 0."""
slot: int | None = None
"""In a worker: its row of progress bars, from 1. None where bars make no sense."""


def follow_parent() -> None:
    """Have this process end when its parent does, whatever it is doing."""
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
    """Make this process one of one thread that ends when told to, and with its parent."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    follow_parent()


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """SIGINT waits, for a moment: a worker begun now is deaf to it too until it has imported what
    it needs, and this process hears it afterwards."""
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


def map(work: Callable[[Item], object], tasks: Sequence[Task[Item]], workers: int) -> None:
    """Run work(task.item) for every task in worker processes, each after the tasks it needs.

    Of the tasks that are ready the costliest starts first. One bar shows the whole, its estimate
    weighing tasks by cost. The first failure stops the rest and is raised.
    """
    if not tasks:
        return
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
    crew = Crew()
    pool = ProcessPoolExecutor(size, spawn, _start_worker, (numbers, lock, bars))
    try:
        _run(pool, work, tasks, size, progress, crew)
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        crew.end()
        tqdm.set_lock(threading.RLock())  # the old one may have died in a worker's hands
        raise
    finally:
        progress.close()


class Crew:
    """The worker processes: the children that this process has got since the crew was made."""

    def __init__(self) -> None:
        self.others = set(multiprocessing.active_children())
        self.workers: set[BaseProcess] = set()

    def check(self) -> None:
        """BrokenProcessPool if a worker has died; the pool itself may overlook its newest one."""
        self.workers |= set(multiprocessing.active_children()) - self.others
        if any(worker.exitcode for worker in self.workers):
            raise BrokenProcessPool("a worker process ended abruptly")

    def end(self) -> None:
        """End all, whatever they are doing: asked to at first, killed if they do not listen."""
        self.workers |= set(multiprocessing.active_children()) - self.others
        for worker in self.workers:
            worker.terminate()
        end = time.monotonic() + GRACE
        for worker in self.workers:
            worker.join(max(0.0, end - time.monotonic()))
            if worker.is_alive():
                worker.kill()
                worker.join(GRACE)


def _print(line: str) -> None:
    """A line on stderr; that nobody reads it any more is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)


class Progress:
    """How far the whole is and how long it will take: a bar on a terminal, lines in a log."""

    def __init__(self, count: int, total: float, bars: bool) -> None:
        self.count, self.total, self.spent, self.done = count, total, 0.0, 0
        self.started = self.said = time.monotonic()
        layout = "{desc} {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left"
        self.bar = tqdm(
            total=total, bar_format=layout, disable=not bars, leave=False, lock_args=PATIENCE
        )
        self.bar.set_description_str(f"0/{count} stages")
        if not bars:
            _print(f"[0/{count}] starting")

    def finished(self, label: str, cost: float) -> None:
        self.done, self.spent = self.done + 1, self.spent + cost
        self.bar.set_description_str(f"{self.done}/{self.count} stages", refresh=False)
        self.bar.update(cost)
        now = time.monotonic()
        if self.bar.disable and (now - self.said > LOG_EVERY or self.done == self.count):
            self.said, elapsed = now, now - self.started
            line = f"[{self.done}/{self.count}] {label}; {tqdm.format_interval(elapsed)} elapsed"
            if self.spent > self.total / 50:  # earlier, start-up would swamp the estimate
                left = max(0.0, elapsed * (self.total / self.spent - 1))
                line += f", about {tqdm.format_interval(left)} left"
            _print(line)

    def tick(self) -> None:
        self.bar.refresh(lock_args=PATIENCE)

    def close(self) -> None:
        self.bar.close()


def _run(
    pool: ProcessPoolExecutor,
    work: Callable[[Item], object],
    tasks: Sequence[Task[Item]],
    size: int,
    progress: Progress,
    crew: Crew,
) -> None:
    waiting = sorted(tasks, key=lambda task: task.cost, reverse=True)
    unfinished = {task.key for task in tasks}
    running: dict[Future[object], Task[Item]] = {}
    while unfinished:
        ready = [task for task in waiting if not task.needs & unfinished]
        for task in ready[: size - len(running)]:
            with deaf():
                running[pool.submit(work, task.item)] = task
            waiting.remove(task)
        crew.check()
        finished, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
        for future in finished:
            task = running.pop(future)
            future.result()
            unfinished.remove(task.key)
            progress.finished(task.label, task.cost)
        progress.tick()
