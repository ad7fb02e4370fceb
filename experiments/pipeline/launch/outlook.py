"""How long what is left will take, learnt from what is done.

Costs are rough: right in their proportions at one scale, on one machine. So a kind of task that was
seen takes what it took; of others a line through what was seen tells, seconds = a + b cost.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from experiments.pipeline.launch.task import Task, chains

START_UP = 1.0
"""Seconds that any task takes, until some are seen."""
PRIOR = 0.1
"""Weight of one second a task, and of costs being seconds, against one task that was seen."""


class Outlook:
    """The seconds that the tasks of a run take. Add what is seen, ask what is left."""

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}
        self._points: list[tuple[float, float]] = []

    def add(self, task: Task[Any], seconds: float) -> None:
        self.seen.setdefault(task.kind, []).append(seconds)
        self._points.append((task.cost, seconds))

    def seconds(self, tasks: Iterable[Task[Any]]) -> list[float]:
        """What each will take."""
        start_up, slope = self._line()
        known = {kind: statistics.median(times) for kind, times in self.seen.items()}
        return [known.get(task.kind, start_up + slope * task.cost) for task in tasks]

    def left(self, tasks: Sequence[Task[Any]], running: dict[str, float], width: int) -> float:
        """Seconds until all of `tasks` are done, of which some have been running, by key, for so
        many seconds: the work that is left over `width` workers, or its longest chain."""
        needed = self.seconds(tasks)
        rest = [
            max(0.0, each - running.get(task.key, 0.0))
            for task, each in zip(tasks, needed, strict=True)
        ]
        timed = [replace(task, cost=each) for task, each in zip(tasks, rest, strict=True)]
        return max(sum(rest) / width, max(chains(timed).values(), default=0.0))

    def _line(self) -> tuple[float, float]:
        """a and b of seconds = a + b cost, neither negative. The slowest tenth is left out: whoever
        comes first imports for those who follow."""
        points = sorted(self._points, key=lambda point: point[1])
        points = points[: max(1, round(0.9 * len(points)))] if points else []
        rows = [(1.0, cost, seconds) for cost, seconds in points]
        rows += [(PRIOR, 0.0, PRIOR * START_UP), (0.0, PRIOR, PRIOR)]
        x = np.array(rows)
        (a, b), *_ = np.linalg.lstsq(x[:, :2], x[:, 2], rcond=None)
        if a < 0:
            return 0.0, float(x[:, 1] @ x[:, 2] / (x[:, 1] @ x[:, 1]))
        if b < 0:
            return float(x[:, 0] @ x[:, 2] / (x[:, 0] @ x[:, 0])), 0.0
        return float(a), float(b)
