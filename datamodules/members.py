"""What a shard's bytes hold: the members of a tar in memory, and npy files stacked into one array.

webdataset's own loop goes through tarfile, io and numpy for every member. Here a member costs one
look at its header, and all members of a kind are copied at once.
"""

import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

BLOCK = 512
"""A tar's headers and contents begin at multiples of this."""
EXTENDED = ord("x")
"""The type of pax records about the next member: of a name that is long or not ASCII, or a time."""
TYPES = (*b"0\0", EXTENDED)
"""And those of a regular file, today's and the oldest."""
NAME = re.compile(rb"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)
"""A sample's key, which ends at the first dot of the last part, and what the sample calls it."""
Array = NDArray[np.generic]


class MembersError(ValueError):
    """Bytes that are no tar of samples, or samples that cannot be stacked: what they hold."""


@dataclass(frozen=True)
class Members:
    """Where the contents of a tar lie.

    samples: how many keys there are.  starts, sizes: by kind, of each member in the tar's order,
    in bytes.
    """

    samples: int
    starts: dict[str, list[int]]
    sizes: dict[str, list[int]]


def members(content: bytes) -> Members:
    """The members of an uncompressed ustar or pax tar, grouped by kind as webdataset groups them.

    A sample is a run of members with one key; a name without a dot belongs to none. Raises
    MembersError for a header that is none, links and other irregular members, and a sample with two
    members of a kind.
    """
    samples, sample = 0, b""
    starts: dict[bytes, list[int]] = {}
    sizes: dict[bytes, list[int]] = {}
    last: dict[bytes, int] = {}  # the sample that a kind was last seen in
    for name, start, size in _files(content):
        if found := NAME.fullmatch(name):
            key, kind = found.groups()
            if key != sample:
                samples, sample = samples + 1, key
            if last.get(kind) == samples:
                raise MembersError(f"holds {name.decode(errors='replace')} twice")
            last[kind] = samples
            starts.setdefault(kind, []).append(start)
            sizes.setdefault(kind, []).append(size)
    return Members(samples, _named(starts), _named(sizes))


def _files(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and size of each regular file."""
    at, said = 0, b""
    while at < len(content) and content[at]:  # an empty block ends a tar
        name, size = _header(content, at)
        start = at + BLOCK
        if content[at + 156] == EXTENDED:
            said = _path(content[start : start + size])
        else:
            yield said or name, start, size
            said = b""
        at = start + -(-size // BLOCK) * BLOCK


def _header(content: bytes, at: int) -> tuple[bytes, int]:
    """Name and size of the member whose header is at `at`."""
    name = content[at : at + 100].partition(b"\0")[0]
    try:
        size = int(content[at + 124 : at + 135], 8)
    except ValueError:
        raise MembersError(f"holds no tar's header at byte {at}") from None
    if content[at + 156] not in TYPES or not 0 <= size <= len(content) - at - BLOCK:
        raise MembersError(f"holds {name.decode(errors='replace')}, no whole regular file")
    if content[at + 345]:  # what a ustar's name is too short for
        name = content[at + 345 : at + 500].partition(b"\0")[0] + b"/" + name
    return name, size


def _path(records: bytes) -> bytes:
    """The name that pax records `length key=value\n` give the next member, or none."""
    found = b""
    while records:
        length, _, record = records.partition(b" ")
        if not length.isdigit() or not int(length):
            raise MembersError("holds pax records without a length")
        key, _, value = record[: int(length) - len(length) - 2].partition(b"=")
        if key == b"path":
            found = value
        records = records[int(length) :]
    return found


def _named(kinds: dict[bytes, list[int]]) -> dict[str, list[int]]:
    return {kind.decode(errors="replace"): where for kind, where in kinds.items()}


def stacked(held: Members, kind: str, content: bytes) -> Array:
    """Every sample's member of a kind, an npy file, as one array [N, ...].

    Raises MembersError if a sample lacks it, or if one is no npy, holds Python objects, or has
    another shape than the rest.
    """
    starts, sizes = held.starts[kind], held.sizes[kind]
    if len(starts) != held.samples:
        raise MembersError(f"holds {len(starts)} {kind} for {held.samples} samples")
    try:
        if len(set(sizes)) == 1 and (array := _alike(content, starts, sizes[0])) is not None:
            return array
        pairs = zip(starts, sizes, strict=True)
        return np.stack([npy.read_array(io.BytesIO(content[a : a + n])) for a, n in pairs])
    except ValueError as error:
        raise MembersError(f"holds {kind} that do not stack: {error}") from error


def _alike(content: bytes, starts: list[int], size: int) -> Array | None:
    """npy files of one size, copied at once if one header describes them all; None otherwise."""
    first = io.BytesIO(content[starts[0] : starts[0] + size])
    if npy.read_magic(first) != (1, 0):
        return None
    shape, fortran, dtype = npy.read_array_header_1_0(first)
    head, body = first.tell(), size - first.tell()
    if fortran or dtype.hasobject or not 0 < body == dtype.itemsize * math.prod(shape):
        return None
    at, every = np.array(starts), np.frombuffer(content, np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view
    heads = windows(every, head)[at]
    if not (heads == heads[0]).all():
        return None
    array = windows(every, body)[at + head].view(dtype).reshape(len(at), *shape)
    return array.astype(dtype.newbyteorder("="), copy=False)
