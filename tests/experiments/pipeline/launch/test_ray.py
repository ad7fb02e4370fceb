"""A Ray cluster of two nodes on one machine: the bytes of local workers."""

import os
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

from tests.experiments.pipeline.launch import training

pytestmark = [pytest.mark.slow, pytest.mark.longest]
TIMEOUT = 240


def free_port():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class Node:
    """`ray start` in a process of its own, with one processor."""

    def __init__(self, *arguments):
        program = Path(sys.executable).with_name("ray")
        more = ("--block", "--num-cpus", "1", "--disable-usage-stats")
        self.process = subprocess.Popen(
            [program, "start", *arguments, *more, "--object-store-memory", "100000000"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill(self):
        """All that belongs to it, at once."""
        tree = [self.process.pid, *(x.pid for x in self._below())]
        for pid in tree:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

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
    address = f"{get_node_ip_address()}:{port}"
    head = ("--head", "--port", str(port), "--include-dashboard", "false", "--temp-dir", folder)
    nodes = [Node(*head)]
    try:
        training.until(lambda: answers(port), 60)
        nodes.append(Node("--address", address))
        yield address, nodes
    finally:
        for node in reversed(nodes):
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


def answers(port):
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def bytes_of_local(tmp_path_factory):
    return training.plain(tmp_path_factory.mktemp("local"), 2)


def test_two_nodes_make_what_local_workers_make(cluster, tmp_path, bytes_of_local):
    """kills: another thread count, a working directory or command of the worker's own, one node
    that does it all, or a place that nobody is told."""
    address, _ = cluster
    process = training.driver(tmp_path, "Ray()", 2, RAY_ADDRESS=address)
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    assert training.weights(tmp_path, 2) == bytes_of_local
