"""Where a store lies: a folder, or any address that fsspec knows, asked in the same words.

Names are relative to the place, with slashes. What is written is whole or as it was.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from experiments.pipeline.files import write_whole
from experiments.pipeline.storage.addresses import AddressPlace

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

    def remove(self, name: str, touched: bool = False) -> None:
        """Delete a file; nothing where there is none. touched: it may have been."""
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

    def remove(self, name: str, touched: bool = False) -> None:
        (self.root / name).unlink(missing_ok=True)

    def remove_folder(self, name: str) -> None:
        shutil.rmtree(self.root / name, ignore_errors=True)

    def digest(self, name: str) -> str:
        with open(self.root / name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


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
