"""Which data and weights of others stages ask for in vain, known before anything is run."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from datamodules import hub
from datamodules.sources import SourceError
from experiments.identity import Stage
from metrics import weights

ABSENT = (hub.WeightsError, weights.WeightsError, SourceError)


@runtime_checkable
class Downloaded(Protocol):
    """A value that stands for data or weights of others. locate: an error, in a line, without."""

    def locate(self) -> object: ...


def missing(stages: Sequence[Stage]) -> list[str]:
    """What to download, a line each, for these stages themselves."""
    values = {value: None for stage in stages for value in (stage, *_values(stage))}
    lines: dict[str, None] = {}
    for value in values:
        try:
            if isinstance(value, Downloaded):
                value.locate()
        except ABSENT as error:
            lines[str(error)] = None
    return list(lines)


def require(stages: Sequence[Stage]) -> None:
    """WeightsError, before anything is made, that names all that has to be there first."""
    if absent := missing(stages):
        raise hub.WeightsError(" | ".join(absent))


def _values(value: Any) -> Iterator[Downloaded]:
    """The downloaded values among the fields, at any depth; other stages speak for themselves."""
    for field in dataclasses.fields(value):
        held = getattr(value, field.name)
        for item in held if isinstance(held, tuple) else (held,):
            if isinstance(item, Downloaded):
                yield item
            elif dataclasses.is_dataclass(item) and not isinstance(item, Stage | type):
                yield from _values(item)
