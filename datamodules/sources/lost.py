"""Shards that are lost: counted and left out, up to a stated share of all.

A download of millions of pictures has gaps in its numbering and files that were cut short. A shard
is lost as a whole, so that what is trained on does not depend on where it was cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from datamodules.sources.reading import read_all
from datamodules.sources.source import (
    LostShardError,
    RecordCounts,
    Records,
    Source,
    SourceError,
    Split,
)

GONE = (404, 410)
"""HTTP's statuses for what is not there."""
ABSENT = (FileNotFoundError, LookupError, StopIteration)
"""What a file system that asks no server finds where there is no file."""


def is_absent(error: BaseException) -> bool:
    """Whether an error of fsspec's says that there is no file; any other is of the way there.

    Over HTTP fsspec raises FileNotFoundError whatever went wrong: its cause tells what did.
    """
    causes = [*_causes(error)]
    statuses = [status for status in map(_status, causes) if status is not None]
    if statuses:
        return statuses[0] in GONE
    return isinstance(error, FileNotFoundError) and all(isinstance(x, ABSENT) for x in causes)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it came of, the newest first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error carries, as aiohttp's, requests' and botocore's do."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore's
        response = response.get("ResponseMetadata", {})
        return response.get("HTTPStatusCode")
    each = ((owner, name) for owner in (error, response) for name in ("status", "status_code"))
    known = (getattr(owner, name, None) for owner, name in each)
    return next((status for status in known if isinstance(status, int)), None)


@dataclass
class LostShards:
    """What is lost of the shards of a split: `lost` has each with its reason.

    total: of all shards.  limit: the largest share of them that may be lost.
    """

    total: int
    limit: float
    lost: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, source: Source, split: Split) -> "LostShards":
        """None yet of a split; a source that states no share may lose none."""
        return cls(len(source.parts(split)), getattr(source, "lost_share", 0.0))

    def add(self, shard: str, reason: str) -> None:
        """Count a shard. SourceError if that is one too many."""
        self.lost.append((shard, reason))
        if len(self.lost) > self.limit * self.total:
            raise SourceError(
                f"{self.line}; at most {self.limit:.1%} may be: fetch them, or state a larger "
                "--scale.data.source.lost_share"
            )

    @property
    def line(self) -> str:
        """How many, and the first with its reason; "" where none is lost."""
        if not self.lost:
            return ""
        count, (shard, reason) = len(self.lost), self.lost[0]
        share = f"{count / self.total:.1%}"
        return f"{count} of {self.total} shards are lost ({share}), the first {shard}: {reason}"


@dataclass(frozen=True)
class _Present:
    """A source without the shards that are lost; `batches` holds a whole shard at a time."""

    source: Source
    lost: LostShards

    def parts(self, split: Split) -> Sequence[str]:
        return self.source.parts(split)

    def batches(
        self, split: Split, part: str, size: int, counts: RecordCounts
    ) -> Iterator[Records]:
        own = RecordCounts()
        try:
            whole = list(self.source.batches(split, part, size, own))
        except LostShardError as error:
            self.lost.add(part, str(error))
            return
        counts.add(own)
        yield from whole


def read_present(source: Source, split: Split) -> Records:
    """A whole split in memory, but for lost shards. SourceError if those are too many."""
    present = _Present(source, LostShards.of(source, split))
    return read_all(present, split)  # type: ignore[arg-type]  # all that it asks for
