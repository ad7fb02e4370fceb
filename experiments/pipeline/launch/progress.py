"""How far a run is, how long it takes, and where: bars on a terminal, lines in a log."""

import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from tqdm import tqdm

from experiments.pipeline.launch.outlook import Outlook
from experiments.pipeline.launch.task import Task

LOG_INTERVAL = 5.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""
LONG = 60.0
"""Seconds after which a line is printed though nothing was done."""
BAR_LOCK = (True, 1.0)
"""How the bar's lock is acquired: a killed worker may hold it for ever, so wait one second."""
SHOWN = 3
"""Running tasks that a line names, at most."""
ROWS = 8
"""Running tasks that have a row of their own on a terminal, at most."""
Running = Sequence[tuple[Task[Any], str | None]]
"""What was handed over, and where each runs; None for what waits for a place."""


def _print(line: str) -> None:
    """A line on stderr; that nobody reads it any more is no reason to stop."""
    with contextlib.suppress(BrokenPipeError):
        print(line, file=sys.stderr, flush=True)


class Progress:
    """The display of one run of tasks, `width` at once. bars: whether there is a terminal to draw
    on; else lines are printed. rows: as many lines below the bar tell what runs where."""

    def __init__(
        self,
        tasks: Sequence[Task[Any]],
        width: int,
        bars: bool,
        rows: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.left = {task.key: task for task in tasks}
        self.count = sum(task.stages for task in tasks)
        self.width, self.clock = max(1, width), clock
        self.done = self.failures = 0
        self.begun: dict[str, float] = {}
        self.queued: set[str] = set()
        self.running: Running = ()
        self.outlook = Outlook()
        self.started = self.printed = clock()
        layout = "{desc} {percentage:3.0f}% |{bar}| {elapsed}{postfix}"
        self.bar = tqdm(
            total=self.count, bar_format=layout, disable=not bars, leave=False, lock_args=BAR_LOCK
        )
        below = range(1, min(rows, ROWS) + 1) if bars else ()
        self.rows = [tqdm(bar_format="  {desc}", position=i, leave=False) for i in below]
        self.bar.set_description_str(self._stages)
        if not bars:
            _print(f"[0/{self.count}] starting")

    @property
    def _stages(self) -> str:
        failures = f", {self.failures} failed" if self.failures else ""
        return f"{self.done}/{self.count} stages{failures}"

    @property
    def _forecast(self) -> str:
        """How fast it goes and how long it takes, once anything is known."""
        now = self.clock()
        if not self.done:
            return ""
        rate = 60 * self.done / max(now - self.started, 1e-9)
        ages = {
            task.key: now - self.begun[task.key]
            for task, place in self.running
            if place is not None
        }
        left = self.outlook.left([*self.left.values()], ages, self.width)
        return f", about {tqdm.format_interval(round(left))} left, {rate:.3g} stages/min"

    def began(self, keys: Sequence[str]) -> None:
        """Tasks were handed over."""
        self.begun.update(dict.fromkeys(keys, self.clock()))
        self.queued.update(keys)

    def finished(self, task: Task[Any]) -> None:
        """A task is done."""
        now = self.clock()
        del self.left[task.key]
        self.outlook.add(task, now - self.begun.get(task.key, now))
        self.done += task.stages
        self.bar.set_description_str(self._stages, refresh=False)
        self.bar.update(task.stages)
        if self.bar.disable and (now - self.printed > LOG_INTERVAL or self.done == self.count):
            self._line(task.label)

    def failed(self, task: Task[Any], error: Exception) -> None:
        """A task failed, which a person wants to know before the others are done. What needs it
        will not be run."""
        self.failures += task.stages
        gone = {task.key}
        while gone & self.left.keys():
            self.left = {key: each for key, each in self.left.items() if key not in gone}
            gone = {each.key for each in self.left.values() if each.needs & gone}
        self.bar.set_description_str(self._stages, refresh=False)
        if self.bar.disable:
            said = " ".join(str(error).split())
            _print(f"[{self.done}/{self.count}] {task.label} failed: {said}")

    def tick(self, running: Running) -> None:
        """Draw the time that has passed, and what runs now."""
        self.running = running
        for task, place in running:
            if place is not None and task.key in self.queued:  # what it waited was not its own
                self.queued.remove(task.key)
                self.begun[task.key] = self.clock()
        if self.bar.disable:
            if self.clock() - self.printed > LONG:
                self._line("")
            return
        self.bar.set_postfix_str(self._forecast.removeprefix(", "), refresh=False)
        self.bar.refresh(lock_args=BAR_LOCK)
        told = [*_told(running), *([""] * len(self.rows))]
        for row, line in zip(self.rows, told, strict=False):
            row.set_description_str(line, refresh=False)
            row.refresh(lock_args=BAR_LOCK)

    def close(self) -> None:
        """Wipe the bars."""
        for bar in (*self.rows, self.bar):
            bar.close()

    def _line(self, label: str) -> None:
        self.printed = now = self.clock()
        elapsed = tqdm.format_interval(now - self.started)
        done = f"{label}; " if label else ""
        line = f"[{self.done}/{self.count}] {done}{elapsed} elapsed{self._forecast}"
        told = _told([each for each in self.running if each[0].key in self.left])
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        _print(line + (f"; now {', '.join(told[:SHOWN])}{more}" if told else ""))


def _told(running: Running) -> list[str]:
    """What runs, and where, a line each; what waits for a place in one."""
    waiting = sum(place is None for _, place in running)
    lines = [f"{x.label}{place and f' on {place}'}" for x, place in running if place is not None]
    return [*lines, *([f"{waiting} waiting for a place"] if waiting else [])]
