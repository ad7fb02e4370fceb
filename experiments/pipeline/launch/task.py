"""What engines run, which of it goes first, and what an engine is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class Demand:
    """What one task occupies while it runs. memory: bytes, where anybody knows.

    gpus: as many where there are any; required: whether it needs them.
    """

    cpus: int = 1
    gpus: int = 0
    required: bool = False
    memory: int | None = None


@dataclass(frozen=True)
class Task(Generic[Item]):
    """One piece of work. needs: keys of tasks to be done before; cost: rough seconds; kind: of
    tasks that take about as long; stages: how many are done with it."""

    key: str
    item: Item
    label: str
    cost: float
    needs: frozenset[str]
    demand: Demand = Demand()
    kind: str = ""
    stages: int = 1


class WorkerLostError(Exception):
    """Whoever ran a task is gone, and so it was each time that the task was given to another."""


class Engine(Protocol):
    """Where tasks run: worker processes, a cluster, a queue. Results are the same to the byte."""

    declares: ClassVar[bool]
    """Whether it wants to know what a task occupies."""

    @property
    def width(self) -> int:
        """About as many tasks as run at once."""
        ...

    def prepare(self, libraries: Sequence[str]) -> None:
        """Begin what takes a while, such as the import of these, as there will be work."""
        ...

    def map(
        self, work: Callable[[Any], object], tasks: Sequence[Task[Any]]
    ) -> dict[str, Exception]:
        """Run work(task.item) for every task, each after the tasks it needs.

        Returns the errors of the tasks that failed, by key; what needs one of those is not run,
        and everything else is.
        """
        ...


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
