"""Tables written by several forks at once: in order, and none of them outlives the command."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from experiments.cli import main as cli
from experiments.cli import writing
from experiments.cli.writing import in_forks
from experiments.pipeline.launch import local
from tests.helpers.files import ROOT
from tests.helpers.stages import alive, places, serial, until
from tests.helpers.tables import TABLE

SMOKE = ["--scale", "smoke", "--seeds", "2"]
forks = pytest.mark.skipif(sys.platform != "linux", reason="forks are for Linux alone")


def written(tmp_path, workers, *figures):
    """The status of a command of tables with such figures."""
    tables = [replace(TABLE, name=f"table{9 + i}", figures=x) for i, x in enumerate(figures)]
    return cli.main(*tables, arguments=[*SMOKE, *places(tmp_path), "--workers", workers])


@pytest.fixture(autouse=True)
def no_workers(monkeypatch):
    """Stages are made in this process."""
    monkeypatch.setattr(local, "map", serial)


@forks
def test_two_workers_write_two_tables_at_once(tmp_path, capsys):
    """kills: tables drawn one by one beside an idle core."""
    both = multiprocessing.get_context("fork").Barrier(2)

    def meets(results):
        both.wait(60)
        return str(os.getpid()).encode()

    assert written(tmp_path, "2", {"one": meets}, {"two": meets}) == 0
    drawn = {path.read_text() for path in (tmp_path / "results/smoke/figures").iterdir()}
    assert len(drawn) == 2
    assert str(os.getpid()) not in drawn


def test_one_worker_writes_in_the_command_itself(tmp_path):
    """kills: forks that nobody asked for."""
    own = {"one": lambda _: str(os.getpid()).encode()}
    assert written(tmp_path, "1", own, {"two": own["one"]}) == 0
    drawn = {path.read_text() for path in (tmp_path / "results/smoke/figures").iterdir()}
    assert drawn == {str(os.getpid())}


@forks
def test_what_is_done_first_is_given_in_its_turn():
    """kills: tables that are printed as they end."""
    assert [*in_forks(lambda i: time.sleep(0.3 * (i == 0)) or i, range(5), 2)] == [0, 1, 2, 3, 4]


def test_the_table_of_most_figures_is_begun_first(tmp_path, monkeypatch):
    """kills: one with a dozen figures that is drawn alone at the end, beside an idle core."""
    orders = []

    def in_turn(work, order, processes):
        orders.append([*order])
        return map(work, range(len(order)))

    monkeypatch.setattr(writing, "in_forks", in_turn)
    figure = {"a": lambda _: b""}
    assert written(tmp_path, "2", {}, figure, {**figure, "b": figure["a"]}) == 0
    assert orders == [[2, 1, 0]]


@forks
def test_forks_begin_in_the_order_that_is_asked_for(tmp_path):
    """kills: an order that nobody follows. Of three for two forks the last waits for one to end."""
    begun = tmp_path / "begun"

    def work(i):
        with begun.open("a") as file:
            file.write(f"{i}")
        return until(lambda: len(begun.read_text()) > 1, 60) and i

    assert [*in_forks(work, [2, 1, 0], 2)] == [0, 1, 2]
    assert begun.read_text()[-1] == "0"


@forks
def test_a_killed_writer_is_one_line(tmp_path, capsys):
    """kills: a command that waits for a dead process, or its traceback."""
    parent = os.getpid()

    def die(results):
        assert os.getpid() != parent
        os.kill(os.getpid(), signal.SIGKILL)

    assert written(tmp_path, "2", {}, {"figure": die}) == 1
    assert capsys.readouterr().err == (
        "all: a worker process was killed; the same command goes on from here\n"
    )


@forks
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_after_an_error_nothing_more_is_done(error, tmp_path):
    """kills: jobs that are finished behind a command that has said that it ended."""

    def work(i):
        if i == 0:
            raise error
        (tmp_path / f"{os.getpid()}").touch()
        time.sleep(600)

    with pytest.raises(type(error)):
        [*in_forks(work, range(8), 2)]
    assert until(lambda: not any(alive(int(path.name)) for path in tmp_path.iterdir()), 60)


HANGS = r"""
import os, signal, time
from experiments.cli.writing import in_forks

def work(i):
    os.write(1, b"%d\n" % os.getpid())  # in one piece, beside the other
    time.sleep(600)

signal.signal(signal.SIGINT, signal.default_int_handler)  # as a command has it
list(in_forks(work, range(2), 2))
"""


@forks
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_fork_outlives_its_command(end):
    """kills: writers that hold a gigabyte each when their command was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HANGS], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as command:
        watch = threading.Timer(60, command.kill)
        watch.start()
        writers = [int(command.stdout.readline()) for _ in range(2)]
        command.send_signal(end)
        command.wait(30)
        watch.cancel()
    assert until(lambda: not any(map(alive, writers)), 60)


TERMINATED = r"""
import os, signal, sys
from experiments.cli.writing import in_forks

signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))  # as Ray has it
fork = os.fork

def forked():
    child = fork()
    if not child:
        os.kill(os.getpid(), signal.SIGTERM)
    return child

os.fork = forked
try:
    list(in_forks(abs, range(2), 2))
finally:
    os.write(1, b"ended\n")
"""


@forks
def test_a_fork_that_is_ended_as_it_begins_runs_nothing_of_its_command():
    """kills: a handler of SIGTERM that raises in a fork just begun, which then goes on as if it
    were the command: it would clean up, or write, what is the command's."""
    ended = subprocess.run(
        [sys.executable, "-c", TERMINATED], cwd=ROOT, capture_output=True, check=False, timeout=120
    )
    assert ended.returncode == 1
    assert ended.stdout == b"ended\n"
    assert b"BrokenProcessPool" in ended.stderr
