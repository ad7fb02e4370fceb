"""What engines share, and what they are told: order, demands, batches, what travels and how."""

import pickle
import re

import pytest

from experiments.pipeline import build, provenance
from experiments.pipeline.hardware import Hardware
from experiments.pipeline.launch import jobs, order, remote
from experiments.pipeline.launch.progress import Progress
from experiments.pipeline.launch.remote import Errand, OtherCodeError
from experiments.pipeline.launch.task import Demand, Task
from experiments.pipeline.store import Context


class Late:
    """A task whose result is there when it is asked for."""

    def __init__(self, task):
        self.task = task

    def error(self):
        return ValueError("lost") if self.task.item == "fails" else None

    def place(self):
        return "there"


class Elsewhere:
    """A pool that grows by one with every look, and does what it was given first."""

    def __init__(self):
        self.size, self.given, self.most = 1, [], 0

    def room(self):
        self.size += 1
        return self.size - 1

    def submit(self, tasks):
        self.given += [[task.key for task in tasks]]
        return [Late(task) for task in tasks]

    def wait(self, running):
        self.most = max(self.most, len(running))
        return list(running)[:1]


def test_a_pool_is_given_what_is_ready_and_no_more_than_it_takes(capfd):
    """kills: tasks handed over one by one where a queue takes an array, a room that is asked for
    once, what needs a failure handed over, or a run that ends while tasks are ready."""
    graph = [("a", "", 1.0, ""), ("b", "fails", 9.0, ""), ("c", "", 5.0, "a"), ("d", "", 4.0, "a")]
    graph += [("e", "", 3.0, "a"), ("f", "", 2.0, "b"), ("g", "", 1.0, "cde")]
    tasks = [Task(key, item, key, cost, frozenset(needs)) for key, item, cost, needs in graph]
    pool = Elsewhere()
    errors = order.run(pool, tasks, Progress(tasks, 1, bars=False))
    assert {key: str(error) for key, error in errors.items()} == {"b": "lost"}
    assert pool.given == [["b"], ["a"], ["c", "d", "e"], ["g"]]
    assert pool.most == 3


@pytest.mark.parametrize(
    ("device", "hardware", "demand"),
    [
        ("cpu", Hardware(), Demand(1, 0, False, 2**30 + 700)),
        ("auto", Hardware(), Demand(1, 1, False, 2**30 + 700)),
        ("cuda", Hardware(devices=2), Demand(2, 2, True, 2**31 + 700)),
    ],
)
def test_a_stage_asks_for_what_it_takes(store, device, hardware, demand):
    """kills: one GPU for a stage of two, a GPU that is asked for where there may be none, memory of
    one stage for a stack, or of networks without the process around them."""
    known = {"a": 300.0, "b": 400.0, "c": None}
    asked = build._demand(tuple("abc"), Context(store, device=device, hardware=hardware), known.get)
    assert asked == demand


def test_small_tasks_share_a_job_and_arrays_are_few():
    """kills: a job of minutes' start for a second's work, an urgent task behind later ones, a long
    task with company, or an array for each number of bytes."""
    tasks = [
        Task(str(i), i, "", cost, frozenset()) for i, cost in enumerate([9, 1, 1, 30, 5, 5, 5])
    ]
    found = [[task.item for task in batch] for batch in jobs.batched(tasks, 12.0)]
    assert found == [[0, 1, 2], [3], [4, 5], [6]]
    assert [len(x) for x in jobs.batched(tasks, 0.0)] == [1] * 7
    sizes = [jobs.rounded(Demand(memory=int(x * jobs.GB))) for x in (0.1, 1.0, 1.1, 3.0, 4.0)]
    assert [demand.memory // jobs.GB for demand in sizes] == [1, 1, 2, 4, 4]
    assert jobs.rounded(Demand()) == Demand()


class AwkwardError(Exception):
    """An error that does not survive a pickle: its initialiser takes two values."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def fail(item):
    raise item


def test_errors_arrive_as_what_they_are(tmp_path, monkeypatch):
    """kills: a mendable error that arrives as a bug, or one that cannot travel and is lost."""
    monkeypatch.chdir(tmp_path)
    call = pickle.loads(pickle.dumps(Errand.here(fail)))
    found = pickle.loads(pickle.dumps(call(FileNotFoundError(2, "no such file", "x.tar"))))
    assert isinstance(found, FileNotFoundError)
    assert found.filename == "x.tar"
    assert "in fail" in found.__notes__[0]
    assert str(call(AwkwardError(1, 2))) == "AwkwardError: 1 and 2"


def test_a_worker_stands_where_the_run_does(tmp_path, monkeypatch):
    """kills: a relative store that lies elsewhere, a provenance that names the worker's command,
    and work done by another commit's code, or in a directory that is not there."""
    monkeypatch.setattr(provenance, "_asked", None)
    monkeypatch.chdir(tmp_path)
    seen = []
    call = Errand.here(lambda _: seen.append((remote.Path.cwd(), provenance.command())))
    asked = provenance.command()
    monkeypatch.chdir("/")
    monkeypatch.setattr(provenance.sys, "argv", ["worker.py"])
    assert call(None) is None
    assert seen == [(tmp_path, asked)]
    other = Errand(fail, tmp_path, asked, "0123456789ab")
    gone = Errand(fail, tmp_path / "gone", asked, call.commit)
    for wrong, said in ((other, "has commit .* this run is of 0123456789ab"), (gone, "no folder")):
        error = wrong(ValueError("done all the same"))
        assert isinstance(error, OtherCodeError)
        assert re.search(said, str(error))


def test_a_worker_has_the_variables_that_say_where_things_lie(monkeypatch):
    """kills: credentials or caches that only this machine knows; another's PATH or HOME."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TORCH_HOME", "/weights")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    found = remote.environment()
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert found["TORCH_HOME"] == "/weights"
    assert found["PYTHONPATH"] == f"{provenance.ROOT}:/mine"
    assert found["OMP_NUM_THREADS"] == "1"
    assert not {"PATH", "HOME"} & found.keys()
