"""Samples of a webdataset shard, streamed: consecutive files of a tar that share a key.

webdataset's own iterators are not used. They accept a truncated shard or a failed command as a
shorter shard, and they stop at a duplicated key.
"""

import tarfile
import zlib
from collections.abc import Iterator

from datamodules.sources.opening import CHUNK, open_address
from datamodules.sources.source import LostShardError

Files = dict[str, bytes]
"""The contents of a sample's files, by lower-case suffix: jpg, txt, json."""


class _Header(tarfile.TarInfo):
    """A header that may be missing only after the archive's end marker."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:  # tarfile itself would end the archive here
            raise tarfile.ReadError(f"{error}, before the end of the archive") from error


def samples(address: str) -> Iterator[tuple[str, Files]]:
    """(key, files) in the shard's order; a repeated key is returned again.

    Raises SourceError, naming the shard, if it cannot be opened; LostShardError, which is one, if
    it is not there, damaged or truncated.
    """
    with open_address(address) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as tar:
                yield from _grouped(tar)
            while stream.read(CHUNK):  # a failed command raises at the end
                pass
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise LostShardError(
                f"shard {address} is damaged or cut short ({error}): fetch it again"
            ) from error


def _grouped(tar: tarfile.TarFile) -> Iterator[tuple[str, Files]]:
    current: str | None = None
    files: Files = {}
    for key, suffix, content in _files(tar):
        if key != current or suffix in files:
            if current is not None:
                yield current, files
            current, files = key, {}
        files[suffix] = content
    if current is not None:
        yield current, files


def _files(tar: tarfile.TarFile) -> Iterator[tuple[str, str, bytes]]:
    from webdataset.tariterators import base_plus_ext

    while (member := tar.next()) is not None:
        # Otherwise tarfile keeps every header in memory.
        tar.members.clear()  # type: ignore[attr-defined]
        if member.name.startswith("/") or ".." in member.name.split("/"):
            raise tarfile.ReadError(f"{member.name} lies outside the archive")
        key, suffix = base_plus_ext(member.name.removeprefix("./"))
        file = tar.extractfile(member) if member.isreg() and key is not None else None
        if file is not None:
            yield key, suffix.lower(), file.read()
