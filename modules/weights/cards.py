"""Cards: what a published network is, as JSON that anybody can read, and back into frozen values.

A value becomes {"is": its class, field: ...}. Reading makes no class but those named in KINDS, and
no field is guessed: one that is absent, unknown or of another type is an error that names it.
"""

import dataclasses
from dataclasses import MISSING, dataclass
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

from modules.blocks import AdaLN, Size
from modules.dit import DiT, TextShape
from modules.objectives import X0, Epsilon, Objective, V, Velocity
from modules.schedules import Cosine, Linear, LinearBeta, NicholDhariwal, Schedule
from modules.timesteps import Index, Rounded, SameNoise, Thousand
from modules.weights.checkpoint import CheckpointError


@dataclass(frozen=True)
class Origin:
    """Where a network comes from.

    partition: the clustering whose numbers the clusters are, by name or hash.  experts: K, how many
    clusters it has.  latents, captions: the encoders, by name; "none" where there is none. Networks
    of one ensemble agree in these four.  data: what was trained on, in words.  licence: of the
    weights.
    """

    partition: str
    experts: int
    latents: str
    captions: str
    data: str
    licence: str

    def __post_init__(self) -> None:
        empty = [name for name in _names(self) if not getattr(self, name)]
        if empty:
            raise ValueError(f"a card must say: {', '.join(empty)}")


@dataclass(frozen=True)
class ExpertCard:
    """An expert: what it predicts on which schedule, and of what it has seen `samples` pictures."""

    objective: Objective
    schedule: Schedule
    clusters: tuple[int, ...]
    samples: int
    origin: Origin

    def __post_init__(self) -> None:
        known = set(range(self.origin.experts))
        if not self.clusters or not {*self.clusters} <= known:
            raise ValueError(f"clusters {self.clusters} are not among {self.origin.experts}")


@dataclass(frozen=True)
class RouterCard:
    """A router: the path its inputs lay on, the caption vector's width, its temperature."""

    schedule: Schedule
    pooled: int | None
    temperature: float
    origin: Origin


KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        *(Origin, ExpertCard, RouterCard),
        *(X0, Epsilon, Velocity, V),
        *(Linear, Cosine, NicholDhariwal, LinearBeta),
        *(DiT, Size, TextShape, AdaLN),
        *(Thousand, Rounded, Index, SameNoise),
    )
}


def encode(value: Any) -> Any:
    """A frozen value as JSON. TypeError for what is not in KINDS, nor a number, string or tuple."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    name = type(value).__name__
    if KINDS.get(name) is not type(value):
        raise TypeError(f"{value!r} of type {name} has no place on a card")
    if isinstance(value, Enum):
        return {"is": name, "name": value.name}
    return {"is": name, **{field: encode(getattr(value, field)) for field in _names(value)}}


def _names(value: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(value)]


def decode(form: Any, where: str) -> Any:
    """The value that `encode` wrote. CheckpointError, naming `where`, if it is none."""
    if isinstance(form, list):
        return tuple(decode(item, where) for item in form)
    if not isinstance(form, dict):
        return form
    kind = KINDS.get(str(form.get("is")))
    if kind is None:
        raise CheckpointError(f"{where}: no such kind of value as {form.get('is')!r}")
    given = {name: decode(x, where) for name, x in form.items() if name != "is"}
    if issubclass(kind, Enum):
        if given.keys() != {"name"} or given["name"] not in kind.__members__:
            raise CheckpointError(f"{where}: {given} names no {kind.__name__}")
        return kind[given["name"]]
    _check(kind, given, where)
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{where}: {kind.__name__}: {error}") from error


def _check(kind: type, given: dict[str, Any], where: str) -> None:
    """Every field there and of its type, but for those that came when there were cards."""
    fields, hints = {f.name: f for f in dataclasses.fields(kind)}, get_type_hints(kind)
    later = {n for n, f in fields.items() if f.metadata.get("later") and f.default is not MISSING}
    absent, unknown = fields.keys() - later - given.keys(), given.keys() - fields.keys()
    if absent or unknown:
        said = f"lacks {sorted(absent)}, does not know {sorted(unknown)}"
        raise CheckpointError(f"{where}: {kind.__name__} {said}")
    wrong = [f"{name} = {x!r}" for name, x in given.items() if not _fits(x, hints[name])]
    if wrong:
        raise CheckpointError(f"{where}: of another type, {kind.__name__}: {', '.join(wrong)}")


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(x, get_args(hint)[0]) for x in value)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int if hint is int else (int, float) if hint is float else hint)
