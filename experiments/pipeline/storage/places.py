"""Where a store lies: a folder, or any address that fsspec knows, asked in the same words.

Names are relative to the place, with slashes. What is written is whole or as it was.
"""

import functools
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from experiments.pipeline.files import StoreError, write_whole

Answer = TypeVar("Answer")

TRIES = 5
"""Of each request to an address."""
PAUSE = 0.2
"""Seconds before the second of them; each next pause is twice as long."""
FINAL = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)
"""Answers that another try would not change."""
PART = 1 << 20
KEY = re.compile("[0-9a-f]{12}")
"""The name of an artifact's folder, in that of its kind."""


class StorePlace(Protocol):
    """Files by name. StoreError where the place cannot be asked."""

    def read(self, name: str) -> bytes:
        """A file's content. FileNotFoundError without it."""
        ...

    def write(self, name: str, content: bytes) -> None: ...

    def names(self, folder: str) -> list[str]:
        """What lies directly in a folder; nothing where there is none."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """The bytes of every file below a folder, by the file's name from the place on."""
        ...

    def modified(self, name: str) -> float:
        """Seconds by the place's own clock. FileNotFoundError without it."""
        ...

    def touch(self, name: str) -> bool:
        """Make `modified` now; whether there is such a file still."""
        ...

    def remove(self, name: str) -> None:
        """Delete a file; nothing where there is none."""
        ...

    def remove_folder(self, name: str) -> None:
        """Delete a folder with all below; nothing where there is none."""
        ...

    def digest(self, name: str) -> str:
        """A file's SHA-256 in hexadecimal. FileNotFoundError without it."""
        ...


@dataclass(frozen=True)
class FolderPlace:
    """A folder of this machine, or of a file system that several share."""

    root: Path

    def __str__(self) -> str:
        return str(self.root)

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.root / name, content)

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(self.root / folder)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def sizes(self, folder: str) -> dict[str, int]:
        found = dict[str, int]()
        for path, _, files in os.walk(self.root / folder):
            for file in files:
                whole = Path(path, file)
                if not whole.is_symlink() and whole.exists():  # deleted meanwhile, by its owner
                    found[whole.relative_to(self.root).as_posix()] = whole.stat().st_size
        return found

    def modified(self, name: str) -> float:
        return (self.root / name).stat().st_mtime

    def touch(self, name: str) -> bool:
        try:
            os.utime(self.root / name)
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        shutil.rmtree(self.root / name, ignore_errors=True)

    def digest(self, name: str) -> str:
        with open(self.root / name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class AddressPlace:
    """An address of fsspec, such as s3://bucket/prefix. Each request is tried TRIES times."""

    address: str

    def __str__(self) -> str:
        return self.address.rstrip("/")

    @property
    def _fs(self) -> Any:
        return _file_system(self.address, os.getpid())[0]

    def _path(self, name: str) -> str:
        return f"{_file_system(self.address, os.getpid())[1]}/{name}".rstrip("/")

    def _tried(self, request: Callable[[], Answer], name: str) -> Answer:
        for pause in (*(PAUSE * 2**i for i in range(TRIES - 1)), None):
            try:
                return request()
            except FINAL:
                raise
            except Exception as error:  # each library behind fsspec has errors of its own
                if pause is None:
                    reason = " ".join(str(error).split()) or type(error).__name__
                    raise StoreError(f"cannot reach {self}/{name}: {reason}") from error
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def read(self, name: str) -> bytes:
        return bytes(self._tried(lambda: self._fs.cat_file(self._path(name)), name))

    def write(self, name: str, content: bytes) -> None:
        try:
            self._tried(lambda: self._fs.pipe_file(self._path(name), content), name)
        except FINAL as error:
            raise StoreError(f"cannot write {self}/{name}: {error}") from error

    def send(self, path: Path, name: str) -> None:
        """Write a file of this machine there."""
        try:
            self._tried(lambda: self._fs.put_file(str(path), self._path(name)), name)
        except FINAL as error:
            raise StoreError(f"cannot write {self}/{name}: {error}") from error

    def fetch(self, name: str, path: Path) -> None:
        """Write a file of there to this machine. FileNotFoundError without it."""
        self._tried(lambda: self._fs.get_file(self._path(name), str(path)), name)

    def exists(self, name: str) -> bool:
        return bool(self._tried(lambda: self._fs.exists(self._path(name)), name))

    def names(self, folder: str) -> list[str]:
        try:
            each = self._tried(lambda: self._fs.ls(self._path(folder), detail=False), folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in each]

    def sizes(self, folder: str) -> dict[str, int]:
        listed = self._tried(lambda: self._fs.find(self._path(folder), detail=True), folder)
        start = len(self._path("")) + 1
        return {str(path)[start:]: int(about["size"] or 0) for path, about in listed.items()}

    def modified(self, name: str) -> float:
        try:
            return float(self._tried(lambda: self._fs.modified(self._path(name)).timestamp(), name))
        except NotImplementedError:  # where no file has a time, no claim of another host grows old
            return 0.0

    def touch(self, name: str) -> bool:
        try:
            self.write(name, self.read(name))
        except FileNotFoundError:
            return False
        return True

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._tried(lambda: self._fs.rm_file(self._path(name)), name)

    def remove_folder(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._tried(lambda: self._fs.rm(self._path(name), recursive=True), name)

    def digest(self, name: str) -> str:
        def request() -> str:
            sum_ = hashlib.sha256()
            with self._fs.open(self._path(name), "rb") as file:
                for part in iter(functools.partial(file.read, PART), b""):
                    sum_.update(part)
            return sum_.hexdigest()

        return self._tried(request, name)


@functools.cache  # anew in each process: its threads do not outlive a fork
def _file_system(address: str, process: int) -> tuple[Any, str]:
    """fsspec's file system and the path in it. StoreError for an address that it does not know."""
    import fsspec

    try:
        fs, path = fsspec.url_to_fs(address, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise StoreError(f"no store at {address}: {error}") from error
    return fs, str(path).rstrip("/")


def is_address(store: str) -> bool:
    """Whether a store lies at an address of fsspec, rather than in a folder."""
    return "://" in store and not store.startswith("file://")


def place_of(store: str) -> StorePlace:
    """The place of a store, as a person writes it."""
    if is_address(store):
        return AddressPlace(store)
    return FolderPlace(Path(store.removeprefix("file://")).expanduser())


def artifacts(place: StorePlace, kind: str | None = None) -> Iterator[str]:
    """kind/key of every artifact that a place has, whole or not, in order."""
    for each in sorted(place.names("")) if kind is None else [kind]:
        if each.isidentifier():
            keys = (name for name in place.names(each) if KEY.fullmatch(name))
            yield from (f"{each}/{key}" for key in sorted(keys))
