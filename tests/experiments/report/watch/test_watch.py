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
from tests.experiments.report.chromium import chromium, opened
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
        {
            "name": "trainexpert-1",
            "steps": [49, 99],
            "losses": [0.75, 0.5],
            "not_finite": None,
        }
    ]


@pytest.mark.parametrize("n", [7, progress.POINTS, 5 * progress.POINTS - 1])
@pytest.mark.parametrize("what", ["nan", "inf", "-inf"])
def test_a_loss_that_is_not_finite_is_a_gap_and_is_told(tmp_path, n, what):
    """kills: NaN written where JSON has none, a gap lost among the points that are left out, the
    last step of a divergence told for its first."""
    at = [4, n - 1]
    diverge(tmp_path, [what if i in at else str(i) for i in range(n)])
    (curve,) = progress.curves(tmp_path)
    assert curve["not_finite"] == 4
    every = -(-n // progress.POINTS)
    assert curve["steps"] == [*range(0, n, every)]
    assert curve["losses"] == [
        None if any(first <= i < first + every for i in at) else float(first)
        for first in range(0, n, every)
    ]
    json.dumps(curve, allow_nan=False)


def diverge(store, losses):
    """A training that goes on, with a loss for each of its steps."""
    log = store / "making" / "trainexpert-1" / "log-0" / "metrics.csv"
    log.parent.mkdir(parents=True)
    log.write_text("\n".join(["loss,step", *(f"{loss},{i}" for i, loss in enumerate(losses))]))


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


def no_json(constant):
    raise ValueError(f"{constant} is no JSON")


def test_the_state_of_a_run_that_diverges_is_json(served, store):
    """kills: a NaN that ends the page just when somebody should look at it. A browser reads JSON as
    the standard has it, and Python's own reader takes more."""
    diverge(store.root, ["0.5", "nan", "inf"])
    (curve,) = json.loads(get(f"{served}/state.json"), parse_constant=no_json)["curves"]
    assert (curve["losses"], curve["not_finite"]) == ([0.5, None, None], 1)


def test_a_run_that_diverges_is_told_in_the_page(served, store):
    """kills: a page that ends at a loss that is not finite, a line drawn over the gap, a warning
    that only who opens the curves can see."""
    diverge(store.root, ["0.5", "0.4", "nan", "0.3"])
    with chromium() as browser, opened(browser, served) as (page, _):
        warning = page.locator("#run-lost")
        warning.wait_for(state="visible")
        assert "trainexpert-1 is not finite at step 2." in warning.inner_text()
        page.locator("#run-losses > summary").click()
        page.locator("#losses .scatterlayer .trace").first.wait_for(state="attached")
        y = page.evaluate("document.getElementById('losses').data[0].y")
        assert y == [0.5, 0.4, None, 0.3]


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
