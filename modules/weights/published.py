"""Networks as folders to publish: one expert or router each, `card.json` and `model.safetensors`.

The same kind of layout as Paris 1.0's, with what its cards leave out: objective, schedule, cluster,
time map. Whoever has folders of one partition from several places has an ensemble.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from modules.dit import DiT, DiTNetwork, count_parameters
from modules.ensemble import Ensemble, Uniform
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import OFF
from modules.routing import Probabilities, RouterNetwork, Tempered
from modules.selection import Only, Selection
from modules.weights.cards import ExpertCard, Origin, RouterCard, outsized, read, written
from modules.weights.checkpoint import CheckpointError, map_weights, save_weights

CARD, WEIGHTS, FORMAT = "card.json", "model.safetensors", 1


@dataclass(frozen=True)
class PublishedExpert:
    """An expert from disk, with what its card says."""

    card: ExpertCard
    network: DiTNetwork

    def expert(self) -> Expert:
        return Expert(self.network, self.card.objective, self.card.schedule)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _save(folder: Path, network: nn.Module, shape: DiT, card: ExpertCard | RouterCard) -> None:
    """The weights, then the card: a folder without a card holds no network yet.

    FileExistsError if one is there: what was published is not changed behind its name.
    """
    if (folder / CARD).exists():
        raise FileExistsError(f"{folder} already holds a published network")
    form = {"format": FORMAT, "card": written(card), "network": written(shape)}
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(network, folder / WEIGHTS)
    form |= {"parameters": count_parameters(network), "sha256": _sha256(folder / WEIGHTS)}
    (folder / CARD).write_text(json.dumps(form, indent=1) + "\n")


def save_expert(folder: Path, network: DiTNetwork, card: ExpertCard) -> None:
    """Publish an expert in a folder of its own. FileExistsError if there is one already."""
    _save(folder, network, network.shape, card)


def save_router(folder: Path, network: RouterNetwork, card: RouterCard) -> None:
    """Publish a router. ValueError if its card gives another K or caption width than it has."""
    pooled = None if network.pooled is None else network.pooled.in_features
    experts = network.head[-1].out_features
    if (experts, pooled) != (card.origin.experts, card.pooled):
        raise ValueError(f"the router is of {experts} experts, pooled {pooled}; its card differs")
    _save(folder, network, network.trunk.shape, card)


def _read(folder: Path, *kinds: type) -> tuple[Any, DiT, dict[str, Any]]:
    """The card, the shape, and the whole of card.json."""
    path = folder / CARD
    try:
        form = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    except RecursionError as error:
        raise CheckpointError(f"{path} is nested too deeply to be a card") from error
    keys = {"format", "card", "network", "parameters", "sha256"}
    if not isinstance(form, dict) or form.keys() != keys or form["format"] != FORMAT:
        raise CheckpointError(
            f"{path} is no card of format {FORMAT} with {', '.join(sorted(keys))}"
        )
    card, shape = read(form["card"], str(path)), read(form["network"], str(path))
    if not isinstance(card, kinds) or not isinstance(shape, DiT):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise CheckpointError(f"{path} is the card of a {type(card).__name__}, not {wanted}")
    return card, shape, form


def cards(places: Sequence[Path]) -> dict[Path, ExpertCard | RouterCard]:
    """The cards of the networks in these folders, or one level below, by folder.

    Raises CheckpointError for a card that cannot be read, or a folder without any.
    """
    by_folder: dict[Path, ExpertCard | RouterCard] = {}
    for place in places:
        own = [place] if (place / CARD).exists() else [p.parent for p in place.glob(f"*/{CARD}")]
        if not own:
            raise CheckpointError(f"no network is published in {place}: no {CARD} there or below")
        by_folder |= {folder: _read(folder, ExpertCard, RouterCard)[0] for folder in sorted(own)}
    return by_folder


def describe(folder: Path) -> tuple[ExpertCard | RouterCard, DiT]:
    """The card of a network and its shape; no weight is read. CheckpointError as for `cards`."""
    card, shape, _ = _read(folder, ExpertCard, RouterCard)
    return card, shape


def _buildable(folder: Path, *kinds: type) -> tuple[Any, DiT, dict[str, Any]]:
    """As `_read`, of a network that can be built. CheckpointError for absurd sizes."""
    card, shape, form = _read(folder, *kinds)
    weights = folder / WEIGHTS
    held = weights.stat().st_size if weights.is_file() else 0
    if held and (reason := outsized(card, shape, form["parameters"], held)):
        raise CheckpointError(f"{folder / CARD} is refused: {reason}")
    return card, shape, form


def _fill(network: nn.Module, folder: Path, form: dict[str, Any]) -> None:
    """Map the folder's weights into a network built without storage, if they are the card's."""
    if (counted := count_parameters(network)) != form["parameters"]:
        raise CheckpointError(
            f"{folder}: {counted} parameters, but {form['parameters']} on the card"
        )
    path = folder / WEIGHTS
    if not path.exists() or _sha256(path) != form["sha256"]:
        raise CheckpointError(f"{path} is not the file of which its card has the hash")
    map_weights(network, path)
    network.eval().requires_grad_(False)


def load_expert(folder: Path) -> PublishedExpert:
    """CheckpointError if a file is damaged, absent, or of another network than its card says."""
    card, shape, form = _buildable(folder, ExpertCard)
    with torch.device("meta"):
        network = DiTNetwork(shape)
    _fill(network, folder, form)
    return PublishedExpert(card, network)


def load_router(folder: Path) -> tuple[RouterCard, nn.Module]:
    """The card, and p(k | x_t, t, c) at its temperature. CheckpointError as for an expert."""
    card, shape, form = _buildable(folder, RouterCard)
    with torch.device("meta"):
        network = RouterNetwork(shape, card.origin.experts, card.pooled)
    _fill(network, folder, form)
    p = Probabilities(network)
    return card, (p if card.temperature == 1 else Tempered(p, card.temperature)).eval()


def _shared(origin: Origin) -> Origin:
    """What all networks of an ensemble agree in."""
    return replace(origin, data="any", licence="any")


def _in_order(published: Sequence[PublishedExpert], router: RouterCard) -> list[PublishedExpert]:
    """The experts by cluster. CheckpointError unless each of the router's has exactly one."""
    for each in published:
        if _shared(each.card.origin) != _shared(router.origin):
            raise CheckpointError(
                f"{each.card.origin} does not go with a router of {router.origin}"
            )
    shapes = {(s.image, s.channels, s.text) for s in (each.network.shape for each in published)}
    if len(shapes) > 1:
        raise CheckpointError(f"the experts read different latents or captions: {shapes}")
    clusters = [each.card.clusters for each in published]
    if sorted(clusters) != [(k,) for k in range(router.origin.experts)]:
        raise CheckpointError(
            f"the router knows {router.origin.experts} clusters, each of one expert; "
            f"there are experts of {sorted(clusters)}"
        )
    return sorted(published, key=lambda each: each.card.clusters)


def load_ensemble(
    places: Sequence[Path],
    selection: Selection,
    guard: Guard = OFF,
    device: torch.device | str = "cpu",
) -> tuple[Ensemble, Origin]:
    """An ensemble of published experts on their router's path, and their common origin.

    places: folders of networks, or folders of such folders, in any order. One expert without a
    router is sampled alone.
    Raises CheckpointError if a network cannot be read, or unless there is one router and one expert
    for each of its clusters, all with the same encoders.
    """
    by_folder = cards(places)
    routers = [folder for folder, card in by_folder.items() if isinstance(card, RouterCard)]
    published = [load_expert(folder) for folder in by_folder if folder not in routers]
    if len(published) == 1 and not routers:
        alone = published[0].expert()
        published[0].network.to(device)
        return Ensemble([alone], Uniform(1), Only(0), guard=guard), published[0].card.origin
    if len(routers) != 1:
        names = ", ".join(map(str, routers)) or "none"
        raise CheckpointError(f"{len(published)} experts need one router; there is: {names}")
    card, p = load_router(routers[0])
    published = _in_order(published, card)
    for each in published:
        each.network.to(device)
    experts = [each.expert() for each in published]
    return Ensemble(experts, p.to(device), selection, card.schedule, guard=guard), card.origin
