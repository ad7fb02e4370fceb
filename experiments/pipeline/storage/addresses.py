"""A store's place at an address of fsspec, such as s3://bucket/prefix: requests, tried again."""

import functools
import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from experiments.pipeline.files import StoreError

Answer = TypeVar("Answer")

TRIES = 5
"""Of each request to an address."""
PAUSE = 0.2
"""Seconds before the second of them; each next pause is twice as long."""
FINAL = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)
"""Answers that another try would not change."""
PART = 1 << 20
TOUCHED = ".touched"
"""The end of the name of an object beside another, whose time is that of the other's last touch."""


@dataclass(frozen=True)
class AddressPlace:
    """An address of fsspec, such as s3://bucket/prefix. Each request is tried TRIES times.

    StoreError for one of HTTP: it keeps nothing, and fsspec calls absent what its server fails to
    send, so that everything would be made anew.
    """

    address: str

    def __post_init__(self) -> None:
        if any(part.startswith(("http:", "https:")) for part in self.address.split("::")):
            raise StoreError(f"no store at {self.address}: HTTP keeps nothing; copy it to a folder")

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
            except (*FINAL, StoreError):
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
        own = self._modified(name)
        with suppress(FileNotFoundError):
            return max(own, self._modified(f"{name}{TOUCHED}"))
        return own

    def _modified(self, name: str) -> float:
        def request() -> float:
            try:
                return float(self._fs.modified(self._path(name)).timestamp())
            except NotImplementedError:  # no file has a time: no claim of another host grows old
                return 0.0

        return self._tried(request, name)

    def touch(self, name: str) -> bool:
        """An object is written, not touched: written anew, one that another removes at this moment
        would be there again. So the object beside it is."""
        if not self.exists(name):
            return False
        self.write(f"{name}{TOUCHED}", b"")
        return True

    def remove(self, name: str, touched: bool = False) -> None:
        for each in (name, f"{name}{TOUCHED}")[: 1 + touched]:
            with suppress(FileNotFoundError):
                self._tried(functools.partial(self._fs.rm_file, self._path(each)), each)

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
    """fsspec's file system and the path in it. StoreError for an address that it does not know, or
    of a server of pages: it keeps nothing, and where it fails fsspec says that nothing is there."""
    import fsspec

    if address.startswith(("http://", "https://")):
        raise StoreError(
            f"no store at {address}: HTTP keeps and lists nothing; copy it to a folder"
        )
    try:
        fs, path = fsspec.url_to_fs(address, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise StoreError(f"no store at {address}: {error}") from error
    return fs, str(path).rstrip("/")
