"""Whether published networks from several places make one ensemble, read off their cards alone."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from modules.dit import DiT
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guard import Guard
from modules.selection import Full
from modules.solvers import Euler, check_asked
from modules.text import Text
from modules.weights.cards import ExpertCard, RouterCard

SHARED = {
    "partition": "clusters",
    "experts": "number of clusters",
    "latents": "latent space",
    "captions": "text encoder",
}
"""What all networks of an ensemble have alike, a card's field and what a person calls it."""


@dataclass(frozen=True)
class Described:
    """A published network as its card has it."""

    card: ExpertCard | RouterCard
    shape: DiT


def disagreements(
    experts: Mapping[Path, Described], router: Described, guard: Guard, steps: int
) -> list[str]:
    """One line for each thing in which the experts do not go with the router or each other.

    guard, steps: under which they shall be asked along the router's path.
    """
    assert isinstance(router.card, RouterCard)
    lines = [line for folder, own in experts.items() for line in _of_one(folder, own, router)]
    for folder, own in experts.items():
        assert isinstance(own.card, ExpertCard)
        if (refusal := _refusal(own.card, router.card, guard, steps)) is not None:
            lines.append(f"{folder}: path: {refusal}")
    return [*lines, *_of_clusters(experts, router.card.origin.experts)]


def _of_one(folder: Path, own: Described, router: Described) -> Iterator[str]:
    """The lines of one expert beside the router."""
    for field, name in SHARED.items():
        mine, its = (getattr(x.card.origin, field) for x in (own, router))
        if mine != its:
            yield f"{folder}: {name}: {_short(mine)}, the router's is {_short(its)}"
    mine, its = (x.shape.latent for x in (own, router))
    if mine != its:
        yield f"{folder}: latent: {mine}, the router's is {its}"


def _of_clusters(experts: Mapping[Path, Described], k: int) -> Iterator[str]:
    cards = {folder: own.card for folder, own in experts.items()}
    clusters = {f: card.clusters for f, card in cards.items() if isinstance(card, ExpertCard)}
    for folder, own in clusters.items():
        if len(own) != 1:
            yield f"{folder}: clusters: of {len(own)} of them, {own}, where an expert has one"
    counts = Counter(c for own in clusters.values() if len(own) == 1 for c in own)
    for cluster in range(k):
        if not counts[cluster]:
            yield f"clusters: no expert of cluster {cluster}"
        elif counts[cluster] > 1:
            names = ", ".join(str(f) for f, own in clusters.items() if own == (cluster,))
            yield f"clusters: {counts[cluster]} experts of cluster {cluster}: {names}"


def _refusal(card: ExpertCard, router: RouterCard, guard: Guard, steps: int) -> str | None:
    """Why an expert cannot be asked along the router's path; None where it can."""
    expert = Expert(_unasked, card.objective, card.schedule)
    alone = Ensemble([expert], _unasked, Full(), router.schedule, guard=guard)
    try:
        check_asked(alone, Euler(), steps)
    except ValueError as error:
        return str(error)
    return None


def _unasked(x: Tensor, t: Tensor, c: Text | None) -> Tensor:
    raise NotImplementedError("only a card is read")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
