"""A run watched from outside: what is done, how fast, and the rows that are there so far."""

import json
import os
import threading
import urllib.error
import urllib.request

import pytest

from experiments.report.watch import progress
from experiments.report.watch.progress import Wanted
from experiments.report.watch.rows import REMARK, Growing
from experiments.report.watch.server import server
from tests.helpers.stages import make
from tests.helpers.tables import TABLE, fill, rows

NOW = 1_000_000.0


def finish(store, stage, when):
    folder = store / stage.kind / stage.key
    folder.mkdir(parents=True)
    (folder / "provenance.json").touch()
    os.utime(folder / "provenance.json", (when, when))


def test_what_is_left_is_its_cost_at_the_rate_of_the_last_minutes(tmp_path):
    """kills: a rate over the whole run, stages counted where seconds are, an estimate of nothing,
    the cost of a stage over less time than it took.

    In the 300 s since one was finished two of 40 seconds' cost were; 100 are left: 750 s.
    """
    run = [Wanted("a", str(i), 20.0) for i in range(4)] + [Wanted("b", "0", 100.0)]
    state = progress.state(run, tmp_path, NOW)
    assert (state["done"], state["total"], state["seconds_left"]) == (0, 5, None)
    finish(tmp_path, run[0], NOW - 3600)
    for stage, ago in zip(run[1:4], (300, 200, 100), strict=True):
        finish(tmp_path, stage, NOW - ago)
    state = progress.state(run, tmp_path, NOW)
    assert (state["done"], state["seconds_left"], state["a_minute"]) == (4, 750, 0.4)
    assert state["kinds"] == [["a", 4, 4], ["b", 0, 1]]
    finish(tmp_path, run[4], NOW - 1)
    assert progress.state(run, tmp_path, NOW)["seconds_left"] == 0


def test_curves_are_of_what_is_being_made(tmp_path):
    """kills: a line half written that stops the page, curves of what is done."""
    log = tmp_path / "making" / "trainexpert-1" / "log-0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text("epoch,loss,step\n0,0.75,49\n0,0.5,99\n0,0.2")
    assert [*progress.curves(tmp_path)] == [
        {"name": "trainexpert-1", "steps": [49, 99], "losses": [0.75, 0.5]}
    ]


def test_rows_come_as_they_are_measured(store, tmp_path):
    """kills: a table shown before it has a row, or not again when it has one more; a mean over
    seeds that are not there."""
    growing = Growing([TABLE], "small", 2, store.root, tmp_path / "small")
    assert growing.contents().tables == []
    first = rows(None, 0)[0].measured
    make(store, first.judge)
    make(store, first)
    (table,) = growing.contents().tables
    assert [row.cells[0].shown for row in table.rows] == ["9.00", "—", "—"]
    assert REMARK in table.notes
    fill(store, rows, 2)
    (table,) = growing.contents().tables
    assert [row.cells[0].mean for row in table.rows] == [10.5, 11.0, 5.0]
    assert REMARK not in table.notes


@pytest.fixture
def served(store, tmp_path):
    growing = Growing([TABLE], "small", 2, store.root, tmp_path / "small")
    run = progress.wanted(growing.stages)
    with server(0, growing.contents, lambda: progress.state(run, store.root)) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


def get(url, host="127.0.0.1"):
    request = urllib.request.Request(url, headers={"Host": host})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def test_the_page_is_served_while_the_run_goes(served, store):
    """kills: a server that answers others, a version that stays when rows come."""
    page, before = get(f"{served}/"), json.loads(get(f"{served}/state.json"))
    assert "connect-src 'self'" in page
    assert "<article" not in page
    fill(store, rows, 2)
    after = json.loads(get(f"{served}/state.json"))
    assert (before["done"], after["done"], after["total"]) == (
        0,
        5,
        5,
    )  # four measurements, some of them alike, and a judge
    assert before["version"] != after["version"]
    assert "10.50" in get(f"{served}/tables.html")
    for url, host, status in ((f"{served}/", "evil.example", 403), (f"{served}/x", "", 404)):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(url, host or "localhost")
        assert error.value.code == status
