"""The least memory in which a piece of work ends, in at most some times the seconds of plenty.

Linux's control groups set the limits, of version 1 or 2, where this process may make groups. All
that a group holds counts, pages of files too: the kernel drops those, to read them again, before it
kills. What spends its time on that has too little memory.
"""

import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from experiments.bench.pairing import RefusedError

MOUNT = Path("/sys/fs/cgroup")
APART = 3
"""The exit status of a fork that could not join its group."""


class Outcome(Enum):
    """How work under a limit went: it ended, it was killed for its memory, it took too long."""

    ENDED = 0
    KILLED = 1
    SLOW = 2


@dataclass(frozen=True)
class Groups:
    """Where groups with a limit of their own can be made.

    Names of files: what sets the limit; what limits swap, and to how much of the limit; the most
    that was held; how often the kernel killed.
    """

    place: Path
    limit: str
    swap: str
    swapped: int
    most: str
    kills: str

    @classmethod
    def first(cls, place: Path) -> "Groups":
        """Of version 1, where swap is limited together with memory."""
        names = ("limit_in_bytes", "memsw.limit_in_bytes", "max_usage_in_bytes", "oom_control")
        limit, swap, most, kills = (f"memory.{name}" for name in names)
        return cls(place, limit, swap, 1, most, kills)

    @classmethod
    def second(cls, place: Path) -> "Groups":
        return cls(place, "memory.max", "memory.swap.max", 0, "memory.peak", "memory.events")

    @classmethod
    def of(cls, lines: str, mount: Path = MOUNT) -> "Groups":
        """lines: of /proc/self/cgroup. RefusedError where no group limits memory."""
        named = [line.split(":", 2)[1:] for line in lines.splitlines()]
        for controllers, path in named:
            if "memory" in controllers.split(","):
                return cls.first(mount / "memory" / path.lstrip("/"))
        for controllers, path in named:  # of version 2 a group has processes or groups, not both
            beside = (mount / path.lstrip("/")).parent if path != "/" else mount
            if not controllers and "memory" in _read(beside / "cgroup.subtree_control").split():
                return cls.second(beside)
        raise RefusedError("memory cannot be limited here: no control group for it")

    @classmethod
    def here(cls) -> "Groups":
        """Of this process. RefusedError where there are none, as outside of Linux."""
        return cls.of(_read(Path("/proc/self/cgroup")))

    @contextmanager
    def limited(self, most: int) -> Iterator[Path]:
        """A group of at most so many bytes, no swap. RefusedError where none may be made."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="bench-", dir=self.place))
        except OSError as error:
            raise RefusedError(f"memory cannot be limited here: {error}") from error
        try:
            (folder / self.limit).write_text(str(most))
            if (folder / self.swap).exists():
                (folder / self.swap).write_text(str(most * self.swapped))
            elif len(_read(Path("/proc/swaps")).splitlines()) > 1:
                raise RefusedError("memory cannot be limited here: swap would take what is over")
            yield folder
        except OSError as error:
            raise RefusedError(f"memory cannot be limited here: {error}") from error
        finally:
            folder.rmdir()

    def killed(self, group: Path) -> bool:
        """Whether the kernel has killed in the group, which it says since 4.13."""
        found = re.search(r"^oom_kill (\d+)$", _read(group / self.kills), re.M)
        return found is None or int(found[1]) > 0


def _read(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def under(
    work: Callable[[], object], most: int, groups: Groups, patience: float | None
) -> tuple[Outcome, int]:
    """How it went in a fork of this process that may take so many bytes more, and what it held.

    patience: seconds.  RefusedError where it fails for another reason, which it prints.
    """
    with groups.limited(most) as group:
        child = multiprocessing.get_context("fork").Process(target=_join, args=(group, work))
        child.start()
        try:
            child.join(patience)
            slow = child.is_alive()
        finally:
            child.kill()
            child.join()
        status, held = child.exitcode, int(_read(group / groups.most) or 0)
        child.close()
        if slow:
            return Outcome.SLOW, held
        if status == 0:
            return Outcome.ENDED, held
        if status == -signal.SIGKILL and groups.killed(group):
            return Outcome.KILLED, held
    why = "could not join its group" if status == APART else f"ended with {status}"
    raise RefusedError(f"work under a limit of memory {why}")


def _join(group: Path, work: Callable[[], object]) -> None:
    try:
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        sys.exit(APART)
    work()


def least(
    work: Callable[[], object],
    most: int,
    step: int,
    groups: Groups,
    slower: float = 2.0,
    read: int = 0,
) -> int:
    """The least multiple of `step` bytes in which the work ends, by bisection.

    slower: it may take so many times the seconds that it takes in `most`, for which it is run
    twice.  read: bytes that it is known to read from files or to hold, at least.  RefusedError
    where it does not end in `most`, or where those bytes are not counted, as of files that never
    leave the memory of who wrote them.
    """
    low, high = 0, -(-most // step)
    for _ in range(2):  # the first makes ready what the second finds, as any later one does
        begun = time.monotonic()
        outcome, held = under(work, high * step, groups, None)
        patience = slower * (time.monotonic() - begun)
    if outcome is not Outcome.ENDED:
        raise RefusedError(f"{high * step:,} bytes are too few")
    if held < read:
        raise RefusedError(f"{read:,} bytes are read or held, and {held:,} were counted")
    while high - low > 1:
        middle = (low + high) // 2
        outcome, _ = under(work, middle * step, groups, patience)
        if outcome is Outcome.SLOW:  # of itself, or for what else went on
            outcome, _ = under(work, middle * step, groups, patience)
        if outcome is Outcome.ENDED:
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
