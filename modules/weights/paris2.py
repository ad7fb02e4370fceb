"""Paris 2.0: experts of two stages and a router, in the layout on the card of `bageldotcom/paris2`.

Open are the folders' names, the card's own: expert1 … beside Router. Nobody could read the rest, so
that it is assumed here [?]: folders of stages by their number; FLUX's names, Open-Sora 2's or
diffusers' in them (`modules.weights.bfl`); a router with our names or those of Paris 1.0,
`text_proj` and `image_proj` beside them, its heads 64 wide, expert k its output k - 1; no shift of
t on sampling.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from modules.blocks import AdaLN, Size
from modules.dit import DiT, TextShape, positions
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.mmdit import MMDiT, MMDiTNetwork
from modules.objectives import Velocity
from modules.routing import Probabilities, RouterNetwork
from modules.schedules import Linear
from modules.selection import Selection, Top
from modules.weights import bfl
from modules.weights.bfl import Rotary
from modules.weights.checkpoint import CheckpointError, require_same
from modules.weights.layouts import Part, both
from modules.weights.paris import router_layout
from modules.weights.tensors import Tensors, shapes, stored

SELECTION = Top(2)
"""The card routes to the top K and gives no K; Paris 1.0's is two."""
PATCH, HEAD = 2, 64
"""Of tokens, and of the router's heads."""


@dataclass(frozen=True)
class Stage:
    """number: in the folders' names.  side: of its latents, an eighth of its pixels."""

    number: int
    side: int


STAGES = (Stage(2, 32), Stage(3, 96))


def is_here(folder: Path) -> bool:
    """Whether it is a folder of Paris 2.0's: expert1 and Router. Paris 1.0's begin at expert_0."""
    return bool(_numbered(folder)) and _router_home(folder) is not None


def _numbered(folder: Path) -> list[Path]:
    """The experts' folders, by number."""
    found = {int(m[1]): p for p in folder.glob("*") if (m := re.fullmatch(r"expert(\d+)", p.name))}
    return [found[k] for k in sorted(found)]


def _router_home(folder: Path) -> Path | None:
    return next((p for p in sorted(folder.glob("*")) if p.name in ("Router", "router")), None)


def of_stage(home: Path, stage: Stage) -> Path:
    """The one folder below `home` of that stage: Stage2, stage_2, …  CheckpointError otherwise."""
    name = re.compile(rf"stage[ _-]?{stage.number}(?!\d)", re.IGNORECASE)
    found = sorted(p for p in home.glob("*") if p.is_dir() and name.search(p.name))
    if len(found) != 1:
        said = ", ".join(p.name for p in found or home.glob("*")) or "nothing"
        raise CheckpointError(f"{home} has no one folder of stage {stage.number}; there is: {said}")
    return found[0]


def weights(home: Path) -> Tensors:
    """master.safetensors, or the parts in model/, or what else lies there alone."""
    master, model = home / "master.safetensors", home / "model"
    return stored(master if master.is_file() else model if model.is_dir() else home)


def expert_shape(
    found: Mapping[str, Tensor], stage: Stage, frames: int, text: TextShape, where: str
) -> MMDiT:
    """As the tensors have it. CheckpointError if they do not say."""
    size, read, out = bfl.size_of(found, where)
    given = read > out or bfl.COND[0] in found
    return MMDiT(size, out // PATCH**2, frames, stage.side, PATCH, text, given)


def load_expert(
    found: Mapping[str, Tensor],
    shape: MMDiT,
    null: tuple[Tensor, Tensor],
    where: str,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    rotary: Rotary | None = None,
) -> MMDiTNetwork:
    """The network of one expert's weights, which are read one tensor at a time.

    null: T5's states [L, D] and CLIP's vector [P] of the empty string.  CheckpointError naming
    every key that is missing, unused or of another shape.
    """
    with torch.device("meta"):
        network = MMDiTNetwork(shape)
    mine = network.transformer.state_dict()
    ours = bfl.renamed(found, shape.size, mine, where, rotary)
    require_same(shapes(ours), shapes(mine), where)
    state = {f"transformer.{name}": x.to(device, dtype) for name, x in ours.items()}
    state |= {"null_t5": null[0].to(device).float(), "null_clip": null[1].to(device).float()}
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _router_tensors(
    found: Mapping[str, Tensor], null: Tensor, where: str
) -> tuple[dict[str, Tensor], int]:
    """A router's by our names, in float32, and its number of blocks."""
    ours = "trunk.patches.weight" in found
    block = re.compile(r"trunk\.blocks\.(\d+)\." if ours else r"layers\.(\d+)\.")
    depth = len({m[1] for name in found if (m := block.match(name))})
    if ours:
        return {name: x.float() for name, x in found.items()}, depth
    layout = router_layout(DiT(Size(HEAD, depth, 1), adaln=AdaLN.ZERO, text=None))
    for own, theirs in (("pooled", "text_proj"), ("look", "image_proj")):
        if f"{theirs}.weight" in found:
            layout |= both(own, theirs)
    there = shapes(found)
    require_same(there, {part.of: there.get(part.of, ()) for part in layout.values()}, where)
    state = {name: _rows(part, found, where).float() for name, part in layout.items()}
    if "pooled.weight" in state:
        state["null"] = null.float()
    if "look.weight" in state:
        state["unseen"] = torch.zeros(state["look.weight"].shape[1])
    return state, depth


def _rows(part: Part, found: Mapping[str, Tensor], where: str) -> Tensor:
    whole = found[part.of]
    if len(whole) % part.groups:
        raise CheckpointError(f"{where}: {part.of} of {len(whole)} rows is not {part.groups} parts")
    return part.read(whole)


def _table(found: Tensor, shape: DiT, asked: int | None, where: str) -> tuple[Tensor, int]:
    """The positions of `asked` frames, or as many as `found` is for, and how many these are.

    A formula's serve any size; those that were trained their own, else CheckpointError.
    """
    tokens = found.shape[1]
    for side in dict.fromkeys((shape.image, *(stage.side for stage in STAGES))):
        frames, over = divmod(tokens * PATCH**2, side**2)
        if over or not frames:
            continue
        same = positions(replace(shape, image=side, frames=frames))
        if torch.allclose(found, same, atol=1e-4):
            frames = asked or frames
            return positions(replace(shape, frames=frames)), frames
    frames, over = divmod(tokens * PATCH**2, shape.image**2)
    if over or not frames or asked not in (None, frames):
        raise CheckpointError(
            f"{where} was trained on {tokens} tokens, which are not {asked or 'some'} "
            f"frames of {shape.image} x {shape.image} latents"
        )
    return found, frames


def load_router(
    found: Mapping[str, Tensor],
    stage: Stage,
    frames: int | None,
    null: Tensor,
    where: str,
) -> RouterNetwork:
    """The router's network over latents of `frames` frames; none for as many as its table is for.

    null [P]: CLIP's vector of the empty string.  CheckpointError naming every differing key.
    """
    state, depth = _router_tensors(found, null, where)
    try:
        d, channels, patch, _ = state["trunk.patches.weight"].shape
        experts, table = len(state["head.3.weight"]), state["trunk.positions"]
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{where} is no router of clips: {error}") from error
    shape = DiT(Size(d, depth, max(1, d // HEAD)), stage.side, channels, patch, AdaLN.ZERO, None)
    state["trunk.positions"], frames = _table(table, shape, frames, where)
    shape = replace(shape, frames=frames)
    reads = {
        name: state[f"{name}.weight"].shape[1] if f"{name}.weight" in state else None
        for name in ("pooled", "look")
    }
    with torch.device("meta"):
        network = RouterNetwork(shape, experts, reads["pooled"], reads["look"])
    require_same(shapes(state), shapes(network.state_dict()), where)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def load(
    folder: Path,
    stage: Stage,
    null: tuple[Tensor, Tensor],
    frames: int | None = None,
    selection: Selection = SELECTION,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    rotary: Rotary | None = None,
) -> Ensemble:
    """All experts of a stage and the router. Their latents are those of HunyuanVAE, scaled.

    null: T5's states [L, D] and CLIP's vector [P] of the empty string.  frames: of the latents; as
    many as the router was trained on, if none are given.  rotary: as Open-Sora's if q, k and v are
    apart, as FLUX's if not, unless given.  CheckpointError if a file is missing, damaged or of
    another architecture.
    """
    home, places = _router_home(folder), _numbered(folder)
    if home is None or not places:
        raise CheckpointError(f"{folder} has no expert1 and Router")
    router = load_router(weights(home), stage, frames, null[1], str(home))
    known = router.head[-1].out_features
    if known != len(places):
        raise CheckpointError(f"the router of {folder} knows {known} experts, not {len(places)}")
    shape = router.trunk.shape
    assert shape.frames is not None
    length, width = null[0].shape
    text, experts = TextShape(length, width, len(null[1])), []
    for place in places:
        at = of_stage(place, stage)
        found = weights(at)
        own = expert_shape(found, stage, shape.frames, text, str(at))
        network = load_expert(found, own, null, str(at), dtype, device, rotary)
        experts.append(Expert(network, Velocity(), Linear()))
    return Ensemble(experts, Probabilities(router).eval().to(device), selection)
