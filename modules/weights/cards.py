"""Cards: what a published network is, as JSON that anybody can read, and back into frozen values.

Reading makes no class but those in KINDS. A field that is absent has its default; one that has
none, is unknown or is of another type is an error that names it.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from modules.blocks import AdaLN, Size
from modules.codec import Form, decode, encode
from modules.dit import DiT, TextShape
from modules.objectives import X0, Epsilon, Objective, V, Velocity
from modules.schedules import Cosine, Linear, LinearBeta, NicholDhariwal, Schedule
from modules.timesteps import Index, Rounded, SameNoise, Thousand
from modules.weights.checkpoint import CheckpointError


@dataclass(frozen=True)
class Origin:
    """Where a network comes from.

    partition: the clustering whose numbers the clusters are, by name or hash.  experts: K, how many
    clusters it has.  latents, captions: the encoders, as the codec writes them, or in words where
    there is none or it is nobody else's. Networks of one ensemble agree in these four.  data: what
    was trained on, likewise.  licence: of the weights.
    """

    partition: str
    experts: int
    latents: Form | str = field(metadata={"form": True})
    captions: Form | str = field(metadata={"form": True})
    data: Form | str = field(metadata={"form": True})
    licence: str

    def __post_init__(self) -> None:
        empty = [f.name for f in fields(self) if not getattr(self, f.name)]
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


KINDS = (
    *(Origin, ExpertCard, RouterCard),
    *(X0, Epsilon, Velocity, V),
    *(Linear, Cosine, NicholDhariwal, LinearBeta),
    *(DiT, Size, TextShape, AdaLN),
    *(Thousand, Rounded, Index, SameNoise),
)


def written(value: Any) -> Any:
    """A frozen value as a card has it. TypeError for one that would not come back from there."""
    form = encode(value)
    try:
        back = decode(form, KINDS, "here")
    except ValueError as error:
        raise TypeError(f"{value!r} has no place on a card: {error}") from error
    if back != value:
        raise TypeError(f"{value!r} has no place on a card: it would come back as {back!r}")
    return form


def read(form: Any, where: str) -> Any:
    """The value that `written` wrote. CheckpointError, naming `where`, if it is none."""
    try:
        return decode(form, KINDS, where)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
