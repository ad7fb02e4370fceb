"""Paris 1.0: eight flow-matching experts and a router, in the layout of `bageldotcom/paris`.

Names and conventions are those of a public port of the weights, which no file of theirs states: a
convention is a field of a frozen value, so that another reading is another value. A router's heads
are 64 wide and its head is Linear, SiLU, LayerNorm, Linear: no tensor's shape says otherwise.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from modules.blocks import AdaLN, Size
from modules.dit import B, DiT, DiTNetwork, TextShape
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.objectives import Velocity
from modules.routing import Probabilities, RouterNetwork
from modules.schedules import Linear
from modules.selection import Selection, Top
from modules.timesteps import Thousand, TimeMap
from modules.weights import layouts
from modules.weights.checkpoint import CheckpointError
from modules.weights.layouts import FINAL_SHIFT_FIRST, SHIFT_FIRST, Layout, Part, both

WEIGHTS, ROUTER_WEIGHTS = "diffusion_pytorch_model.safetensors", "pytorch_model.safetensors"
STEPS, GUIDANCE, SELECTION = 50, 7.5, Top(2)
"""How it is sampled: Euler, classifier-free guidance, two experts with weights renormalised."""


@dataclass(frozen=True)
class Conventions:
    """What the tensors do not say of themselves.

    six, two: where Eq. 16's scale, shift, gate and the final layer's scale, shift lie among theirs;
    rows are put in our order on loading.  cross_norm: whether cross-attention reads LN(h).  time:
    the number embedded.
    """

    six: tuple[int, ...] = SHIFT_FIRST
    two: tuple[int, ...] = FINAL_SHIFT_FIRST
    cross_norm: bool = False
    time: TimeMap = Thousand()


PARIS_1 = Conventions()
ROUTER = DiT(B, adaln=AdaLN.ZERO, text=None)

EXPERT_SAYS = {
    "model_type": "dit_expert",
    "mlp_ratio": 4.0,
    "use_text_conditioning": True,
    "use_class_conditioning": False,
    "use_dit_time_embed": True,
    "use_adaln_single": True,
}
HUB_SAYS = {"expert_architecture": "dit", "router_architecture": "dit", "use_latents": True}


def _attention(ours: str, theirs: str) -> Layout:
    """torch's MultiheadAttention, whose one input projection holds q, k, v."""
    found = both(f"{ours}.out", f"{theirs}.out_proj")
    for kind in ("weight", "bias"):
        whole = f"{theirs}.in_proj_{kind}"
        found[f"{ours}.query.{kind}"] = Part(whole, 3, (0,))
        found[f"{ours}.key_value.{kind}"] = Part(whole, 3, (1, 2))
    return found


def _trunk() -> Layout:
    return {
        **both("trunk.patches", "patch_embed"),
        "trunk.positions": Part("pos_embed"),
        **both("trunk.time.0", "time_embed.mlp.0"),
        **both("trunk.time.2", "time_embed.mlp.2"),
    }


def _block(i: int) -> Layout:
    ours, theirs = f"trunk.blocks.{i}", f"layers.{i}"
    return {
        **_attention(f"{ours}.attention", f"{theirs}.attn"),
        **both(f"{ours}.mlp.0", f"{theirs}.mlp.0"),
        **both(f"{ours}.mlp.2", f"{theirs}.mlp.2"),
    }


def expert_layout(shape: DiT, conventions: Conventions = PARIS_1) -> Layout:
    """All of an expert but `null`."""
    found = _trunk() | both("trunk.global_mlp", "t_block.1", 6, conventions.six)
    for i in range(shape.size.depth):
        cross = _attention(f"trunk.blocks.{i}.cross", f"layers.{i}.cross_attn")
        table = Part(f"layers.{i}.scale_shift_table", 6, conventions.six)
        found |= _block(i) | cross | {f"trunk.blocks.{i}.modulation.table": table}
    return {
        **found,
        **both("text", "text_proj"),
        **both("final.linear", "final_layer.linear"),
        "final.table": Part("final_layer.scale_shift_table", 2, conventions.two),
    }


def router_layout(shape: DiT, conventions: Conventions = PARIS_1) -> Layout:
    """All of the router: text-free, AdaLN-Zero, read off a class token."""
    found = _trunk() | {"class_token": Part("cls_token")}
    for i in range(shape.size.depth):
        own, theirs = f"trunk.blocks.{i}.modulation.linear", f"layers.{i}.adaLN_modulation.1"
        found |= _block(i) | both(own, theirs, 6, conventions.six)
    for place, there in ((0, 0), (2, 2), (3, 4)):
        found |= both(f"head.{place}", f"head.{there}")
    return found


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}") from error


def _config(path: Path, says: dict[str, Any]) -> dict[str, Any]:
    """A config file. CheckpointError if it cannot be read or says another thing than `says`."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    wrong = [
        f"{key} is {found.get(key)!r}, not {x!r}" for key, x in says.items() if found.get(key) != x
    ]
    if wrong:
        raise CheckpointError(f"{path} is of another model: {', '.join(wrong)}")
    return found


def _shape(path: Path, k: int, hub: dict[str, Any], text: TextShape, cross_norm: bool) -> DiT:
    """The shape of expert k as its config and the hub's say."""
    channels = hub["num_channels"]
    says = {"expert_id": k, "in_channels": channels, "out_channels": channels}
    own = _config(path, {**EXPERT_SAYS, **says, "text_embed_dim": text.width})
    size = Size(own["hidden_size"], own["num_layers"], own["num_heads"])
    image, patch = hub["image_size"], own["patch_size"]
    return DiT(size, image, channels, patch, AdaLN.SINGLE, text, cross_norm=cross_norm)


def _filled(network: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    """A network built without storage, with the tensors as its own."""
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def load_expert(
    path: Path, shape: DiT, null: Tensor, conventions: Conventions = PARIS_1
) -> DiTNetwork:
    """The network of one expert's weights; null [L, D]: the encoded empty caption.

    These weights learned no null embedding: unconditional is CLIP(""), which takes its place.
    CheckpointError naming every key that is missing, unused or of another shape.
    """
    reads = replace(shape, cross_norm=conventions.cross_norm, time=conventions.time)
    with torch.device("meta"):
        network = DiTNetwork(reads)
    if null.shape != network.null.shape:
        raise CheckpointError(f"null is {list(null.shape)}, not {list(network.null.shape)}")
    layout = expert_layout(reads, conventions)
    found = layouts.read(layout, network.state_dict(), _tensors(path), str(path))
    _filled(network, {**found, "null": null.to(torch.float32).clone()})
    return network


def load_router(
    path: Path, experts: int, shape: DiT = ROUTER, conventions: Conventions = PARIS_1
) -> RouterNetwork:
    """The router's network. CheckpointError as for an expert."""
    reads = replace(shape, time=conventions.time)
    with torch.device("meta"):
        network = RouterNetwork(reads, experts, pooled=None)
    layout = router_layout(reads, conventions)
    _filled(network, layouts.read(layout, network.state_dict(), _tensors(path), str(path)))
    return network


def load(
    folder: Path,
    null: Tensor,
    selection: Selection = SELECTION,
    router: DiT = ROUTER,
    conventions: Conventions = PARIS_1,
    device: torch.device | str = "cpu",
) -> Ensemble:
    """All experts and the router of a downloaded hub folder; null [L, D] as in `load_expert`.

    Latents are those of its VAE times 0.18215 (`datamodules.encoders.autoencoders`).
    CheckpointError if a file is missing, damaged or of another architecture.
    """
    hub = _config(folder / "config.json", HUB_SAYS)
    text, experts = TextShape(*null.shape), []
    try:
        count = int(hub["num_experts"])
        for k in range(count):
            home = folder / f"expert_{k}"
            shape = _shape(home / "config.json", k, hub, text, conventions.cross_norm)
            network = load_expert(home / WEIGHTS, shape, null, conventions)
            experts.append(Expert(network.to(device), Velocity(), Linear()))
    except KeyError as error:
        raise CheckpointError(f"a config.json of {folder} lacks {error}") from error
    logits = load_router(folder / "router" / ROUTER_WEIGHTS, count, router, conventions)
    return Ensemble(experts, Probabilities(logits).eval().to(device), selection)
