"""How what is missing gets made: a target and all it is made from, inputs first.

A stage reads its inputs from the store by their keys and writes only its own folder.
"""

import functools
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

from experiments.pipeline.labels import distinct
from experiments.pipeline.launch import local
from experiments.pipeline.launch.task import Demand, Engine, Task
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store

Stages = tuple[Stage, ...]
"""Stages that one call makes: of one class, and alike in `Stage.stack_key`."""


Memory = Callable[[Stage], float | None]
"""Bytes that a stage takes beside its process; None where nobody knows."""
PROCESS = 2**30
"""Bytes of a process that has imported torch, Lightning and the suite."""
STACKED = 0.63
"""What a stage costs in a stack of two or more, of what it costs in a stack of one, at `small`."""


def _unknown(stage: Stage) -> None:
    """The memory of a stage of which nothing is known."""


def make(stages: Stages, context: Context) -> None:
    """Make stages in this process, on the GPUs that are its own; bars go to its own row."""
    if context.hardware.gpus and local.worker is not None:  # before CUDA starts
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(context.hardware.share(local.worker))
    context.store.make_stack(stages, replace(context, bar=local.slot))


def stacked(stages: Sequence[Stage], stack: int, workers: int) -> list[Stages]:
    """The stages in groups of at most `stack` that are made in one go, no worker left without.

    Only what waits for the same stages is made together, so that no group waits for itself.
    """
    keys = {stage.key for stage in stages}
    alike: dict[Hashable, list[Stage]] = {}
    for stage in stages:
        needs = frozenset(item.key for item in stage.inputs()) & keys
        own = stage.key if stage.stack_key is None else (type(stage), stage.stack_key, needs)
        alike.setdefault(own, []).append(stage)
    groups = []
    for members in alike.values():
        size = min(stack, -(-len(members) // workers))
        groups += [tuple(members[i : i + size]) for i in range(0, len(members), size)]
    return groups


class StagesFailed(Exception):  # noqa: N818 -- read as the sentence that it is
    """Some stages could not be made; everything that does not need them was.

    errors: the failed stages, each with its error.  waiting: how many others need one of them.
    store: where what they are made from lies.
    """

    def __init__(
        self, errors: dict[Stage, Exception], waiting: int, store: Store | None = None
    ) -> None:
        self.errors, self.waiting, self.store = errors, waiting, store
        lines = [f"{stage.label}: {error}" for stage, error in errors.items()]
        super().__init__("; ".join(lines) + self.consequence)

    @property
    def consequence(self) -> str:
        """What is read after the failed stages: how many wait for them, if any do."""
        those = "it" if len(self.errors) == 1 else "them"
        if self.waiting == 1:
            return f"; 1 other stage waits for {those}"
        return f"; {self.waiting} other stages wait for {those}" if self.waiting else ""


def behind(targets: Sequence[Stage]) -> list[Stage]:
    """The targets and all that they are made from, each once, inputs first."""
    stages: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.key not in stages:
            for item in stage.inputs():
                visit(item)
            stages[stage.key] = stage

    for target in targets:
        visit(target)
    return list(stages.values())


def missing(
    stages: Sequence[Stage], store: Store, engine: Engine, libraries: Sequence[str] = ()
) -> list[Stage]:
    """Those that the store lacks.

    At the first of them the engine begins to import what its workers need, `libraries` too, while
    the others are looked up. Where none is missing nothing is started.
    """
    lacking = list[Stage]()
    for stage in stages:
        if not store.has(stage):
            if not lacking:
                engine.prepare(libraries)
            lacking.append(stage)
    return lacking


def ensure(
    targets: Sequence[Stage], context: Context, engine: Engine, memory: Memory = _unknown
) -> None:
    """Make every target and all it is made from, unless the store has it, wherever the engine does.

    What a complete artifact was made from is made again too if it is gone: the table cites it.
    memory: bytes that a stage takes, which an engine may ask for.
    Raises StagesFailed once everything else is made; BrokenProcessPool at once if a worker of this
    machine is killed.
    """
    lacking = missing(behind(targets), context.store, engine)
    groups = {group[0].key: group for group in stacked(lacking, context.stack, engine.width)}
    known = memory if engine.declares else _unknown
    asked = functools.partial(_demand, context=context, memory=known)
    tasks = _tasks(groups, distinct(lacking), asked)
    errors = engine.map(functools.partial(make, context=context), tasks)
    if any(len(groups[key]) > 1 for key in errors):  # which of them it is shows one by one
        single = replace(context, hardware=replace(context.hardware, stack=1))
        return ensure(targets, single, engine, memory)
    if errors:
        failed = {stage: errors[stage.key] for stage in lacking if stage.key in errors}
        undone = [stage for stage in lacking if not context.store.has(stage)]
        first = next(iter(failed.values()))
        raise StagesFailed(failed, len(undone) - len(failed), context.store) from first


def _cost(group: Stages) -> float:
    """Rough seconds of a group on one core."""
    return sum(stage.cost for stage in group) * (STACKED if len(group) > 1 else 1.0)


def _demand(group: Stages, context: Context, memory: Memory) -> Demand:
    """A processor for each device, or the devices, and the memory of its stages and of a process
    that has imported what they need."""
    known = [memory(stage) for stage in group]
    devices = context.hardware.devices
    return Demand(
        cpus=devices,
        gpus=0 if context.device == "cpu" else devices,
        required=context.device == "cuda",
        memory=PROCESS * devices + sum(int(x) for x in known if x is not None),
    )


def _tasks(
    groups: dict[str, Stages], labels: dict[str, str], demand: Callable[[Stages], Demand]
) -> list[Task[Stages]]:
    """A task for each group, after those of what any of its stages is made from."""
    task_of = {stage.key: key for key, group in groups.items() for stage in group}
    tasks = []
    for key, group in groups.items():
        needs = {task_of.get(item.key, item.key) for stage in group for item in stage.inputs()}
        more = f" and {len(group) - 1} in its stack" if len(group) > 1 else ""
        label, kind, own = labels[key] + more, f"{len(group)} {group[0].kind}", demand(group)
        needed = frozenset(needs)
        tasks.append(Task(key, group, label, _cost(group), needed, own, kind, len(group)))
    return tasks
