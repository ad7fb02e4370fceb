"""A Slurm queue, through submitit: tasks that are ready are an array of jobs.

Slurm decides where and when a job runs. One that is preempted or runs out of time is queued again
and goes on from what it left in the store. All nodes have the checkout at one path (`remote.py`)
and see one store and the folder of logs.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from experiments.pipeline.launch import order
from experiments.pipeline.launch.jobs import GB, batched, queued_again_unheard, rounded
from experiments.pipeline.launch.progress import Progress
from experiments.pipeline.launch.remote import Errand, environment
from experiments.pipeline.launch.task import Demand, Item, Task, WorkerLostError

LOOK = 5.0
"""Seconds between two questions to the queue."""
LOST = 30.0
"""Seconds after which a job that is in no queue and left no result is lost: a network file system
may show its result late."""
WARNING = 90
"""Seconds before the end of its time that a job is told, at most."""
OWN = ("SLURM_", "SUBMITIT_")
"""How the variables begin by which a job is known to Slurm, and to itself."""
NODES = 16
"""As many jobs are thought to run at once where nobody says."""


@dataclass(frozen=True)
class Slurm:
    """A Slurm queue. ValueError for what makes no sense.

    Args:
        partition: sbatch's; None for the queue's own.
        account: sbatch's; None for the queue's own.
        qos: sbatch's; None for the queue's own.
        constraint: sbatch's; None for the queue's own.
        workers: jobs at once, at most; None for as many as the queue lets run.
        minutes: of one job.
        timeouts: how often a job that runs out of its minutes is queued again, at most.
        batch: rough seconds of tasks that go into one job, which takes some seconds to begin.
        folder: of jobs and their logs, which all nodes see.
    """

    declares: ClassVar[bool] = True
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    workers: int | None = None
    minutes: int = 60
    timeouts: int = 1000
    batch: float = 30.0
    folder: Path = Path("slurm")

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--workers must be at least 1, not {self.workers}")
        if self.minutes < 1 or self.timeouts < 0 or not self.batch >= 0:
            raise ValueError(
                f"--launch.minutes {self.minutes}, --launch.timeouts {self.timeouts}, "
                f"--launch.batch {self.batch}: at least 1, 0 and 0 are wanted"
            )

    @property
    def width(self) -> int:
        return self.workers or NODES

    def prepare(self, libraries: Sequence[str]) -> None:
        """Nothing: jobs import for themselves."""

    def map(
        self, work: Callable[[Item], object], tasks: Sequence[Task[Item]]
    ) -> dict[str, Exception]:
        """Engine.map. OSError where there is no Slurm."""
        if not tasks:
            return {}
        if shutil.which("sbatch") is None:
            raise OSError("--launch slurm: there is no sbatch here")
        folder = (self.folder / f"{datetime.now():%Y%m%d-%H%M%S-%f}").absolute()
        folder.mkdir(parents=True, mode=0o700)  # its scripts hold what opens a store
        queue = _Queue(replace(self, folder=folder), Errand.here(work))
        progress = Progress(tasks, self.width, sys.stderr.isatty(), rows=len(tasks))
        try:
            errors = order.run(queue, tasks, progress)
        except BaseException:
            queue.cancel()
            raise
        finally:
            progress.close()
        if not errors:
            shutil.rmtree(folder, ignore_errors=True)
        return errors


@dataclass(frozen=True)
class _Batch:
    """What one job does. Begun again, it finds in the store what it had made."""

    remote: Callable[[Any], Exception | None]
    items: tuple[Any, ...]
    own: dict[str, str] = field(default_factory=dict, init=False)

    def __call__(self) -> list[Exception | None]:
        self.own.update({x: text for x, text in os.environ.items() if x.startswith(OWN)})
        return [self.remote(item) for item in self.items]

    def checkpoint(self) -> Any:
        """What submitit queues again when the job's time runs out.

        It asks Slurm for that by variables that a training has taken out; this process ends next.
        """
        from submitit.helpers import DelayedSubmission

        os.environ.update(self.own)
        return DelayedSubmission(_Batch(self.remote, self.items))


@dataclass(eq=False)
class _InQueue:
    """A task in a job, the `index`-th there, and where the job runs."""

    job: Any
    index: int
    where: str | None = None
    absent: float | None = None

    def done(self) -> bool:
        return bool(self.job.paths.result_pickle.exists())

    def error(self) -> Exception | None:
        if not self.done():
            return WorkerLostError(f"job {self.job.job_id} left the queue without a result")
        try:
            errors: list[Exception | None] = self.job.result()
        except Exception as error:  # submitit's, whose last line is the job's own
            said = str(error).strip().splitlines()[-1]
            return WorkerLostError(f"job {self.job.job_id}: {said}; see {self.job.paths.stderr}")
        return errors[self.index]

    def place(self) -> str | None:
        return self.where


@dataclass
class _Queue:
    """The queue, as `order.run` sees it."""

    engine: Slurm
    remote: Errand
    jobs: set[str] = field(default_factory=set)
    looked: float = 0.0

    def room(self) -> int:
        """All that is ready: Slurm keeps the queue."""
        return sys.maxsize

    def submit(self, tasks: Sequence[Task[Any]]) -> list[_InQueue]:
        arrays: dict[Demand, list[Task[Any]]] = {}
        for task in tasks:
            arrays.setdefault(rounded(task.demand), []).append(task)
        handed: dict[str, _InQueue] = {}
        for demand, members in arrays.items():
            batches = batched(members, self.engine.batch)
            work = [_Batch(self.remote, tuple(x.item for x in batch)) for batch in batches]
            for job, batch in zip(self._submit(work, demand), batches, strict=True):
                handed |= {task.key: _InQueue(job, i) for i, task in enumerate(batch)}
        return [handed[task.key] for task in tasks]

    def wait(self, running: Collection[_InQueue]) -> list[_InQueue]:
        time.sleep(0.5)
        if time.monotonic() - self.looked > LOOK:
            self._look(running)
        now = time.monotonic()
        return [x for x in running if x.done() or (x.absent and now - x.absent > LOST)]

    def cancel(self) -> None:
        """Take all jobs out of the queue."""
        if self.jobs:
            subprocess.run(["scancel", *self.jobs], check=False, capture_output=True)

    def _submit(self, work: Sequence[_Batch], demand: Demand) -> list[Any]:
        import submitit

        engine = self.engine
        with contextlib.redirect_stdout(sys.stderr):
            executor = submitit.SlurmExecutor(engine.folder, max_num_timeout=engine.timeouts)
        setup = [f"export {name}={shlex.quote(text)}" for name, text in environment().items()]
        chosen = {
            "partition": engine.partition,
            "account": engine.account,
            "qos": engine.qos,
            "constraint": engine.constraint,
            "gpus_per_node": demand.gpus if demand.required else None,
            "mem": None if demand.memory is None else f"{demand.memory // GB}GB",
        }
        executor.update_parameters(
            job_name="stages",
            time=engine.minutes,
            cpus_per_task=demand.cpus,
            array_parallelism=engine.workers or len(work),
            signal_delay_s=min(WARNING, 15 * engine.minutes),
            setup=setup,
            teardown=queued_again_unheard(engine.timeouts),
            additional_parameters={"requeue": True},
            **{name: value for name, value in chosen.items() if value is not None},
        )
        try:
            with executor.batch():  # of objects, for a function has no `checkpoint`
                jobs = [executor.submit(batch) for batch in work]
        except submitit.core.utils.FailedJobError as error:
            raise OSError(f"sbatch: {' '.join(str(error).split())}") from error
        self.jobs |= {job.job_id.partition("_")[0] for job in jobs}
        return jobs

    def _look(self, running: Collection[_InQueue]) -> None:
        """Ask the queue where jobs are."""
        self.looked = time.monotonic()
        command = [
            "squeue",
            "--noheader",
            "--array",
            "--format=%i %t %N",
            f"--jobs={','.join(self.jobs)}",
        ]
        asked = subprocess.run(command, check=False, capture_output=True, text=True)
        known = "Invalid job id" in asked.stderr  # which all jobs are that ended a while ago
        if asked.returncode and not known:
            return  # the queue does not answer now, which tells of no job
        there = {job: rest for job, *rest in map(str.split, asked.stdout.splitlines())}
        for handed in running:
            state = there.get(handed.job.job_id)
            running_now = state is not None and state[0] in ("R", "CG") and len(state) > 1
            handed.where = state[1] if state is not None and running_now else None
            if state is not None:
                handed.absent = None
            elif handed.absent is None:
                handed.absent = self.looked
