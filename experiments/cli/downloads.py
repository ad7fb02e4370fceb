"""Which data and weights of others stages ask for in vain, known before anything is run."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from datamodules.encoders import hub
from datamodules.sources.source import SourceError
from experiments.pipeline.stage import Stage
from metrics.networks import weights

ABSENT = (hub.HubWeightsError, weights.WeightsFileError, SourceError)


@runtime_checkable
class Downloaded(Protocol):
    """A value that stands for data or weights of others. locate: an error, in a line, without."""

    def locate(self) -> object: ...


def missing(stages: Sequence[Stage]) -> list[str]:
    """What to download, a line each, for these stages themselves."""
    lines: dict[str, None] = {}
    for value in dict.fromkeys(value for stage in stages for value in _values(stage)):
        try:
            value.locate()
        except ABSENT as error:
            lines[str(error)] = None
    return list(lines)


def require(stages: Sequence[Stage]) -> None:
    """HubWeightsError, before anything is made, that names all that has to be there first."""
    if absent := missing(stages):
        raise hub.HubWeightsError(" | ".join(absent))


def _values(value: Any) -> Iterator[Downloaded]:
    """The value, if it is downloaded, and those among its fields, at any depth; other stages speak
    for themselves."""
    if isinstance(value, Downloaded):
        yield value
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        for item in held if isinstance(held, tuple) else (held,):
            plain = dataclasses.is_dataclass(item) and not isinstance(item, Stage | type)
            if plain or isinstance(item, Downloaded):
                yield from _values(item)
