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


LARGEST = {
    **{
        "image": 65_536,
        "patch": 65_536,
        "width": 16_384,
        "depth": 512,
        "heads": 1024,
        "tokens": 1_048_576,
        "channels": 1024,
    },
    **{"frequencies": 65_536, "text length": 65_536, "text width": 65_536, "text pooled": 65_536},
    **{"experts": 4096, "pooled": 65_536},
}
"""Of what a card may say of a network that is built here."""
ATTENTION = 4
"""Matrices [width, width] in each block, at least: queries, keys, values and what follows."""


def outsized(card: ExpertCard | RouterCard, shape: DiT, parameters: Any, held: int) -> str | None:
    """Why no network of these sizes is to be built, or None; told by the numbers alone.

    parameters: as the card says.  held: bytes of the file of weights, one a parameter at least.
    """
    size, text = shape.size, shape.text
    numbers = {"width": size.width, "depth": size.depth, "heads": size.heads}
    numbers |= {"image": shape.image, "patch": shape.patch, "tokens": shape.tokens}
    numbers |= {
        "channels": shape.channels,
        "frequencies": shape.frequencies,
        "experts": card.origin.experts,
    }
    if text is not None:
        numbers |= {"text length": text.length, "text width": text.width}
        numbers |= {"text pooled": text.pooled}
    if isinstance(card, RouterCard) and card.pooled is not None:
        numbers["pooled"] = card.pooled
    for name, number in numbers.items():
        if not 1 <= number <= LARGEST[name]:
            return f"{name} {number} does not lie between 1 and {LARGEST[name]}"
    least = ATTENTION * size.depth * size.width**2
    if not isinstance(parameters, int) or not least <= parameters <= held:
        return (
            f"{parameters} parameters on the card, {least} in its blocks at least, and {held} "
            "bytes of weights do not go together"
        )
    return None


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
    except ZeroDivisionError as error:  # a patch of 0
        raise CheckpointError(f"{where} divides by 0") from error
    except RecursionError as error:
        raise CheckpointError(f"{where} is nested too deeply to be a card") from error
