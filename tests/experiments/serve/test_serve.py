"""The command: what it refuses before it serves, and under which names it may be called."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from experiments.serve import __main__ as serve
from experiments.serve.web import in_url
from tests.helpers.files import ROOT


def has_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize(
    ("select", "reason"),
    [("expert3", "there are 3"), ("expert9", "there are 3"), ("top4", "1 <= k <= 3")],
)
def test_a_selection_that_none_can_serve_is_refused_at_the_start(
    published, capsys, select, reason, resident
):
    """kills: a server that starts, and answers every picture with status 500."""
    more = ["--resident", "1"] if resident else []
    assert serve.main(["--weights", str(published), "--select", select, *more]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("serve: --select: ")
    assert reason in line


@pytest.mark.parametrize(
    "dials",
    [
        ("--gpus", "-1"),
        ("--gpus", "nan"),
        ("--gpus", "inf"),
        ("--gpus", "1.5"),
        ("--memory", "0"),
        ("--memory", "-5"),
    ],
)
def test_a_share_that_nobody_can_have_is_refused(published, capsys, dials):
    """kills: a traceback of Ray's, or a limit that is none."""
    assert serve.main(["--weights", str(published), *dials]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert dials[0] in line


def test_no_cluster_at_the_address_is_one_line(published, capsys, monkeypatch):
    """kills: ten minutes of waiting, as Ray itself does, and a traceback."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert serve.main(["--weights", str(published)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no Ray cluster answers at 127.0.0.1:1" in line


def test_a_port_that_another_has_is_one_line_before_weights_are_read(capsys):
    """kills: an address printed that is another's, and an ensemble loaded for nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert serve.main(["--weights", "nowhere", "--resident", "1", "--port", port]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert f"cannot listen at 127.0.0.1:{port} (--host, --port)" in line


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
def test_every_address_of_a_host_is_bound_to_one_port_and_none_listens_yet(monkeypatch):
    """kills: `localhost` at ::1 alone, where 127.0.0.1 is refused; a client that waits for weights
    to be read; sockets of the first address left open where the second is taken."""
    both = [
        (family, socket.SOCK_STREAM, 6, "", address)
        for family, address in (
            (socket.AF_INET, ("127.0.0.1", 0)),
            (socket.AF_INET6, ("::1", 0, 0, 0)),
            (socket.AF_INET, ("127.0.0.1", 0)),
        )
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    sockets = serve.bound("localhost", 0)
    names = [there.getsockname()[:2] for there in sockets]
    assert names == [("127.0.0.1", names[0][1]), ("::1", names[0][1])]
    with socket.socket() as client:
        assert client.connect_ex(names[0])
    for there in sockets:
        there.close()


@pytest.mark.slow
def test_a_free_port_is_printed_and_an_interrupt_ends_it(published):
    """kills: http://127.0.0.1:0, where nobody listens; a status that is none of success's."""
    where = ("--port", "0", "--resident", "1")
    command = [sys.executable, "-m", "experiments.serve", "--weights", str(published), *where]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert b"<html" in opened(process.stdout.readline().strip())
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("host", "as_in_url"),
    [
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("0:0::1", "[::1]"),
        ("::", "[::]"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "localhost"),
        ("*.example.com", "*.example.com"),
    ],
)
def test_a_host_in_a_url(host, as_in_url):
    """kills: http://::1:8000, which is no address; brackets around a name."""
    assert in_url(host) == as_in_url


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
@pytest.mark.slow
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_it_is_served_under_the_address_that_it_prints(published, host):
    """kills: a printed address that cannot be opened, or that the server itself refuses."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
        port = free.getsockname()[1]
    where = ("--host", host, "--port", str(port), "--resident", "1")
    command = [sys.executable, "-m", "experiments.serve", "--weights", str(published), *where]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            assert re.fullmatch(rf"http://\[::1\]:{port}", url)
            assert b"<html" in opened(url)
            other = urllib.request.Request(url, headers={"Host": f"[::2]:{port}"})
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(other)
            assert caught.value.code == 400
        finally:
            os.kill(process.pid, signal.SIGINT)


def opened(url, tries=200):
    """The page, which is there soon after its address is printed."""
    for _ in range(tries):
        with contextlib.suppress(ConnectionError, urllib.error.URLError):
            return urllib.request.urlopen(url, timeout=100).read()
        time.sleep(0.1)
    raise AssertionError(f"nothing at {url}")
