"""One way to open an address: a local path, whatever fsspec knows, or `pipe:` and a shell command.

All but local files are read ahead by a thread, so that a server or command that says nothing is an
error in seconds rather than a hang. A command that fails is an error too, when its output ends:
the bytes before it are not the file.
"""

import io
import os
import queue
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

from datamodules.sources.source import SourceError

PIPE = "pipe:"
CHUNK = 1 << 20
AHEAD = 4
"""Chunks read ahead of their use."""


@dataclass(frozen=True)
class Patience:
    """Seconds until the first bytes, and of silence between any two, before giving up."""

    opening: float = 30.0
    silence: float = 120.0


def opened(address: str, patience: Patience = Patience()) -> AbstractContextManager[IO[bytes]]:
    """The bytes at an address, from first to last. SourceError, naming it, wherever they end early.

    A `pipe:` command runs in a shell, with this process's rights: as trusted as a script.
    """
    if address.startswith(PIPE):
        return _ahead(address, _Command(address), patience)
    if "://" in address:
        return _ahead(address, _Remote(address), patience)
    return _local(address)


@contextmanager
def _local(address: str) -> Iterator[IO[bytes]]:
    path = Path(address).expanduser()
    if not path.is_file():  # a FIFO would wait for a writer for ever
        raise SourceError(f"no file at {address}: check the source's root and its names")
    try:
        file = open(path, "rb")  # noqa: SIM115 - an error of the user's own block is not ours
    except OSError as error:
        raise SourceError(f"cannot open {address}: {error.strerror}") from error
    with file:
        yield file


class _Remote:
    """What fsspec reads. Its own time limits are minutes, and others for each protocol."""

    def __init__(self, address: str) -> None:
        self.address = address

    def chunks(self) -> Iterator[bytes]:
        with fsspec.open(self.address, "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def kill(self) -> None:
        """Nothing stops a call into a library; its thread ends with the process at the latest."""


class _Command:
    """The output of a shell command, whole only if it ends with status 0."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.process: subprocess.Popen[bytes] | None = None
        self.killed = False

    def chunks(self) -> Iterator[bytes]:
        with tempfile.TemporaryFile() as said:
            self.process = subprocess.Popen(
                self.address.removeprefix(PIPE),
                shell=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,  # so that all of a pipeline can be ended
            )
            if self.killed:  # before there was a process to end
                self.kill()
            with self.process as process:
                output: Any = process.stdout
                while chunk := output.read1(CHUNK):
                    yield chunk
                status = process.wait()
            if status != 0:
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines()
                raise ChildProcessError(
                    f"exit status {status}" + (f", {lines[-1]}" if lines else "")
                )

    def kill(self) -> None:
        self.killed = True
        if self.process is not None and self.process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


class _Ahead(io.RawIOBase):
    """The chunks of an origin, read in a thread that never keeps the process from ending."""

    def __init__(self, address: str, origin: _Remote | _Command, patience: Patience) -> None:
        super().__init__()
        self.address, self.origin, self.patience = address, origin, patience
        self.left, self.ended, self.begun = memoryview(b""), False, False
        self.stopped = threading.Event()
        self.queue: queue.Queue[bytes | BaseException] = queue.Queue(AHEAD)
        threading.Thread(target=self._fill, daemon=True).start()

    def _fill(self) -> None:
        try:
            for chunk in self.origin.chunks():
                if not self._put(chunk):
                    return
            self._put(b"")
        except BaseException as error:  # raised again where the bytes are asked for
            self._put(error)

    def _put(self, item: bytes | BaseException) -> bool:
        while not self.stopped.is_set():
            with suppress(queue.Full):
                self.queue.put(item, timeout=0.1)
                return True
        return False

    def _next(self) -> bytes:
        seconds = self.patience.silence if self.begun else self.patience.opening
        try:
            item = self.queue.get(timeout=seconds)
        except queue.Empty:
            raise SourceError(
                f"nothing came from {self.address} for {seconds:g} s: check that it can be reached"
            ) from None
        if isinstance(item, BaseException):
            raise SourceError(f"cannot read {self.address}: {self._reason(item)}") from item
        self.begun, self.ended = True, not item
        return item

    def _reason(self, error: BaseException) -> str:
        """One line. Of whatever an HTTP client could not do, fsspec only repeats the address."""
        if str(error) == self.address and error.__cause__ is not None:
            error = error.__cause__
        said = str(error).strip().splitlines()
        return f"{type(error).__name__}, {said[0]}" if said else type(error).__name__

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.left and not self.ended:
            self.left = memoryview(self._next())
        count = min(len(buffer), len(self.left))
        buffer[:count], self.left = self.left[:count], self.left[count:]
        return count

    def stop(self) -> None:
        self.stopped.set()
        self.origin.kill()


@contextmanager
def _ahead(address: str, origin: _Remote | _Command, patience: Patience) -> Iterator[IO[bytes]]:
    raw = _Ahead(address, origin, patience)
    try:
        yield io.BufferedReader(raw, CHUNK)
    finally:
        raw.stop()
