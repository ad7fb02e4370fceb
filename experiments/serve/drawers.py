"""A published ensemble to draw with, its experts behind actors or few at once on one device."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from datamodules.encoders.encoder import LatentEncoder, TextEncoder
from experiments.sample.pictures import GUARD
from experiments.serve.actors import Actors, ActorShare, cluster
from experiments.stages import publishable
from modules.dispatch import Dispatched
from modules.expert import Expert
from modules.selection import Selection
from modules.text import Text
from modules.weights import paris
from modules.weights.agreement import Described, disagreements
from modules.weights.cards import ExpertCard, RouterCard
from modules.weights.checkpoint import CheckpointError
from modules.weights.published import cards, describe, load_ensemble
from modules.weights.residency import Residents


@dataclass(frozen=True)
class Drawer:
    """A field, the latents' shape, the encoders.  drawing: what one drawing happens within."""

    ensemble: Dispatched
    shape: tuple[int, ...]
    latents: LatentEncoder
    text: TextEncoder
    device: torch.device
    drawing: Callable[[], AbstractContextManager[None]]


def folders(places: Sequence[Path]) -> tuple[list[Path], Path]:
    """The experts' folders by cluster, and the router's. CheckpointError, its lines what does not
    go together, unless they make one ensemble."""
    found = {folder: Described(*describe(folder)) for folder in cards(places)}
    routers = [folder for folder, own in found.items() if isinstance(own.card, RouterCard)]
    if len(routers) != 1:
        raise CheckpointError(f"an ensemble needs one router; there are {len(routers)}")
    experts = {folder: own for folder, own in found.items() if folder != routers[0]}
    if lines := disagreements(experts, found[routers[0]], GUARD, paris.STEPS):
        raise CheckpointError("\n".join(lines))
    return sorted(experts, key=lambda folder: _clusters(experts[folder])), routers[0]


def _clusters(own: Described) -> tuple[int, ...]:
    assert isinstance(own.card, ExpertCard)
    return own.card.clusters


def _check(select: Selection, experts: int) -> None:
    """ValueError for a selection that so many experts cannot serve."""
    try:
        select.weights(torch.full((1, experts), 1 / experts), torch.ones(1))
    except ValueError as error:
        raise ValueError(f"--select: {error}") from error


def _elsewhere(x: Tensor, t: Tensor, c: Text | None) -> Tensor:
    raise NotImplementedError("this expert is behind an actor")


@contextmanager
def behind_actors(
    places: Sequence[Path], select: Selection, place: ActorShare = ActorShare()
) -> Iterator[Drawer]:
    """Each expert and the router in a process of its own. Raises ActorsError, CheckpointError;
    ValueError for a selection that these experts cannot serve."""
    own, router = folders(places)
    _check(select, len(own))
    described = {folder: Described(*describe(folder)) for folder in (*own, router)}
    experts = []
    for folder in own:
        card = described[folder].card
        assert isinstance(card, ExpertCard)
        experts.append(Expert(_elsewhere, card.objective, card.schedule))
    card, shape = described[router].card, described[own[0]].shape.latent
    assert isinstance(card, RouterCard)
    latents, text = map(publishable.read, (card.origin.latents, card.origin.captions))
    with cluster():
        actors = Actors(own, router, place)
        ensemble = Dispatched(
            experts, actors.router, select, card.schedule, guard=GUARD, ask=actors
        )
        yield Drawer(ensemble, shape, latents, text, torch.device("cpu"), actors.drawing)


def here(places: Sequence[Path], select: Selection, resident: int | None) -> Drawer:
    """All in this process, at most `resident` experts on its device at once; None for all.
    ValueError for a selection that these experts cannot serve."""
    own, router = folders(places)
    _check(select, len(own))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bounded = resident is not None and resident < len(own)
    there = torch.device("cpu") if bounded else device
    made, origin = load_ensemble([*own, router], select, GUARD, there)
    posterior = made.router
    if isinstance(posterior, torch.nn.Module):
        posterior = posterior.to(device)
    ask = Residents(made.experts, resident or len(own), device)
    rules = made.path, made.alignment, made.guard
    if bounded:
        ensemble = Dispatched(made.experts, posterior, select, *rules, ask=ask)
    else:
        ensemble = Dispatched(made.experts, posterior, select, *rules)
    latents, text = map(publishable.read, (origin.latents, origin.captions))
    shape = describe(own[0])[1].latent
    return Drawer(ensemble, shape, latents, text, device, nullcontext)
