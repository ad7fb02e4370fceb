"""How tasks become jobs of a queue: few arrays, and no job that is over before it has begun."""

import math
import signal
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from experiments.pipeline.launch.task import Demand, Task

GB = 2**30
WAIT = 60
"""Seconds that a script which had itself queued again waits for its own end."""


def rounded(demand: Demand) -> Demand:
    """With memory rounded up to a power of two of gigabytes, so that arrays are few."""
    if demand.memory is None:
        return demand
    gigabytes = 2 ** math.ceil(math.log2(max(1.0, demand.memory / GB)))
    return replace(demand, memory=gigabytes * GB)


def batched(tasks: Sequence[Task[Any]], seconds: float) -> list[list[Task[Any]]]:
    """The tasks in order, in jobs of no more than that many rough seconds, or of one task."""
    batches: list[list[Task[Any]]] = []
    for task in tasks:
        if batches and sum(x.cost for x in batches[-1]) + task.cost <= seconds:
            batches[-1].append(task)
        else:
            batches.append([task])
    return batches


def queued_again_unheard(timeouts: int) -> list[str]:
    """Lines of a job's script, after its process: queue again what the signal of its time's end
    killed while it imported, before submitit could hear it.

    Then the script waits to be taken out, for the end of one that ended by itself could be taken
    for the end of the next try, if that has begun by then.
    """
    killed = f"[ $status -eq {128 + signal.SIGUSR2} ]"
    again = f"[ ${{SLURM_RESTART_COUNT:-0}} -lt {timeouts} ]"
    return [
        "status=$?",
        f"if {killed} && {again}; then scontrol requeue $SLURM_JOB_ID && sleep {WAIT}; fi",
        "exit $status",
    ]
