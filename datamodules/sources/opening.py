"""Opens an address: a local path, any fsspec URL, or `pipe:` and a shell command.

A thread reads ahead in everything but local files, so that a silent server or command is an error
after seconds and no hang. A command that fails raises an error at the end of its output.
"""

import io
import os
import queue
import re
import shlex
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import fsspec

from datamodules.sources.lost import is_absent
from datamodules.sources.source import LostShardError, SourceError

PIPE = "pipe:"
CHUNK = 1 << 20
CHUNKS_AHEAD = 4
"""Chunks read before they are needed."""


PLAIN = re.compile("[A-Za-z0-9_@%+=:,./][A-Za-z0-9_@%+=:,./-]*")
"""A name in which no shell sees anything but a name, nor a command an option."""


def filled(command: str, name: str) -> str:
    """A shell command with `name` in place of each `{}`, quoted so that it stays one word.

    ValueError for a name that could be more: within quotes of the command's own, where another
    shell may read it again, any that is not plain; anywhere, one that begins as an option does.
    """
    if PLAIN.fullmatch(name):
        return command.replace("{}", name)
    parts, so_far = command.split("{}"), ""
    for part in parts[:-1]:
        so_far += part
        if name.startswith("-") or _ends_in_quotes(so_far):
            raise ValueError(
                f"{name!r} has characters that a shell or command interprets: rename the shard, or "
                f"leave out the quotes around {{}} in {command}"
            )
    return shlex.quote(name).join(parts)


def _ends_in_quotes(command: str) -> bool:
    """Whether what follows would stand in quotes or behind a backslash."""
    quote, escaped = "", False
    for character in command:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"`":
            quote = character
    return bool(quote) or escaped


@dataclass(frozen=True)
class Timeouts:
    """Seconds to wait for the first bytes, and for any later ones."""

    opening: float = 30.0
    silence: float = 120.0


def open_address(
    address: str, timeouts: Timeouts = Timeouts()
) -> AbstractContextManager[IO[bytes]]:
    """A context with the bytes at an address as a file.

    A `pipe:` command runs in a shell with this process's rights; trust it as you would a script.
    Raises SourceError, naming the address, if it cannot be opened or its bytes end early; of its
    kind LostShardError where there is nothing, and not where a server fails.
    """
    if address.startswith(PIPE):
        return _read_ahead(address, _Command(address), timeouts)
    if "://" in address:
        return _read_ahead(address, _Remote(address), timeouts)
    return _local(address)


@contextmanager
def _local(address: str) -> Iterator[IO[bytes]]:
    path = Path(address).expanduser()
    if not path.is_file():  # a FIFO would wait for a writer
        raise LostShardError(f"no file at {address}: check the source's root and its names")
    try:
        file = open(path, "rb")  # noqa: SIM115 - errors of the caller's block pass unchanged
    except OSError as error:
        raise SourceError(f"cannot open {address}: {error.strerror}") from error
    with file:
        yield file


class _Remote:
    """A URL that fsspec reads. fsspec's own timeouts are minutes and differ by protocol."""

    def __init__(self, address: str) -> None:
        self.address = address

    def chunks(self) -> Iterator[bytes]:
        with fsspec.open(self.address, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def kill(self) -> None:
        """Does nothing: a call into a library cannot be stopped. Its thread is a daemon."""


class _Command:
    """The output of a shell command, which is complete only if it ends with status 0."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.process: subprocess.Popen[bytes] | None = None
        self.killed = False

    def chunks(self) -> Iterator[bytes]:
        with tempfile.TemporaryFile() as errors:
            self.process = subprocess.Popen(
                self.address.removeprefix(PIPE),
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # so that a whole pipeline can be killed
            )
            if self.killed:  # before the process started
                self.kill()
            with self.process as process:
                output: Any = process.stdout
                while chunk := output.read1(CHUNK):
                    yield chunk
                status = process.wait()
            if status != 0:
                errors.seek(0)
                lines = errors.read().decode(errors="replace").strip().splitlines()
                raise ChildProcessError(
                    f"exit status {status}" + (f", {lines[-1]}" if lines else "")
                )

    def kill(self) -> None:
        self.killed = True
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


class _ReadAhead(io.RawIOBase):
    """The chunks of an origin, read by a daemon thread."""

    def __init__(self, address: str, origin: _Remote | _Command, timeouts: Timeouts) -> None:
        super().__init__()
        self.address, self.origin, self.timeouts = address, origin, timeouts
        self.rest, self.ended, self.begun = memoryview(b""), False, False
        self.stopped = threading.Event()
        self.queue: queue.Queue[bytes | BaseException] = queue.Queue(CHUNKS_AHEAD)
        threading.Thread(target=self._fill, daemon=True).start()

    def _fill(self) -> None:
        try:
            for chunk in self.origin.chunks():
                if not self._put(chunk):
                    return
            self._put(b"")
        except BaseException as error:  # raised again by the reader
            self._put(error)

    def _put(self, item: bytes | BaseException) -> bool:
        while not self.stopped.is_set():
            with suppress(queue.Full):
                self.queue.put(item, timeout=0.1)
                return True
        return False

    def _next(self) -> bytes:
        seconds = self.timeouts.silence if self.begun else self.timeouts.opening
        try:
            item = self.queue.get(timeout=seconds)
        except queue.Empty:
            raise SourceError(
                f"nothing came from {self.address} for {seconds:g} s: check that it can be reached"
            ) from None
        if isinstance(item, BaseException):
            lost = isinstance(self.origin, _Remote) and is_absent(item)
            kind = LostShardError if lost else SourceError
            raise kind(f"cannot read {self.address}: {self._reason(item)}") from item
        self.begun, self.ended = True, not item
        return item

    def _reason(self, error: BaseException) -> str:
        """One line. fsspec's own error may only repeat the address; its cause tells more."""
        if str(error) == self.address and error.__cause__ is not None:
            error = error.__cause__
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}, {lines[0]}" if lines else type(error).__name__

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.rest and not self.ended:
            self.rest = memoryview(self._next())
        count = min(len(buffer), len(self.rest))
        buffer[:count], self.rest = self.rest[:count], self.rest[count:]
        return count

    def stop(self) -> None:
        self.stopped.set()
        self.origin.kill()


@contextmanager
def _read_ahead(
    address: str, origin: _Remote | _Command, timeouts: Timeouts
) -> Iterator[IO[bytes]]:
    raw = _ReadAhead(address, origin, timeouts)
    try:
        yield io.BufferedReader(raw, CHUNK)
    finally:
        raw.stop()
