"""Worker processes: needs before tasks, costly ones first, one thread, and nobody left behind."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import current_process, parent_process
from pathlib import Path

import pytest
import torch
from tqdm import tqdm

from experiments.pipeline.launch import local
from experiments.pipeline.launch.task import Task
from tests.helpers.files import ROOT
from tests.helpers.stages import alive, until

#        key     cost  needs
GRAPH = [
    ("last", 90.0, {"small", "big"}),
    ("small", 1.0, set()),
    ("middle", 2.0, set()),
    ("big", 50.0, {"gate"}),
    ("large", 3.0, set()),
    ("gate", 10.0, set()),
]


def note(item):
    """Append a line of when, where and with how many threads; a result that hangs on its sums."""
    folder, key = item
    started = time.monotonic()
    g = torch.Generator().manual_seed(len(key))
    x = torch.randn(300, 300, generator=g)
    (folder / f"{key}.bin").write_bytes((x @ x).softmax(1).sum(0).numpy().tobytes())
    time.sleep(0.05)
    line = f"{key} {started} {time.monotonic()} {torch.get_num_threads()} {os.getpid()}\n"
    with open(folder / "notes.txt", "a") as file:
        file.write(line)


def note_or_fail(item):
    if item[1] in ("bad", "worse"):
        raise ValueError(f"{item[1]} fails")
    time.sleep(0.3)
    note(item)


def note_or_die(item):
    if item[1] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    note(item)


def say_and_sleep(item):
    (item[0] / f"{os.getpid()}.pid").touch()
    time.sleep(300)


def interrupt_beside_one_that_ignores_it(item):
    """One worker ignores SIGTERM and sleeps; once it does, the other sends the parent a Ctrl-C."""
    folder, key = item
    if key == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say_and_sleep(item)
    assert until(lambda: list(folder.glob("*.pid")), 120)
    os.kill(parent_process().pid, signal.SIGINT)
    time.sleep(300)


def die_with_the_lock(item):
    """The worker that came last is killed in the middle of drawing a bar; the other sleeps."""
    if current_process().name.endswith("-1"):
        say_and_sleep(item)
    tqdm.get_lock().acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def tasks(folder, graph):
    return [Task(key, (folder, key), key, cost, frozenset(needs)) for key, cost, needs in graph]


def notes(folder):
    path = folder / "notes.txt"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(key, *map(float, rest)) for key, *rest in map(str.split, lines)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The same graph under one worker and under two: {workers: folder}."""
    folders = {n: tmp_path_factory.mktemp(f"workers{n}") for n in (1, 2)}
    for n, folder in folders.items():
        local.map(note, tasks(folder, GRAPH), n)
    return folders


@pytest.mark.parametrize("workers", [1, 2])
def test_each_task_runs_once_after_what_it_needs(ran, workers):
    """kills: `needs` ignored or read as started rather than finished, a task lost or run twice."""
    found = notes(ran[workers])
    assert sorted(key for key, *_ in found) == sorted(key for key, *_ in GRAPH)
    times = {key: (start, end) for key, start, end, *_ in found}
    for key, _, needs in GRAPH:
        for need in needs:
            assert times[need][1] <= times[key][0], f"{key} began before {need} was done"


def test_what_the_longest_chain_waits_for_starts_first(ran):
    """kills: tasks in the order given, the costliest or the cheapest first, or one that became
    ready queued behind shorter chains that were ready before it."""
    order = [key for key, *_ in notes(ran[1])]
    assert order == ["gate", "big", "small", "last", "large", "middle"]


def test_workers_have_one_thread_and_as_many_processes_as_asked(ran):
    """kills: threads left at the number of cores, work done in the caller, workers ignored."""
    for workers, folder in ran.items():
        found = notes(folder)
        assert {threads for *_, threads, _ in found} == {1.0}
        pids = {pid for *_, pid in found}
        assert os.getpid() not in pids
        assert 1 <= len(pids) <= workers


def test_results_do_not_depend_on_the_number_of_workers(ran):
    """kills: a state shared between tasks of a worker, or threads that regroup sums."""
    for key, *_ in GRAPH:
        one, two = ((folder / f"{key}.bin").read_bytes() for folder in ran.values())
        assert one == two


def environment(item):
    (item[0] / item[1]).write_text(os.environ.get("DDM_TEST_PLACE", "none"))


def test_workers_have_the_environment_of_now(tmp_path, monkeypatch):
    """kills: a worker with the environment in which the server once started, whose caches and
    credentials lie elsewhere; what was set since, or what was taken away."""
    for value, key in (("here", "a"), ("there", "b"), (None, "c")):
        if value is None:
            monkeypatch.delenv("DDM_TEST_PLACE")
        else:
            monkeypatch.setenv("DDM_TEST_PLACE", value)
        local.map(environment, tasks(tmp_path, [(key, 1.0, set())]), 1)
    assert [(tmp_path / key).read_text() for key in "abc"] == ["here", "there", "none"]


def test_nothing_to_do_starts_nobody(monkeypatch):
    """kills: a pool started for no task, or an error about zero workers."""
    monkeypatch.setattr(local, "ProcessPoolExecutor", None)
    monkeypatch.setattr(local, "server", None)
    local.map(note, [], 2)


def test_a_failure_stops_only_what_needs_it(tmp_path, capfd):
    """kills: a failure swallowed, or that stops the rest; what needs it run, directly or not; a
    failure that its own task's dependants repeat; one told only at the end."""
    graph = [("bad", 9.0, set()), ("dependant", 99.0, {"bad"}), ("last", 1.0, {"dependant"})]
    graph += [("worse", 8.0, set()), ("both", 1.0, {"worse", "other0"})]
    graph += [(f"other{i}", 1.0, set()) for i in range(3)]
    errors = local.map(note_or_fail, tasks(tmp_path, graph), 2)
    assert {key: str(error) for key, error in errors.items()} == {
        "bad": "bad fails", "worse": "worse fails",
    }  # fmt: skip
    assert all(isinstance(error, ValueError) for error in errors.values())
    assert sorted(key for key, *_ in notes(tmp_path)) == ["other0", "other1", "other2"]
    lines = capfd.readouterr().err.splitlines()
    assert [line for line in lines if "bad" in line] == ["[0/8] bad failed: bad fails"]


def test_a_killed_worker_breaks_the_pool(tmp_path):
    """kills: waiting for ever for the result of a dead worker, or taking its task for done."""
    graph = [("dies", 9.0, set()), ("dependant", 99.0, {"dies"})]
    with pytest.raises(BrokenProcessPool):
        local.map(note_or_die, tasks(tmp_path, graph), 1)
    assert notes(tmp_path) == []


def in_a_process(code):
    """Python code with this file at hand as `t`, in a process that can be given up."""
    setup = f"import sys; from pathlib import Path; import {__name__} as t\n"
    return subprocess.Popen(
        [sys.executable, "-c", setup + code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job behind lacks it
    )


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ("interrupt_beside_one_that_ignores_it", "KeyboardInterrupt"),
        ("die_with_the_lock", "BrokenProc"),
    ],
)
def test_a_stopped_run_waits_for_nobody(tmp_path, work, said):
    """kills: a pool left by waiting for workers that do not listen, a bar that is wiped under the
    lock of a worker that was killed, or a death that the pool overlooks: that of its newest."""
    process = in_a_process(
        f"sys.stderr.isatty = lambda: True; folder = Path({str(tmp_path)!r})\n"
        "graph = [('ignores', 2.0, set()), ('other', 1.0, set())]\n"
        f"t.local.map(t.{work}, t.tasks(folder, graph), 2)"
    )
    try:
        _, err = process.communicate(timeout=200)
    finally:
        process.kill()
    assert said in err.strip().splitlines()[-1]
    assert not any(alive(int(path.stem)) for path in tmp_path.glob("*.pid"))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_no_worker_outlives_a_killed_parent(tmp_path):
    """kills: workers that wait for ever on the queue of a parent that was killed."""
    parent = in_a_process(
        f"folder = Path({str(tmp_path)!r})\n"
        "graph = [('a', 1.0, set()), ('b', 1.0, set())]\n"
        "t.local.map(t.say_and_sleep, t.tasks(folder, graph), 2)"
    )
    try:
        assert until(lambda: len(list(tmp_path.glob("*.pid"))) == 2, 90)
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        assert all(map(alive, workers))
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not any(map(alive, workers)), 15)
