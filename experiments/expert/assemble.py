"""Experts and a router from several places as one folder that draws, once their cards agree."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from experiments.publish import whole
from experiments.sample.pictures import GUARD, read
from experiments.stages import publishable
from modules.selection import Full
from modules.weights import paris
from modules.weights.agreement import Described, disagreements
from modules.weights.cards import ExpertCard, RouterCard
from modules.weights.checkpoint import CheckpointError
from modules.weights.published import CARD, WEIGHTS, describe, load_ensemble


def disagree(experts: Sequence[Path], router: Path) -> list[str]:
    """What does not go together, a line each. CheckpointError for a card that cannot be read, or
    that is another kind of network's."""
    described = {folder: Described(*describe(folder)) for folder in (*experts, router)}
    for folder, own in described.items():
        wanted = RouterCard if folder == router else ExpertCard
        if not isinstance(own.card, wanted):
            raise CheckpointError(f"{folder} is not the folder of {wanted.__name__[:-4].lower()}")
    only = {folder: own for folder, own in described.items() if folder != router}
    return disagreements(only, described[router], GUARD, paris.STEPS)


def write(experts: Sequence[Path], router: Path, out: Path, prompts: Sequence[str] = ()) -> None:
    """expert_<k>/ and router/ in one folder. Nothing is written after an error: FileExistsError if
    it is there; CheckpointError if weights are damaged or are not their card's; ValueError for a
    prompt that the captions' encoder does not take."""
    if out.exists():
        raise FileExistsError(f"{out} is there already, and nothing is published over")
    if prompts:
        captions = describe(router)[0].origin.captions
        read(publishable.read(captions), prompts)
    load_ensemble([*experts, router], Full(), GUARD)
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as folder:
        for place in (*experts, router):
            card, _ = describe(place)
            k = f"expert_{card.clusters[0]}" if isinstance(card, ExpertCard) else "router"
            (folder / k).mkdir(parents=True)
            for name in (WEIGHTS, CARD):
                shutil.copyfile(place / name, folder / k / name)
