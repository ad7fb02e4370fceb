"""Opening: the same bytes by every road, and no road that hangs or ends short in silence."""

import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from datamodules.sources.opening import CHUNK, CHUNKS_AHEAD, Timeouts, open_address
from datamodules.sources.source import LostShardError, SourceError
from tests.helpers.faults.s3 import BUCKET, s3_server

CONTENT = os.urandom(3 * CHUNK + 17)
SHORT = Timeouts(opening=2, silence=2)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("opening") / "a file.bin"
    path.write_bytes(CONTENT)
    return path


def addresses(file):
    fsspec.filesystem("memory").pipe("/opening/file.bin", CONTENT)
    return {
        "local": str(file),
        "file": f"file://{file}",
        "memory": "memory://opening/file.bin",
        "pipe": f"pipe:cat '{file}'",
        "pipeline": f"pipe:gzip -c '{file}' | gunzip",
    }


@pytest.mark.parametrize("road", ["local", "file", "memory", "pipe", "pipeline"])
@pytest.mark.parametrize("size", [1000, CHUNK, 10 * CHUNK])
def test_every_road_gives_the_same_bytes(file, road, size):
    """kills: a chunk lost, doubled or out of order between the thread and its reader."""
    with open_address(addresses(file)[road]) as stream:
        parts = list(iter(lambda: stream.read(size), b""))
        assert stream.read(1) == b""
    assert b"".join(parts) == CONTENT
    assert all(len(part) == size for part in parts[:-1])


@pytest.mark.parametrize(
    "address",
    [
        "nowhere/0.tar",
        "file:///nowhere/0.tar",
        "memory://nowhere/0.tar",
        "nosuch://bucket/0.tar",
        "http://127.0.0.1:9/0.tar",
        "pipe:cat nowhere/0.tar",
        "pipe:nosuchcommand 0.tar",
    ],
)
def test_what_is_not_there_is_named_in_seconds(address):
    """kills: another exception, several lines of one, or an error without the address."""
    begun = time.monotonic()
    with pytest.raises(SourceError) as caught, open_address(address) as stream:
        stream.read(1)
    assert address in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - begun < 30


def test_the_reason_is_told(monkeypatch):
    """kills: a message that repeats the address, or names neither the package nor the fault."""
    monkeypatch.setitem(sys.modules, "s3fs", None)
    for address, reason in {
        "http://127.0.0.1:9/0.tar": "Cannot connect",
        "s3://bucket/0.tar": "Install s3fs",
        "pipe:cat nowhere": "exit status 1, cat: nowhere: No such file",
    }.items():
        with pytest.raises(SourceError, match=reason), open_address(address) as stream:
            stream.read(1)


class _Refusing(BaseHTTPRequestHandler):
    """Answers each path with the status that it names."""

    def do_GET(self):
        self.send_error(int(self.path.strip("/")))

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def refusing():
    """The address of a server that refuses."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def kind_of_error(address):
    with pytest.raises(SourceError) as caught, open_address(address) as stream:
        stream.read(1)
    return caught.type


@pytest.mark.parametrize("status", [404, 410])
def test_what_a_server_has_not_is_lost(refusing, status):
    """kills: a gap in a download that stops the run."""
    assert kind_of_error(f"{refusing}/{status}") is LostShardError


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_what_a_server_refuses_is_not_lost(refusing, status):
    """kills: fsspec's FileNotFoundError of any status believed, by which data vanish in silence."""
    assert kind_of_error(f"{refusing}/{status}") is SourceError


def test_where_nobody_answers_nothing_is_lost(monkeypatch):
    """kills: a connection refused taken for an answer; want of a folder for temporary files, which
    Python calls FileNotFoundError, taken for a shard that is not there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert kind_of_error(f"http://127.0.0.1:{port}/0.tar") is SourceError
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert kind_of_error("pipe:true") is SourceError


def test_what_a_file_system_has_not_is_lost():
    """kills: only HTTP's missing files lost."""
    assert kind_of_error("file:///nowhere/0.tar") is LostShardError
    assert kind_of_error("memory://nowhere/0.tar") is LostShardError
    with s3_server():
        assert kind_of_error(f"s3://{BUCKET}/0.tar") is LostShardError


def test_a_fifo_is_no_file(tmp_path):
    """kills: an open that waits for a writer for ever."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SourceError, match="no file at"), open_address(str(tmp_path / "fifo")):
        pass


@pytest.mark.parametrize("command", ["exit 3", "echo why >&2; exit 3", "kill -9 $$"])
def test_a_command_that_fails_after_its_output_is_an_error(file, command):
    """kills: the status ignored, by which a cut-off transfer is a shorter file."""
    with open_address(f"pipe:cat '{file}'; {command}") as stream:
        assert stream.read(CHUNK) == CONTENT[:CHUNK]
        with pytest.raises(SourceError, match="exit status") as caught:
            stream.read()
    assert ("why" in str(caught.value)) == ("why" in command)


@pytest.mark.parametrize("command", ["sleep 60", "echo a; sleep 60", "exec >&-; sleep 60"])
def test_a_silent_command_is_given_up_and_ended(tmp_path, command):
    """kills: a read without an end, or a command left running behind."""
    begun = time.monotonic()
    address = f"pipe:echo $$ > {tmp_path}/pid; {command} | cat"
    with (
        pytest.raises(SourceError, match=r"nothing came from pipe:.* for 2 s"),
        open_address(address, SHORT) as stream,
    ):
        stream.read()
    assert time.monotonic() - begun < 30
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_slow_command_is_waited_for():
    """kills: a limit on all of the time, or a chunk that must be full before it counts."""
    with open_address("pipe:for i in 1 2 3 4; do echo $i; sleep 0.8; done", SHORT) as stream:
        assert stream.read().split() == [b"1", b"2", b"3", b"4"]


def test_a_silent_server_is_given_up():
    """kills: fsspec's own limits, which are minutes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/0.tar"
        begun = time.monotonic()
        with (
            pytest.raises(SourceError, match="nothing came"),
            open_address(address, SHORT) as stream,
        ):
            stream.read(1)
        assert time.monotonic() - begun < 30


def test_a_reader_that_leaves_early_leaves_nothing_behind(tmp_path):
    """kills: a command or a thread that goes on after its reader, or reads ahead without end."""
    before = threading.active_count()
    path = tmp_path / "pid"
    with open_address(f"pipe:echo $$ > {path}; exec cat /dev/zero") as stream:
        assert stream.read(10) == bytes(10)
        time.sleep(0.3)
        assert stream.raw.queue.qsize() <= CHUNKS_AHEAD
    assert gone(int(path.read_text()))
    deadline = time.monotonic() + 20
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


def gone(pid):
    """Whether a process ends within ten seconds."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
