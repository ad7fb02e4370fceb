"""Paris 2.0: experts of two stages and a router, in the layout on the card of `bageldotcom/paris2`.

The card gives the folders' names: expert1, ..., Router. The rest is not public, so it is assumed:
folders of stages are named by number; they hold FLUX's, Open-Sora 2's or diffusers' names
(`modules.weights.bfl`); the router has our names or Paris 1.0's, with `text_proj` and `image_proj`;
its heads are 64 wide; expert k is its output k - 1; sampling does not shift t.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from modules.blocks import AdaLN, Size
from modules.dit import DiT, TextShape
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.mmdit import MMDiT, MMDiTNetwork
from modules.objectives import Velocity
from modules.positions import positions
from modules.routing import Probabilities, RouterNetwork
from modules.schedules import Linear
from modules.selection import Selection, Top
from modules.weights import bfl
from modules.weights.checkpoint import CheckpointError, require_same
from modules.weights.layouts import Rows, weight_and_bias
from modules.weights.paris import router_layout
from modules.weights.tensors import LazyTensors, open_tensors, shapes

SELECTION = Top(2)
"""The card routes to the top K but gives no K; Paris 1.0's is two."""
PATCH, HEAD = 2, 64
"""The side of a patch in latent pixels, and the width of the router's heads."""


@dataclass(frozen=True)
class Paris2Stage:
    """A stage of training: its number in folder names, and the side of its latents (pixels / 8)."""

    number: int
    side: int


STAGES = (Paris2Stage(2, 32), Paris2Stage(3, 96))


def is_paris2(folder: Path) -> bool:
    """Whether the folder holds Paris 2.0: expert1 and Router. Paris 1.0 begins at expert_0."""
    return bool(_numbered(folder)) and _router_home(folder) is not None


def _numbered(folder: Path) -> list[Path]:
    """The experts' folders, by number."""
    homes = {int(m[1]): p for p in folder.glob("*") if (m := re.fullmatch(r"expert(\d+)", p.name))}
    return [homes[k] for k in sorted(homes)]


def _router_home(folder: Path) -> Path | None:
    return next((p for p in sorted(folder.glob("*")) if p.name in ("Router", "router")), None)


def stage_folder(home: Path, stage: Paris2Stage) -> Path:
    """The folder of a stage below `home`, such as Stage2 or stage_2.

    Raises CheckpointError unless there is exactly one.
    """
    name = re.compile(rf"stage[ _-]?{stage.number}(?!\d)", re.IGNORECASE)
    folders = sorted(p for p in home.glob("*") if p.is_dir() and name.search(p.name))
    if len(folders) != 1:
        there = ", ".join(p.name for p in folders or home.glob("*")) or "nothing"
        no_one = f"{home} has no one folder of stage {stage.number}"
        raise CheckpointError(f"{no_one}; there is: {there}")
    return folders[0]


def open_weights(home: Path) -> LazyTensors:
    """The tensors [...] in master.safetensors, else in model/, else in the folder itself.

    Raises CheckpointError if they cannot be read.
    """
    master, model = home / "master.safetensors", home / "model"
    return open_tensors(master if master.is_file() else model if model.is_dir() else home)


def expert_shape(
    tensors: Mapping[str, Tensor], stage: Paris2Stage, frames: int, text: TextShape, where: str
) -> MMDiT:
    """The shape of an expert, by its tensors [...]. Raises CheckpointError if they do not tell."""
    size, inputs, outputs = bfl.size_of(tensors, where)
    first = inputs > outputs or bfl.COND[0] in tensors
    return MMDiT(size, outputs // PATCH**2, frames, stage.side, PATCH, text, first)


def load_expert(
    tensors: Mapping[str, Tensor],
    shape: MMDiT,
    null: tuple[Tensor, Tensor],
    where: str,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    rotary: bfl.Rotary | None = None,
) -> MMDiTNetwork:
    """One expert's network. Its tensors [...] are read one at a time.

    null: T5's states [L, D] and CLIP's vector [P] of the empty string.
    Raises CheckpointError, naming every key that is missing, unused or of another shape.
    """
    with torch.device("meta"):
        network = MMDiTNetwork(shape)
    ours = network.transformer.state_dict()
    given = bfl.renamed(tensors, shape.size, ours, where, rotary)
    require_same(shapes(given), shapes(ours), where)
    state = {f"transformer.{name}": x.to(device, dtype) for name, x in given.items()}
    state |= {"null_t5": null[0].to(device).float(), "null_clip": null[1].to(device).float()}
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _router_tensors(
    tensors: Mapping[str, Tensor], null: Tensor, where: str
) -> tuple[dict[str, Tensor], int]:
    """A router's tensors by our names, in float32, and its number of blocks."""
    ours = "trunk.patches.weight" in tensors
    block = re.compile(r"trunk\.blocks\.(\d+)\." if ours else r"layers\.(\d+)\.")
    depth = len({m[1] for name in tensors if (m := block.match(name))})
    if ours:
        return {name: x.float() for name, x in tensors.items()}, depth
    layout = router_layout(DiT(Size(HEAD, depth, 1), adaln=AdaLN.ZERO, text=None))
    for own, theirs in (("pooled", "text_proj"), ("frame_feature", "image_proj")):
        if f"{theirs}.weight" in tensors:
            layout |= weight_and_bias(own, theirs)
    given = shapes(tensors)
    known = {rows.source: given.get(rows.source, ()) for rows in layout.values()}
    require_same(given, known, where)
    state = {name: _read(rows, tensors, where).float() for name, rows in layout.items()}
    if "pooled.weight" in state:
        state["null"] = null.float()
    if "frame_feature.weight" in state:
        state["no_frame"] = torch.zeros(state["frame_feature.weight"].shape[1])
    return state, depth


def _read(rows: Rows, tensors: Mapping[str, Tensor], where: str) -> Tensor:
    source = tensors[rows.source]
    if len(source) % rows.groups:
        raise CheckpointError(
            f"{where}: {rows.source} of {len(source)} rows is not {rows.groups} parts"
        )
    return rows.read(source)


def _position_table(
    table: Tensor, shape: DiT, wanted: int | None, where: str
) -> tuple[Tensor, int]:
    """Positions [1, N, d] of `wanted` frames, and that number; None for as many as `table` has.

    A fixed table is computed anew for any size. A trained one serves its own size only; any other
    raises CheckpointError.
    """
    tokens = table.shape[1]
    for side in dict.fromkeys((shape.image, *(stage.side for stage in STAGES))):
        frames, remainder = divmod(tokens * PATCH**2, side**2)
        if remainder or not frames:
            continue
        fixed = positions(side // shape.patch, shape.size.width, frames)
        if torch.allclose(table, fixed, atol=1e-4):
            frames = wanted or frames
            return positions(shape.image // shape.patch, shape.size.width, frames), frames
    frames, remainder = divmod(tokens * PATCH**2, shape.image**2)
    if remainder or not frames or wanted not in (None, frames):
        raise CheckpointError(
            f"{where} was trained on {tokens} tokens, which are not {wanted or 'some'} "
            f"frames of {shape.image} x {shape.image} latents"
        )
    return table, frames


def load_router(
    tensors: Mapping[str, Tensor],
    stage: Paris2Stage,
    frames: int | None,
    null: Tensor,
    where: str,
) -> RouterNetwork:
    """The router's network, from its tensors [...].

    frames: T of the latents; None for as many as its position table has.
    null: CLIP's vector [P] of the empty string.
    Raises CheckpointError, naming every key that differs.
    """
    state, depth = _router_tensors(tensors, null, where)
    try:
        d, channels, patch, _ = state["trunk.patches.weight"].shape
        experts, table = len(state["head.3.weight"]), state["trunk.positions"]
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{where} is no router of clips: {error}") from error
    shape = DiT(Size(d, depth, max(1, d // HEAD)), stage.side, channels, patch, AdaLN.ZERO, None)
    state["trunk.positions"], frames = _position_table(table, shape, frames, where)
    shape = replace(shape, frames=frames)
    widths = {
        name: state[f"{name}.weight"].shape[1] if f"{name}.weight" in state else None
        for name in ("pooled", "frame_feature")
    }
    with torch.device("meta"):
        network = RouterNetwork(shape, experts, widths["pooled"], widths["frame_feature"])
    require_same(shapes(state), shapes(network.state_dict()), where)
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def load(
    folder: Path,
    stage: Paris2Stage,
    null: tuple[Tensor, Tensor],
    frames: int | None = None,
    selection: Selection = SELECTION,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    rotary: bfl.Rotary | None = None,
) -> Ensemble:
    """The ensemble of a downloaded folder: all experts of a stage and the router.

    Args:
        null: T5's states [L, D] and CLIP's vector [P] of the empty string.
        frames: T of the latents; None for as many as the router was trained on.
        rotary: None for Open-Sora's if q, k and v are separate layers, else FLUX's.
    Latents are those of HunyuanVAE, scaled.
    Raises CheckpointError if a file is missing, damaged or of another architecture.
    """
    home, expert_homes = _router_home(folder), _numbered(folder)
    if home is None or not expert_homes:
        raise CheckpointError(f"{folder} has no expert1 and Router")
    router = load_router(open_weights(home), stage, frames, null[1], str(home))
    outputs, count = router.head[-1].out_features, len(expert_homes)
    if outputs != count:
        raise CheckpointError(f"the router of {folder} knows {outputs} experts, not {count}")
    shape = router.trunk.shape
    assert shape.frames is not None
    length, width = null[0].shape
    text, experts = TextShape(length, width, len(null[1])), []
    for expert_home in expert_homes:
        place = stage_folder(expert_home, stage)
        tensors = open_weights(place)
        own = expert_shape(tensors, stage, shape.frames, text, str(place))
        network = load_expert(tensors, own, null, str(place), dtype, device, rotary)
        experts.append(Expert(network, Velocity(), Linear()))
    return Ensemble(experts, Probabilities(router).eval().to(device), selection)
