"""Who is at work on what: leases beside the working folders, which others respect while they live.

A process writes its lease, then reads all leases of the artifact: it holds the artifact if no
other lives. Of two that write at once both see the other, and both try again, so that two never
hold one. Files that are written and listed are enough: no lock, and no rename.

A lease of this machine lives as long as its process. Of another machine's nothing is known but its
heartbeat, whose age the place's own clock tells.
"""

import functools
import json
import os
import platform
import random
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from experiments.pipeline.files import StoreError
from experiments.pipeline.storage.places import StorePlace

MAKING = "making"
SUFFIX = ".lease"
BEAT = 10.0
"""Seconds between two heartbeats."""
SILENT = 60.0
"""Seconds without one after which a lease of another host is stale."""
TRIES = 4
"""Where others want the same artifact at the same moment."""


@dataclass(frozen=True)
class Maker:
    """A process, as others know it.

    boot, pids: the start of its machine and the space of its process numbers, two containers having
    two; empty where the system does not tell.  started: what sets it apart from another process
    that got its number later.
    """

    host: str
    boot: str
    pids: str
    pid: int
    started: str

    @classmethod
    def this(cls) -> "Maker":
        return cls(*_machine(), os.getpid(), _started(os.getpid()))

    def alive(self) -> bool | None:
        """Whether it runs; None where that cannot be told from here."""
        if (self.host, self.boot, self.pids) != _machine():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _started(self.pid) in (self.started, "")

    def __str__(self) -> str:
        return f"process {self.pid} of {self.host}"


@functools.cache
def _machine() -> tuple[str, str, str]:
    boot = pids = ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        pids = os.readlink("/proc/self/ns/pid")
    return platform.node(), boot, pids


def _started(pid: int) -> str:
    """Its start in ticks since the boot; empty where the system does not tell."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


class State(Enum):
    """ASKING: not yet sure that no other has it.  HOLDING: of the folder that a killed run left.
    APART: in a folder of its own, another holding the artifact."""

    ASKING = "asking"
    HOLDING = "holding"
    APART = "apart"


@dataclass(frozen=True)
class SeenLease:
    """A lease as it is read. file: its name in the place.  folder: in which its maker works."""

    file: str
    state: State
    maker: Maker
    folder: str
    inputs: tuple[str, ...] = ()


def written(place: StorePlace, file: str) -> SeenLease | None:
    """The lease in a file; None if it is gone, or is none."""
    try:
        form: dict[str, Any] = json.loads(place.read(file))
        maker, inputs = Maker(**form["maker"]), tuple(form["inputs"])
        lease = SeenLease(file, State(form["state"]), maker, form["folder"], inputs)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    # Folders are deleted by this name, so it may lead nowhere else.
    return lease if lease.folder.startswith(artifact_of(file)) and "/" not in lease.folder else None


def artifact_of(file: str) -> str:
    """kind-key of what a lease is of."""
    return file.removeprefix(f"{MAKING}/").partition(".")[0]


def all_written(place: StorePlace, artifact: str = "") -> list[SeenLease]:
    """The leases of one artifact, kind-key, or of all."""
    start = f"{artifact}." if artifact else ""
    names = [n for n in place.names(MAKING) if n.startswith(start) and n.endswith(SUFFIX)]
    found = (written(place, f"{MAKING}/{name}") for name in sorted(names) if name[0] != ".")
    return [lease for lease in found if lease is not None]


class Lease:
    """This process's, of one artifact.

    inputs: kind/key of what it reads.  patient: wait for another host's heartbeat until it is clear
    whether there is one: what a killed run left is worth that.  left: leases of makers that are no
    more, each with whether that is certain, or only heard from their silence.
    """

    def __init__(
        self, place: StorePlace, artifact: str, inputs: tuple[str, ...] = (), patient: bool = False
    ) -> None:
        self.place, self.artifact, self.inputs, self.patient = place, artifact, inputs, patient
        self.token = secrets.token_hex(4)
        self.file = f"{MAKING}/{artifact}.{self.token}{SUFFIX}"
        self.folder, self.state = artifact, State.ASKING
        self.left = list[tuple[SeenLease, bool]]()
        self._stop, self._asking, self._beaten = threading.Event(), threading.Lock(), False

    @property
    def holds(self) -> bool:
        return self.state is State.HOLDING

    @property
    def lost(self) -> bool:
        """Whether another took it over, having heard nothing from here for too long."""
        try:
            self.place.read(self.file)
        except FileNotFoundError:
            return True
        return False

    def write(self, state: State, folder: str) -> None:
        self.state, self.folder = state, folder
        form = {"state": state.value, "maker": asdict(Maker.this()), "folder": folder}
        content = json.dumps({**form, "inputs": self.inputs}) + "\n"
        self.place.write(self.file, content.encode())

    def acquire(self) -> None:
        """Hold the artifact, or find that another does, which leaves this lease APART."""
        for attempt in range(TRIES):
            self.write(State.ASKING, self.artifact)
            others = self._others()
            if not others:
                return self.write(State.HOLDING, self.folder)
            if any(other.state is State.HOLDING for other in others):
                break
            self.place.remove(self.file)  # both asked at once
            time.sleep(random.uniform(0, 0.02 * 2**attempt))
        self.write(State.APART, f"{self.artifact}.{self.token}")

    def _others(self) -> list[SeenLease]:
        """The others that live and want the same folder. Those that are no more go to `left`."""
        self.left, living = [], []
        for other in all_written(self.place, self.artifact):
            if other.file == self.file:
                continue
            alive = other.maker.alive()
            if other.state is State.APART:
                self.left += [(other, True)] if alive is False else []
            elif alive is False or (alive is None and self._silent(other)):
                self.left.append((other, alive is False))
            else:
                living.append(other)
        return living

    def _silent(self, other: SeenLease) -> bool:
        """Whether another host's process has given no sign of life for SILENT; never where no file
        has a time, as no beat is seen there."""
        now, asked = self.place.modified(self.file), time.monotonic()
        try:
            first = self.place.modified(other.file)
            if not first:
                return False
            while now + time.monotonic() - asked - first < SILENT:
                if not self.patient or self.place.modified(other.file) != first:
                    return False
                time.sleep(min(1.0, BEAT / 4))
        except FileNotFoundError:  # it has ended
            return True
        return True

    def beat(self) -> None:
        """Give signs of life until `release`."""

        def beating() -> None:
            while not self._stop.wait(BEAT):
                # A place may be away for a moment.
                with self._asking, suppress(OSError, StoreError):
                    self._beaten = True
                    if self._stop.is_set() or not self.place.touch(self.file):
                        return

        threading.Thread(target=beating, name=f"lease of {self.artifact}", daemon=True).start()

    def release(self) -> None:
        self._stop.set()
        # After a beat that is under way. It is stale as soon as this process has ended.
        with self._asking, suppress(OSError, StoreError):
            self.place.remove(self.file, touched=self._beaten)


@contextmanager
def leased(
    place: StorePlace, artifact: str, inputs: tuple[str, ...] = (), patient: bool = False
) -> Iterator[Lease]:
    """A lease that lives as long as the block; it holds the artifact, or is apart."""
    lease = Lease(place, artifact, inputs, patient)
    try:
        lease.acquire()
        lease.beat()
        yield lease
    finally:
        lease.release()
