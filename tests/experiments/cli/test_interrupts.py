"""Ctrl-C at moments when a process has hardly begun: nothing but the one line, nobody left."""

import os
import signal
import subprocess
import sys
import time

import pytest

from experiments.cli.main import reason
from experiments.pipeline.files import StoreError
from tests.helpers.files import ROOT

SCRIPT = """
import os, sys, time
sys.argv = ["waiting"]
from experiments.pipeline.launch import local
from experiments.pipeline.launch.task import Task

def wait(_):
    time.sleep(60)

if __name__ == "__main__":
    os.write(1, b"begun")
    try:
        local.map(wait, [Task(k, k, k, 1.0, frozenset()) for k in "ab"], 2)
    except KeyboardInterrupt:
        sys.exit("stopped")
"""


def begin(*arguments):
    """A Python process that leads a group of its own, its output piped."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job behind may lack it
    )  # fmt: skip


def test_a_script_that_is_still_importing_ends_quietly():
    """kills: seventy lines of libraries' tracebacks."""
    process = begin("-m", "experiments.hddm.table1", "--scale", "smoke")
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode != 0
    assert (out, err) == ("", "")


@pytest.mark.parametrize("after", [0.2, 1.0])
def test_workers_that_are_still_importing_say_nothing(tmp_path, after):
    """kills: a traceback for every worker, or a worker that outlives the run."""
    (tmp_path / "waiting.py").write_text(SCRIPT)
    process = begin(str(tmp_path / "waiting.py"))
    assert process.stdout.read(5) == "begun"
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err.splitlines() == ["[0/2] starting", "stopped"]
    for _ in range(100):  # multiprocessing's own helper goes a moment later
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process is left")


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("shard {}/shards/0a1b2c/cluster-00/000000.tar is truncated", "{}/shards/0a1b2c"),
        ("cannot read the weights {}/trainexpert/ff00/weights.safetensors", "{}/trainexpert/ff00"),
        ("cannot read {}/making/trainexpert-ff00/last.ckpt", None),
        ("no training picture shows class 3", None),
    ],
)
def test_a_damaged_artifact_is_named_whole(tmp_path, said, advice):
    """kills: a file named without its artifact, a half of an artifact, or work that goes on."""
    found = reason(StoreError(said.format(tmp_path)), tmp_path)
    end = f"; delete {advice.format(tmp_path)} and run again" if advice else ""
    assert found == said.format(tmp_path) + end
    done = f"{tmp_path}/score/ab12/x is damaged: delete {tmp_path}/score/ab12 and run again"
    assert reason(StoreError(done), tmp_path) == done
