"""Samples of a webdataset shard, streamed: consecutive files of a tar that share a key.

Not webdataset's own iterators: they take a shard cut off between two files, or a command that
fails, for a shorter shard, and they stop at a duplicated key.
"""

import tarfile
import zlib
from collections.abc import Iterator

from webdataset.tariterators import base_plus_ext

from datamodules.sources.opening import CHUNK, opened
from datamodules.sources.source import SourceError

Files = dict[str, bytes]
"""Contents by suffix, in lower case: jpg, txt, json."""


class _Header(tarfile.TarInfo):
    """A header that may only be missing after the mark that ends an archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:  # tarfile itself takes these for the end
            raise tarfile.ReadError(f"{error}, before the end of the archive") from error


def samples(address: str) -> Iterator[tuple[str, Files]]:
    """(key, files) in the shard's order; a repeated key comes again.

    SourceError, naming the shard, if it cannot be opened, is damaged or is cut short.
    """
    with opened(address) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as tar:
                yield from _grouped(tar)
            while stream.read(CHUNK):  # to the end, where a failed command says so
                pass
        except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
            raise SourceError(
                f"shard {address} is damaged or cut short ({error}): fetch it again"
            ) from error


def _grouped(tar: tarfile.TarFile) -> Iterator[tuple[str, Files]]:
    held: str | None = None
    files: Files = {}
    for key, suffix, content in _files(tar):
        if key != held or suffix in files:
            if held is not None:
                yield held, files
            held, files = key, {}
        files[suffix] = content
    if held is not None:
        yield held, files


def _files(tar: tarfile.TarFile) -> Iterator[tuple[str, str, bytes]]:
    while (member := tar.next()) is not None:
        # tarfile would remember every header it has read.
        tar.members.clear()  # type: ignore[attr-defined]
        key, suffix = base_plus_ext(member.name.removeprefix("./"))
        file = tar.extractfile(member) if member.isreg() and key is not None else None
        if file is not None:
            yield key, suffix.lower(), file.read()
