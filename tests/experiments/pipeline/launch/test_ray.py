"""A Ray cluster of two nodes on one machine: the bytes of local workers, whoever is killed."""

import ast
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from ray.util import get_node_ip_address

from experiments.pipeline.launch.ray import Ray
from experiments.pipeline.launch.task import Demand, Task
from tests.experiments.pipeline.launch import training
from tests.helpers.faults.corruption import Tally
from tests.helpers.files import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.longest]
TIMEOUT = 900


TOKEN = {"RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
"""Whatever token this machine has: without a word `ray start` asks for that of the head, and does
not show it from the others."""


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class Node:
    """`ray start` in a process of its own, with one processor."""

    def __init__(self, folder, *arguments):
        program = Path(sys.executable).with_name("ray")
        more = ("--block", "--num-cpus", "1", "--disable-usage-stats")
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".log", delete=False) as log:
            self.log = Path(log.name)
            self.process = subprocess.Popen(
                [program, "start", *arguments, *more, "--object-store-memory", "100000000"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **TOKEN, "RAY_AUTH_MODE": "token"},
                start_new_session=True,
            )

    @classmethod
    def begun(cls, folder, *arguments):
        """One that is part of its cluster; Ray itself gives up after 30 s on a machine at work."""
        for _ in range(10):
            node = cls(folder, *arguments)
            training.until(lambda n=node: n.began() or n.process.poll() is not None, TIMEOUT)
            if node.began():
                return node
        raise AssertionError(node.log.read_text())

    def began(self):
        """Whether it is part of its cluster."""
        return "Ray runtime started" in self.log.read_text()

    def kill(self):
        """All that belongs to it, at once."""
        tree = [self.process.pid, *(x.pid for x in self._below())]
        for pid in tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def workers(self):
        """Its processes that run a stage."""
        return [x for x in self._below() if any("FlowMatching" in y for y in x.cmdline())]

    def _below(self):
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


@pytest.fixture
def cluster():
    """(its address, its two nodes), one processor each."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # sockets' paths have to be short
    port = free_port()
    where = ("--head", "--port", str(port), "--include-dashboard", "false", "--temp-dir", folder)
    nodes = [Node.begun(folder, *where)]
    try:
        address = f"{get_node_ip_address()}:{port}"
        nodes.append(Node.begun(folder, "--address", address))
        yield address, nodes
    finally:
        for node in reversed(nodes):
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def bytes_of_local(tmp_path_factory):
    return training.plain(tmp_path_factory.mktemp("local"), 2)


def test_two_nodes_make_what_local_workers_make(cluster, tmp_path, bytes_of_local):
    """kills: another thread count, a working directory or command of the worker's own, one node
    that does it all, or a place that nobody is told."""
    address, _ = cluster
    process = training.driver(tmp_path, "Ray()", 2, RAY_ADDRESS=address, **TOKEN)
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    assert training.weights(tmp_path, 2) == bytes_of_local


@pytest.mark.parametrize("lost", ["worker", "node"])
def test_a_training_goes_on_where_another_was_killed(cluster, tmp_path, bytes_of_local, lost):
    """kills: a lost worker taken for a failed stage, a node whose tasks nobody takes over, a
    training begun anew, or one that goes on from other bytes."""
    address, nodes = cluster
    process = training.driver(tmp_path, f"Ray({address!r})", 2, training.HALTS[:1], **TOKEN)
    training.until(lambda: training.halted(tmp_path, 2) == 2, TIMEOUT, process)
    if lost == "node":
        nodes[1].kill()
    else:
        (worker,) = nodes[1].workers()
        worker.kill()
    (tmp_path / "go").touch()  # for the other
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    tally = Tally()
    tally.once(training.weights(tmp_path, 2) == bytes_of_local)
    assert tally.told(f"a {lost} of Ray's killed") == (1, 1, 0, 0)
    again = sorted(training.lost(tmp_path, k) for k in (0, 1))
    assert again == [[], [training.HALTS[0] % training.INTERVAL]]


def test_a_worker_that_is_killed_each_time_fails_its_stage_alone(cluster, tmp_path):
    """kills: retries without end, or a traceback of Ray's for what a person can read in a line."""
    address, nodes = cluster
    engine = f"Ray({address!r}, retries=0)"
    process = training.driver(tmp_path, engine, 1, training.HALTS[:1], **TOKEN)
    training.until(lambda: training.halted(tmp_path) == 1, TIMEOUT, process)
    (worker,) = [worker for node in nodes for worker in node.workers()]
    worker.kill()
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    last = err.strip().splitlines()[-1]
    assert re.search("StagesFailed: .*expert 0.*: the worker or node that made it was lost", last)


def test_no_cluster_at_the_address_is_said_in_a_line(tmp_path):
    """kills: a cluster begun here where another was meant, or an hour of waiting for it."""
    with pytest.raises(OSError, match=r"no Ray cluster answers at 127\.0\.0\.1:1\b"):
        training.run(tmp_path, Ray("127.0.0.1:1"))


@pytest.mark.parametrize(
    ("demand", "said"),
    [
        (Demand(gpus=64, required=True), "1 CPU, 64 GPU is needed on one node, and the most that"),
        (Demand(memory=1 << 50), "1 CPU, 1,073,741,824 MB of memory is needed on one node"),
        (Demand(cpus=3), "3 CPU is needed on one node, and the most that any has is 2 CPU"),
    ],
)
def test_what_no_node_can_hold_is_said_at_once(tmp_path, demand, said):
    """kills: a task that Ray waits for, for ever and without a word; others of it begun before."""
    tasks = [
        Task("first", tmp_path / "begun", "first", 1, frozenset()),
        Task("large", tmp_path / "large", "a large one", 1, frozenset(), demand),
    ]
    with pytest.raises(OSError, match=f"^a large one: {said}"):
        Ray(workers=2).map(Path.touch, tasks)
    assert list(tmp_path.iterdir()) == []


def test_actors_join_as_workers_do(cluster):
    """A cluster whose members share a token. kills: actors that come without one; weights or a
    store that an actor may not read, whose key this process has."""
    address, _ = cluster
    code = (
        "import os; from experiments.serve.actors import cluster\n"
        "with cluster() as ray: print(ray.get(ray.remote(lambda: dict(os.environ)).remote()))"
    )
    without = {name: x for name, x in os.environ.items() if name != "RAY_AUTH_MODE"}
    given = {"AWS_PROFILE": "ours", "HF_HOME": "/weights"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT,
        env={**without, **TOKEN, **given, "RAY_ADDRESS": address},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    there = ast.literal_eval(done.stdout.splitlines()[-1])
    assert {**given, "OMP_NUM_THREADS": "1"}.items() <= there.items()
    assert str(ROOT) in there["PYTHONPATH"].split(os.pathsep)
