"""Which data and weights of others stages ask for in vain, known before anything is run."""

import dataclasses
import functools
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
    if _downloaded(value):
        yield value
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        for item in held if isinstance(held, tuple) else (held,):
            plain = dataclasses.is_dataclass(item) and not isinstance(item, Stage | type)
            if plain or _downloaded(item):
                yield from _values(item)


def _downloaded(value: Any) -> bool:
    kind: type = type(value)
    return _downloaded_kind(kind)


@functools.cache
def _downloaded_kind(kind: type) -> bool:
    """To ask each value of thousands of stages takes a second: a protocol looks its own methods up
    anew each time."""
    return issubclass(kind, Downloaded)
