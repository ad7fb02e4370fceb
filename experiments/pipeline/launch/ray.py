"""A Ray cluster, one that runs or one begun here: a task of ours is a task of Ray's.

Ray decides where it runs, by what the task occupies, and gives it to another worker if its own or
its node is lost. All nodes have the checkout at one path (`remote.py`) and see one store.
"""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from experiments.pipeline.cores import cores
from experiments.pipeline.launch import nodes, order
from experiments.pipeline.launch.progress import Progress
from experiments.pipeline.launch.remote import Errand, environment
from experiments.pipeline.launch.task import Demand, Item, Task, WorkerLostError

OBJECTS = 100 * 2**20
"""Bytes that a cluster begun here keeps for objects: tasks exchange files, not objects."""
ANSWER = 10.0
"""Seconds within which the head of a running cluster has to take a connection."""
ADDRESS = "RAY_ADDRESS"
TOKEN = Path.home() / ".ray" / "auth_token"
TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Where Ray looks for the token that a cluster's members share: a file, or what these say."""


@dataclass(frozen=True)
class Ray:
    """A Ray cluster. ValueError for what makes no sense.

    Args:
        address: of a running one, as host:6379; else that in RAY_ADDRESS, else one is begun here.
        workers: tasks at once; else as many as the cluster has processors, or GPUs.
        retries: how often a task is begun again after its worker or its node was lost.
    """

    declares: ClassVar[bool] = True
    address: str | None = None
    workers: int | None = None
    retries: int = 3

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"--workers must be at least 1, not {self.workers}")
        if self.retries < 0:
            raise ValueError(f"--launch.retries must not be negative, as {self.retries} is")

    @property
    def width(self) -> int:
        return self.workers or cores()

    def prepare(self, libraries: Sequence[str]) -> None:
        """Nothing: a cluster runs, or begins with the first task."""

    def map(
        self, work: Callable[[Item], object], tasks: Sequence[Task[Item]]
    ) -> dict[str, Exception]:
        """Engine.map. OSError if there is no cluster at the address, or no node of it can ever hold
        a task."""
        if not tasks:
            return {}
        with connected(self.address, {"num_cpus": self.width}) as ray:
            check_room(ray, {task.demand: task.label for task in tasks})
            pool = _Cluster(ray, self, Errand.here(work), tasks[0].demand)
            bars = sys.stderr.isatty()
            progress = Progress(tasks, min(pool.room(), len(tasks)), bars, rows=len(tasks))
            try:
                return order.run(pool, tasks, progress)
            finally:
                progress.close()


@contextlib.contextmanager
def connected(address: str | None, begun: Mapping[str, Any]) -> Iterator[Any]:
    """The module ray, connected until the block is left: to the running cluster at an address, else
    to that in RAY_ADDRESS, else to one begun here with these arguments of ray.init.

    OSError if nobody answers at the address.
    """
    joined = address or os.environ.get(ADDRESS)
    joined = None if joined == "local" else joined or None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if joined:
        check_answers(joined)  # first: a mode that is set stays for a cluster begun here later
        if TOKEN.exists() or any(name in os.environ for name in TOKENS):
            # `ray start` asks for the token where there is one; ray.init would not show it.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray

    own = {
        "object_store_memory": OBJECTS,
        "include_dashboard": False,
        **begun,
        "_node_ip_address": "127.0.0.1",  # last, whatever is asked for: Ray runs what it is sent
    }
    try:
        ray.init(
            address=joined or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": environment()},
            **({} if joined else own),
        )
    except ConnectionError as error:
        raise OSError(f"no Ray cluster answers at {joined}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def resources(ray: Any) -> list[nodes.Resources]:
    """What each node has in all, occupied or not."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def check_room(ray: Any, demands: Mapping[Demand, str]) -> None:
    """OSError, in a line, for a demand that no node can ever hold. demands: each with the label of
    a task of it."""
    there = resources(ray)
    for demand, label in demands.items():
        if line := nodes.shortage(there, _occupied(demand, any(x.get("GPU") for x in there))):
            raise OSError(f"{label}: {line}")


def _occupied(demand: Demand, gpus: bool) -> dict[str, float]:
    """The resources of Ray's that a task occupies. gpus: whether the cluster has any."""
    used = demand.gpus if gpus or demand.required else 0
    return {"CPU": demand.cpus, "GPU": used, "memory": demand.memory or 0}


def check_answers(address: str) -> None:
    """OSError if nobody listens at host:port, which Ray itself says after ten minutes. Other forms
    of an address are left to Ray."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise OSError(f"no Ray cluster answers at {address}: {error}") from error


class _Places:
    """In a process of its own: where each task was last begun."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def begin(self, key: str, place: str) -> None:
        self.places[key] = place

    def all(self) -> dict[str, str]:
        return self.places


def _begin(remote: Errand, item: Any, key: str, places: Any) -> Exception | None:
    """What a worker of Ray's runs."""
    import ray

    places.begin.remote(key, ray.util.get_node_ip_address())
    return remote(item)


@dataclass(eq=False)
class _InCluster:
    """A task that Ray has, and where it runs."""

    ray: Any
    task: Task[Any]
    reference: Any
    where: str | None = None

    def error(self) -> Exception | None:
        try:
            failed: Exception | None = self.ray.get(self.reference)
        except self.ray.exceptions.RayTaskError:
            raise  # `Errand` returns what work raises, so this is none of its errors
        except self.ray.exceptions.RayError as error:
            said = str(error).strip().splitlines()[0]
            return WorkerLostError(f"the worker or node that made it was lost: {said}")
        return failed

    def place(self) -> str | None:
        return self.where


@dataclass
class _Cluster:
    """The cluster, as `order.run` sees it."""

    ray: Any
    engine: Ray
    remote: Errand
    demand: Demand

    def __post_init__(self) -> None:
        here = self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            self.ray.get_runtime_context().get_node_id(), soft=False
        )
        actor = self.ray.remote(num_cpus=0, scheduling_strategy=here)(_Places)
        self.places = actor.remote()
        self.begin = self.ray.remote(max_retries=self.engine.retries)(_begin)
        self.shared = self.ray.put(self.remote)

    def room(self) -> int:
        if self.engine.workers is not None:
            return self.engine.workers
        there, demand = self.ray.cluster_resources(), self.demand
        gpus = there.get("GPU", 0)
        return max(
            1, int(gpus // demand.gpus if gpus and demand.gpus else there["CPU"] // demand.cpus)
        )

    def submit(self, tasks: Sequence[Task[Any]]) -> list[_InCluster]:
        gpus = bool(self.ray.cluster_resources().get("GPU", 0))
        handed = []
        for task in tasks:
            used = _occupied(task.demand, gpus)
            begin = self.begin.options(
                name=task.label,
                num_cpus=used["CPU"],
                num_gpus=used["GPU"],
                memory=task.demand.memory,
            )
            reference = begin.remote(self.shared, task.item, task.key, self.places)
            handed.append(_InCluster(self.ray, task, reference))
        return handed

    def wait(self, running: Collection[_InCluster]) -> list[_InCluster]:
        by_reference = {handed.reference: handed for handed in running}
        references = list(by_reference)
        done, _ = self.ray.wait(references, num_returns=1, timeout=1)
        if done:  # whatever else is there already
            done, _ = self.ray.wait(references, num_returns=len(references), timeout=0)
        places = self.ray.get(self.places.all.remote())
        for handed in running:
            handed.where = places.get(handed.task.key)
        return [by_reference[reference] for reference in done]
