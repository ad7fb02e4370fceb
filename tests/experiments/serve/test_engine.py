"""Requests are drawn together, and a page shows them; here experts are in this process."""

import json
import shutil
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
import uvicorn
from PIL import Image

from experiments.sample import pictures
from experiments.serve import __main__ as serve
from experiments.serve import drawers
from experiments.serve.clients import Answers
from experiments.serve.engine import BusyError, DrawingEngine
from experiments.serve.web import app
from metrics.pixels import to_uint8
from modules.selection import Top
from tests.experiments.pipeline.launch import training

BROWSER = shutil.which("chromium")


@pytest.fixture(scope="module")
def drawer(published):
    """One expert at a time on the device."""
    return drawers.here([published], Top(2), 1)


@pytest.fixture
def engine(drawer):
    engine = DrawingEngine(drawer)
    yield engine
    engine.close()


@contextmanager
def served(engine):
    """The address of a server of the page on a free port."""
    config = uvicorn.Config(app(engine, 3, ["127.0.0.1"]), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def url(engine):
    with served(engine) as address:
        yield address


def alone(published, prompt, seed, steps):
    """The picture that `experiments.sample` draws."""
    model = pictures.load([str(published)], Top(2), torch.device("cpu"))
    text = pictures.read(model.text, [prompt])
    latents = pictures.draw(model.ensemble, text, [seed], model.shape, steps, 2.0, "cpu")
    return to_uint8(model.latents.decode(latents.numpy()))[0]


def asked(url, path, **query):
    there = f"{url}/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(there, timeout=100) as answer:
        return answer.read(), answer.headers


def test_a_served_picture_is_the_sampled_one(published, engine):
    """kills: another noise, guard, guidance or number of steps; the steps not told, or twice."""
    told = []
    request = engine.submit("the digit three", 5, 4, 2.0, told.append)
    drawn = request.done.result(100)
    assert np.array_equal(drawn.picture, alone(published, "the digit three", 5, 4))
    training.until(lambda: len(told) == 5, 5)
    assert told.pop() is None
    assert [step.t for step in told] == pytest.approx([1, 0.75, 0.5, 0.25])
    assert all(sum(step.weights) == pytest.approx(1) for step in told)
    assert all(sum(w > 0 for w in step.weights) == 2 for step in told)


def test_alike_requests_are_one_batch(drawer):
    """kills: one drawing a request; requests of other steps drawn with these; one lost."""
    held, batches = threading.Event(), []

    class Held(DrawingEngine):
        def _draw(self, batch):
            held.wait(60)
            batches.append([request.seed for request in batch])
            return super()._draw(batch)

    engine = Held(drawer, most=3)
    steps = [2, 2, 2, 2, 2, 3, 2]
    requests = [engine.submit("the digit zero", i, n, 1.0) for i, n in enumerate(steps)]
    held.set()
    assert [request.done.result(100).steps for request in requests] == steps
    engine.close()
    assert [seed for batch in batches for seed in batch] == [*range(7)]
    assert max(map(len, batches)) == 3
    assert [5] in batches


def test_a_failure_is_told_and_the_next_is_drawn(drawer):
    """kills: a thread that dies with one drawing; clients that wait for ever; an endless queue."""
    fail = threading.Event()
    fail.set()

    def ask(own, questions):
        if fail.is_set():
            raise RuntimeError("the actor is gone")
        return drawer.ensemble.ask(own, questions)

    engine = DrawingEngine(replace(drawer, ensemble=replace(drawer.ensemble, ask=ask)), waiting=1)
    request = engine.submit("the digit zero", 0, 2, 1.0)
    with pytest.raises(RuntimeError, match="the actor is gone"):
        request.done.result(100)
    fail.clear()
    assert engine.submit("the digit zero", 0, 2, 1.0).done.result(100).steps == 2
    with pytest.raises(ValueError, match="caption longer than") as caught:
        engine.submit("word " * 900, 0, 2, 1.0)
    assert len(str(caught.value)) == 80
    engine.close()
    engine.queue.put_nowait(None)  # nobody takes what is put now
    with pytest.raises(BusyError, match="1 requests wait already"):
        engine.submit("the digit zero", 0, 2, 1.0)


def test_addresses_answer(published, url):
    """kills: a picture of another request, events without a picture, a page elsewhere heard."""
    content, headers = asked(url, "picture", prompt="the digit one", seed=3, steps=3)
    shown = pictures.shown(alone(published, "the digit one", 3, 3))
    assert np.array_equal(np.asarray(Image.open(BytesIO(content))), np.asarray(shown))
    assert 1 <= float(headers["X-Asked"]) <= 3
    events, _ = asked(url, "draw", prompt="the digit one", seed=3, steps=3)
    blocks = [block.split("\n") for block in events.decode().strip().split("\n\n")]
    assert [name for name, _ in blocks] == ["event: step"] * 3 + ["event: picture"]
    weights = json.loads(blocks[0][1].removeprefix("data: "))["weights"]
    assert len(weights) == 3
    for query, status in (({"prompt": "word " * 300}, 422), ({"prompt": "a", "steps": 0}, 422),
                          ({}, 422)):  # fmt: skip
        with pytest.raises(urllib.error.HTTPError) as caught:
            asked(url, "picture", **query)
        assert caught.value.code == status
    other = urllib.request.Request(url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(other)
    assert caught.value.code == 400


def test_clients_that_wait_hold_no_thread(drawer):
    """kills: a thread for each client until its picture is drawn, 40 being all that there are."""
    held = threading.Event()

    class Held(DrawingEngine):
        def _draw(self, batch):
            held.wait(60)
            raise RuntimeError("not drawn")

    engine = Held(drawer)
    with served(engine) as address:
        place = urllib.parse.urlparse(address)
        clients = [socket.create_connection((place.hostname, place.port)) for _ in range(60)]
        for i, client in enumerate(clients):
            what = ("picture", "draw")[i % 2]
            client.sendall(f"GET /{what}?prompt=a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        training.until(lambda: engine.queue.qsize() >= 60 - engine.most, 60)
        page, _ = asked(address, "")
        held.set()
        assert b"<html" in page
        answers = [client.recv(12) for client in clients]
        assert answers == [b"HTTP/1.1 500", b"HTTP/1.1 200"] * 30  # events begin before they fail
    engine.close()


def test_bench_prints_a_row_for_each_number_of_clients(url, capsys):
    """kills: a client that asks nothing, a row without its clients."""
    arguments = ["bench", "--url", url, "--clients", "1", "3", "--requests", "4", "--steps", "2"]
    assert serve.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| Clients | Requests a second | p50, ms | p99, ms |")
    rows = [[float(x) for x in line.strip("| ").split("|")] for line in lines[2:]]
    assert [row[0] for row in rows] == [1, 3]
    assert all(row[1] > 0 and 0 < row[2] <= row[3] and 2 <= row[4] <= 3 for row in rows)
    assert serve.main(["bench", "--url", "http://127.0.0.1:9"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_quantiles_are_those_of_the_answers():
    """kills: one off at either end, seconds for milliseconds."""
    answers = Answers(8, tuple(i / 100 for i in range(1, 101)), 10.0, 2.0)
    assert (answers.quantile(0.5), answers.quantile(0.99)) == (0.5, 0.99)
    assert answers.row == "| 8 | 10.00 | 500 | 990 | 2.00 |"
    assert Answers(1, (0.25,), 1.0, 1.0).row == "| 1 | 1.00 | 250 | 250 | 1.00 |"


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_the_page_shows_weights_and_a_picture(published, url):
    """In headless Chromium, which reports every request and error.

    kills: a script error, a request that leaves the page, cells of another step, no picture.
    """
    from playwright.sync_api import sync_playwright

    said, requested = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: requested.append(request.url))
        page.goto(url)
        page.fill("#prompt", "the digit three")
        page.fill("[name=steps]", "4")
        page.click("#go")
        page.wait_for_selector("#drawn:not([hidden])", timeout=60_000)
        columns = page.eval_on_selector_all(
            "#weights tr",
            "rows => rows.map(r => [...r.cells].slice(1).map(c => +c.dataset.weight))",
        )
        assert np.allclose(np.sum(columns, axis=0), np.ones(4), atol=1e-6)
        assert page.get_attribute("#drawn", "alt") == "Drawn for: the digit three"
        assert page.eval_on_selector("#drawn", "x => x.naturalWidth") == 64
        page.fill("#prompt", "word " * 300)
        page.click("#go")
        page.wait_for_function("document.getElementById('said').textContent.includes('longer')")
        browser.close()
    assert all(each.startswith((url, "data:")) for each in requested)
    assert [text for text in said if "422" not in text] == []
