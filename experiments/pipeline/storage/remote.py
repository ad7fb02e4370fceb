"""Artifacts at an address, with copies here: sent whole, the marker last; fetched file by file.

The layout is that of a store in a folder, so that one can be copied to the other as it is.
"""

import secrets
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from experiments.pipeline.files import StoreError, read_sealed
from experiments.pipeline.storage.addresses import AddressPlace
from experiments.pipeline.storage.cache import PARTS, Cache
from experiments.pipeline.storage.leases import leased
from experiments.pipeline.storage.places import FolderPlace

CONFIG, MARKER = "config.json", "provenance.json"
"""MARKER: the file that is written last. Without it there is no artifact."""
LOOKUPS = 3
"""Of artifacts of a kind, one by one, before the kind is listed."""
FRESH = 10.0
"""Seconds in which a listing is believed of what it lacks, once for each artifact."""


class Remote:
    """Artifacts, kind/key, at `place`."""

    def __init__(self, place: AddressPlace, cache: Cache) -> None:
        self.place, self.cache = place, cache
        self._there = set[str]()  # what is complete stays so, or its reader is told
        self._asked = Counter[str]()
        self._listed = dict[str, float]()
        self._absent = set[str]()

    def __getstate__(self) -> dict[str, Any]:
        """A worker asks for itself, of few artifacts."""
        return {"place": self.place, "cache": self.cache}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def has(self, artifact: str) -> bool:
        """Whether it is complete. Who asks for many of one kind is answered by a listing."""
        kind = artifact.partition("/")[0]
        if artifact in self._there:
            return True
        self._asked[kind] += 1
        if self._asked[kind] > LOOKUPS and kind not in self._listed:
            names = self.place.sizes(kind)
            marked = {name.removesuffix(f"/{MARKER}") for name in names if name.endswith(MARKER)}
            self._there |= {name for name in marked if f"{name}/{CONFIG}" in names}
            self._listed[kind] = time.monotonic()
        fresh = time.monotonic() - self._listed.get(kind, float("-inf")) < FRESH
        asked_before = artifact in self._absent
        self._absent.add(artifact)
        if artifact not in self._there and (asked_before or not fresh) and self._is_there(artifact):
            self._there.add(artifact)
        return artifact in self._there

    def fetch(self, artifact: str, name: str) -> Path:
        """The copy of one file, fetched unless it is here. StoreError if the store lacks it, or for
        a name that leaves the artifact: a provenance from elsewhere may say any."""
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise StoreError(f"{self.place}/{artifact} names a file outside itself: {name}")
        self.cache.use(artifact)
        path = self.cache.root / artifact / name
        if not path.exists():
            part = self.cache.root / PARTS / secrets.token_hex(8)
            part.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.place.fetch(f"{artifact}/{name}", part)
                self.cache.add(part.stat().st_size, part.name)
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
            except OSError as error:
                reason = "it is gone" if isinstance(error, FileNotFoundError) else error
                whole = f"{self.place}/{artifact}/{name}"
                raise StoreError(f"cannot read {whole}: {reason}") from error
            finally:
                part.unlink(missing_ok=True)
        return path

    def fetch_part(self, artifact: str, part: str) -> None:
        """Copies of a file, or of all files below a folder, of an artifact; of all for "".

        StoreError if there is no room for all of them at once.
        """
        with self.cache.at_work():  # or the last of them would push out the first
            self._fetch_part(artifact, part)

    def _fetch_part(self, artifact: str, part: str) -> None:
        self.fetch(artifact, MARKER)
        made = read_sealed(self.cache.root / artifact / MARKER)
        known = [*made.get("files", {}), *made.get("inside", {})]
        parts = [name for name in known if f"{name}/".startswith(f"{part}/" if part else "")]
        if not parts:  # of a store that was copied there from before folders had checksums
            there = self.place.sizes(f"{artifact}/{part}")
            parts = [name.removeprefix(f"{artifact}/") for name in there]
        for name in parts:
            self.fetch(artifact, name)

    def again(self, artifact: str, names: list[str]) -> None:
        """Fetch files anew, whatever copies there are."""
        self.cache.drop(artifact)
        for name in names:
            self.fetch(artifact, name)

    def publish(self, folder: Path, artifact: str) -> None:
        """Send what was made in a folder, unless another process has done so meanwhile."""
        sent, lock = False, f"{artifact.replace('/', '-')}-sent"
        while not sent and not self._is_there(artifact):
            with leased(self.place, lock, patient=True) as lease:
                if lease.holds and not self._is_there(artifact):
                    self._send(folder, artifact)
                    sent = True
            time.sleep(0 if sent else 1)
        self._there.add(artifact)
        if sent:
            with suppress(StoreError):  # no room: the artifact lies at the address all the same
                self.cache.adopt(folder, artifact)

    def _is_there(self, artifact: str) -> bool:
        return self.place.exists(f"{artifact}/{MARKER}")

    def _send(self, folder: Path, artifact: str) -> None:
        sizes = FolderPlace(folder).sizes("")
        data = [name for name in sizes if name not in (CONFIG, MARKER)]
        for name in (*sorted(data), CONFIG):
            self.place.send(folder / name, f"{artifact}/{name}")
        there = self.place.sizes(artifact)
        for name in (*data, CONFIG):
            if there.get(f"{artifact}/{name}") != sizes[name]:
                raise StoreError(f"{self.place}/{artifact}/{name} did not arrive whole")
        self.place.send(folder / MARKER, f"{artifact}/{MARKER}")
