"""The least memory in which a piece of work ends nearly as soon as in plenty.

Linux's control groups set the limits, of version 1 or 2, where this process may make groups. All
that a group holds counts, pages of files too: the kernel drops those, to read them again, before it
kills. What spends its time on that has too little memory.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.bench.pairing import RefusedError

MOUNT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Groups:
    """Where groups of a limit of their own can be made, and the file that sets it."""

    place: Path
    limit: str

    @classmethod
    def of(cls, lines: str, mount: Path = MOUNT) -> "Groups":
        """lines: of /proc/self/cgroup. RefusedError where no group limits memory."""
        named = [line.split(":", 2)[1:] for line in lines.splitlines()]
        for controllers, path in named:
            if "memory" in controllers.split(","):
                return cls(mount / "memory" / path.lstrip("/"), "memory.limit_in_bytes")
        for controllers, path in named:  # of version 2 a group has processes or groups, not both
            beside = (mount / path.lstrip("/")).parent if path != "/" else mount
            if not controllers and "memory" in _words(beside / "cgroup.subtree_control"):
                return cls(beside, "memory.max")
        raise RefusedError("memory cannot be limited here: no control group for it")

    @classmethod
    def here(cls) -> "Groups":
        """Of this process. RefusedError where there are none, as outside of Linux."""
        own = Path("/proc/self/cgroup")
        return cls.of(own.read_text() if own.exists() else "")

    @contextmanager
    def limited(self, most: int) -> Iterator[Path]:
        """A group of at most so many bytes. RefusedError where none may be made."""
        folder = self.place / f"bench-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError as error:
            raise RefusedError(f"memory cannot be limited here: {error}") from error
        try:
            (folder / self.limit).write_text(str(most))
            yield folder
        finally:
            folder.rmdir()


def _words(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def ends(work: Callable[[], None], most: int, groups: Groups, patience: float) -> bool:
    """Whether it ends in `patience` seconds in a fork that may take so many bytes more.

    RefusedError where it fails for another reason than memory.
    """
    with groups.limited(most) as folder:
        child = os.fork()
        if not child:
            _in_the_group(work, folder)
        give_up = threading.Timer(patience, os.kill, (child, signal.SIGKILL))
        give_up.start()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        give_up.cancel()
    if status not in (0, -signal.SIGKILL):
        raise RefusedError(f"work under a limit ended with {status}")
    return status == 0


def _in_the_group(work: Callable[[], None], folder: Path) -> None:
    """Never returns."""
    status = 1
    try:
        (folder / "cgroup.procs").write_text(str(os.getpid()))
        work()
        status = 0
    finally:
        os._exit(status)


def least(
    work: Callable[[], None], most: int, step: int, groups: Groups, slower: float = 2.0
) -> int:
    """The least multiple of `step` bytes in which the work ends, by bisection.

    slower: it may take so many times the seconds that it takes in `most`. RefusedError where it
    does not end in `most` either.
    """
    low, high = 0, -(-most // step)
    begun = time.monotonic()
    if not ends(work, high * step, groups, threading.TIMEOUT_MAX):
        raise RefusedError(f"{most:,} bytes are too few")
    patience = slower * (time.monotonic() - begun)
    while high - low > 1:
        middle = (low + high) // 2
        if ends(work, middle * step, groups, patience):
            high = middle
        else:
            low = middle
    return high * step


def forget(paths: Iterable[Path]) -> None:
    """Drop files from the page cache, as far as their file system obeys."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file)
