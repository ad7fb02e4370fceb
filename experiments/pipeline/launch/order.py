"""What all engines share: which task goes next, what failed, and what is therefore not run."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeVar

from experiments.pipeline.launch.progress import Progress
from experiments.pipeline.launch.task import Task, chains


class Handle(Protocol):
    """A task that was handed over."""

    def error(self) -> Exception | None:
        """Once it is done: what it failed of. Raises what ends the whole run."""
        ...

    def place(self) -> str | None:
        """Where it runs, as a person would say it; None while nobody has begun it."""
        ...


HandleT = TypeVar("HandleT", bound=Handle)


class Pool(Protocol[HandleT]):
    """Who runs the tasks that are ready."""

    def room(self) -> int:
        """As many tasks as it takes at once, at present: one or more."""
        ...

    def submit(self, tasks: Sequence[Task[Any]]) -> Sequence[HandleT]:
        """Hand over tasks, the most urgent first."""
        ...

    def wait(self, running: Collection[HandleT]) -> Collection[HandleT]:
        """Those that are done, after a second at most."""
        ...


def run(
    pool: Pool[HandleT], tasks: Sequence[Task[Any]], progress: Progress
) -> dict[str, Exception]:
    """Every task, after those it needs. The errors of those that failed, by key.

    Of the tasks that are ready, the one that the longest chain of work waits for goes first.
    """
    ahead = chains(tasks)
    waiting = sorted(tasks, key=lambda task: ahead[task.key], reverse=True)
    undone = {task.key for task in tasks}
    running: dict[HandleT, Task[Any]] = {}
    errors: dict[str, Exception] = {}
    while True:
        ready = [task for task in waiting if not task.needs & undone]
        if begun := ready[: max(0, pool.room() - len(running))]:
            running.update(zip(pool.submit(begun), begun, strict=True))
            waiting = [task for task in waiting if task not in begun]
            progress.began([task.key for task in begun])
        if not running:
            return errors
        for handle in pool.wait(running):
            task, error = running.pop(handle), handle.error()
            if error is None:
                undone.remove(task.key)
                progress.finished(task)
            else:
                errors[task.key] = error
                progress.failed(task, error)
        progress.tick([(task, handle.place()) for handle, task in running.items()])
