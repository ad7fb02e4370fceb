"""What of a store at an address lies on this machine: copies, of which there is only so much.

The least recently used artifact goes first, and none that a stage at work has asked for.
"""

import json
import os
import platform
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from experiments.pipeline.files import StoreError, write_whole
from experiments.pipeline.storage.leases import Maker
from experiments.pipeline.storage.places import FolderPlace, artifacts

PARTS = "parts"
"""The folder of files that are being fetched."""
CUT_SHORT = 3600.0
"""Seconds without a byte after which nobody is fetching a part any more."""
USES = "uses"
"""The folder of marks, a file for each artifact that a process at work has asked for."""
RECOUNT = 10.0
"""Seconds after which the files are counted again, for other processes fill the cache too."""
FORGOTTEN = 86_400.0
"""Seconds after which a mark of another host counts no more, where hosts share a cache."""
GB = 10**9


@dataclass
class Cache:
    """The folder `root`, laid out as a store.

    limit: bytes of artifacts, at most; what is in use is never deleted, so that a limit below it is
    an error. Each process may overshoot by what others fetch in RECOUNT.
    """

    root: Path
    limit: int
    _marks: list[Path] = field(default_factory=list)
    _working: bool = False
    _bytes: int = 0
    _counted: float = float("-inf")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Keep what is used within the block."""
        before, self._working = self._working, True
        try:
            yield
        finally:
            self._working = before
            while not before and self._marks:
                self._marks.pop().unlink(missing_ok=True)

    def use(self, artifact: str) -> None:
        """Say that an artifact, kind/key, is in use, before its files are looked for."""
        with suppress(FileNotFoundError):
            os.utime(self.root / artifact / "provenance.json")
        mark = self.root / USES / f"{artifact.replace('/', '-')}.{platform.node()}-{os.getpid()}"
        if self._working and mark not in self._marks:
            mark.parent.mkdir(parents=True, exist_ok=True)
            write_whole(mark, json.dumps(asdict(Maker.this())).encode())
            self._marks.append(mark)

    def add(self, count: int, part: str = "") -> None:
        """Make room for bytes that come now, those of a part that was fetched if it is named.
        StoreError if what is in use leaves too little."""
        now = time.monotonic()
        if self._bytes + count > self.limit or now - self._counted > RECOUNT:
            held = self._held()
            fetched = sum(size for size, _ in held.values())
            self._bytes, self._counted = fetched + self._parts(besides=part), now
            for artifact in sorted(held, key=lambda name: held[name][1]):
                if self._bytes + count <= self.limit:
                    break
                if self._evict(artifact):
                    self._bytes -= held[artifact][0]
        if self._bytes + count > self.limit:
            raise StoreError(
                f"the cache {self.root} may hold {self.limit / GB:g} GB, of which "
                f"{self._bytes / GB:.3g} are in use, and {count / GB:.3g} more are needed: "
                "give it more by --cache-gb"
            )
        self._bytes += count

    def _parts(self, besides: str) -> int:
        """Bytes of what is being fetched now. What was cut short is deleted."""
        count = 0
        for path in (self.root / PARTS).glob("*"):
            with suppress(FileNotFoundError):  # it has arrived
                about = path.stat()
                if time.time() - about.st_mtime > CUT_SHORT:
                    path.unlink()
                elif path.name != besides:
                    count += about.st_size
        return count

    def _held(self) -> dict[str, tuple[int, float]]:
        """Bytes and last use of each artifact that is here."""
        place, held = FolderPlace(self.root), dict[str, tuple[int, float]]()
        for artifact in artifacts(place):
            with suppress(FileNotFoundError):
                used = (self.root / artifact).stat().st_mtime
                with suppress(FileNotFoundError):
                    used = (self.root / artifact / "provenance.json").stat().st_mtime
                held[artifact] = sum(place.sizes(artifact).values()), used
        return held

    def _evict(self, artifact: str) -> bool:
        """Delete the copy of an artifact, unless it is in use."""
        if self._in_use(artifact):
            return False
        aside = self.root / f"gone.{secrets.token_hex(4)}"
        with suppress(FileNotFoundError):  # another process evicted it
            (self.root / artifact).rename(aside)
        if self._in_use(artifact):  # it was asked for at this moment
            with suppress(OSError):
                aside.rename(self.root / artifact)
                return False
        shutil.rmtree(aside, ignore_errors=True)
        return True

    def _in_use(self, artifact: str) -> bool:
        for mark in (self.root / USES).glob(f"{artifact.replace('/', '-')}.*"):
            with suppress(OSError, ValueError, TypeError):
                alive = Maker(**json.loads(mark.read_text())).alive()
                if alive or (alive is None and time.time() - mark.stat().st_mtime < FORGOTTEN):
                    return True
                mark.unlink(missing_ok=True)
        return False

    def drop(self, artifact: str) -> None:
        """Forget a copy that is not what the store has."""
        shutil.rmtree(self.root / artifact, ignore_errors=True)

    def adopt(self, folder: Path, artifact: str) -> None:
        """Keep what was made here as the copy of an artifact that the store has now."""
        self.add(sum(FolderPlace(folder).sizes("").values()))
        self.drop(artifact)
        (self.root / artifact).parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # another process fetched it meanwhile
            folder.rename(self.root / artifact)
