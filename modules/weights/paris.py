"""Paris 1.0: eight flow-matching experts and a router, in the layout of `bageldotcom/paris`.

No published file states the names and conventions; they are those of a public port of the weights.
Each convention is a field of `Conventions`, so that another reading is another value. The router's
attention heads are 64 wide and its output head is Linear, SiLU, LayerNorm, Linear.
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
from modules.weights.layouts import FINAL_SHIFT_FIRST, SHIFT_FIRST, Layout, Rows, weight_and_bias

WEIGHTS, ROUTER_WEIGHTS = "diffusion_pytorch_model.safetensors", "pytorch_model.safetensors"
STEPS, GUIDANCE, SELECTION = 50, 7.5, Top(2)
"""How it is sampled: Euler steps, guidance scale, and two experts with renormalised weights."""


@dataclass(frozen=True)
class Conventions:
    """What the tensors' names and shapes do not tell.

    six, two: the groups in their order that hold Eq. 16's scale, shift, gate, and the final layer's
        scale and shift. Loading puts the rows in our order.
    cross_norm: cross-attention reads LN(h), not h.  time: maps t to the number that is embedded.
    """

    six: tuple[int, ...] = SHIFT_FIRST
    two: tuple[int, ...] = FINAL_SHIFT_FIRST
    cross_norm: bool = False
    time: TimeMap = Thousand()


PARIS_1 = Conventions()
ROUTER = DiT(B, adaln=AdaLN.ZERO, text=None)
"""The shape of the router's trunk."""

EXPERT_CONFIG = {
    "model_type": "dit_expert",
    "mlp_ratio": 4.0,
    "use_text_conditioning": True,
    "use_class_conditioning": False,
    "use_dit_time_embed": True,
    "use_adaln_single": True,
}
HUB_CONFIG = {"expert_architecture": "dit", "router_architecture": "dit", "use_latents": True}


def _attention(ours: str, theirs: str) -> Layout:
    """The layout of torch's MultiheadAttention, whose input projection holds q, k and v."""
    rows = weight_and_bias(f"{ours}.out", f"{theirs}.out_proj")
    for kind in ("weight", "bias"):
        source = f"{theirs}.in_proj_{kind}"
        rows[f"{ours}.query.{kind}"] = Rows(source, 3, (0,))
        rows[f"{ours}.key_value.{kind}"] = Rows(source, 3, (1, 2))
    return rows


def _trunk() -> Layout:
    return {
        **weight_and_bias("trunk.patches", "patch_embed"),
        "trunk.positions": Rows("pos_embed"),
        **weight_and_bias("trunk.time.0", "time_embed.mlp.0"),
        **weight_and_bias("trunk.time.2", "time_embed.mlp.2"),
    }


def _block(i: int) -> Layout:
    ours, theirs = f"trunk.blocks.{i}", f"layers.{i}"
    return {
        **_attention(f"{ours}.attention", f"{theirs}.attn"),
        **weight_and_bias(f"{ours}.mlp.0", f"{theirs}.mlp.0"),
        **weight_and_bias(f"{ours}.mlp.2", f"{theirs}.mlp.2"),
    }


def expert_layout(shape: DiT, conventions: Conventions = PARIS_1) -> Layout:
    """The layout of all tensors of an expert but `null`."""
    rows = _trunk() | weight_and_bias("trunk.global_mlp", "t_block.1", 6, conventions.six)
    for i in range(shape.size.depth):
        cross = _attention(f"trunk.blocks.{i}.cross", f"layers.{i}.cross_attn")
        table = Rows(f"layers.{i}.scale_shift_table", 6, conventions.six)
        rows |= _block(i) | cross | {f"trunk.blocks.{i}.modulation.table": table}
    return {
        **rows,
        **weight_and_bias("text", "text_proj"),
        **weight_and_bias("final.linear", "final_layer.linear"),
        "final.table": Rows("final_layer.scale_shift_table", 2, conventions.two),
    }


def router_layout(shape: DiT, conventions: Conventions = PARIS_1) -> Layout:
    """The layout of the router: without text, AdaLN-Zero, its head on a class token."""
    rows = _trunk() | {"class_token": Rows("cls_token")}
    for i in range(shape.size.depth):
        own, theirs = f"trunk.blocks.{i}.modulation.linear", f"layers.{i}.adaLN_modulation.1"
        rows |= _block(i) | weight_and_bias(own, theirs, 6, conventions.six)
    for layer, their_layer in ((0, 0), (2, 2), (3, 4)):
        rows |= weight_and_bias(f"head.{layer}", f"head.{their_layer}")
    return rows


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}") from error


def _config(path: Path, required: dict[str, Any]) -> dict[str, Any]:
    """A config file. CheckpointError if it cannot be read or lacks one of the required entries."""
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    wrong = [
        f"{key} is {config.get(key)!r}, not {x!r}"
        for key, x in required.items()
        if config.get(key) != x
    ]
    if wrong:
        raise CheckpointError(f"{path} is of another model: {', '.join(wrong)}")
    return config


def _shape(path: Path, k: int, hub: dict[str, Any], text: TextShape, cross_norm: bool) -> DiT:
    """The shape of expert k by its config and the hub's."""
    channels = hub["num_channels"]
    required = {"expert_id": k, "in_channels": channels, "out_channels": channels}
    own = _config(path, {**EXPERT_CONFIG, **required, "text_embed_dim": text.width})
    size = Size(own["hidden_size"], own["num_layers"], own["num_heads"])
    image, patch = hub["image_size"], own["patch_size"]
    return DiT(size, image, channels, patch, AdaLN.SINGLE, text, cross_norm=cross_norm)


def _filled(network: nn.Module, tensors: dict[str, Tensor]) -> nn.Module:
    """Give a network built without storage its tensors; it is then frozen."""
    network.load_state_dict(tensors, assign=True)
    return network.eval().requires_grad_(False)


def load_expert(
    path: Path, shape: DiT, null: Tensor, conventions: Conventions = PARIS_1
) -> DiTNetwork:
    """One expert's network, from its file of weights.

    null: CLIP's token states [L, D] of the empty caption. The weights have no null embedding, so it
    takes its place.
    Raises CheckpointError, naming every key that is missing, unused or of another shape.
    """
    reads = replace(shape, cross_norm=conventions.cross_norm, time=conventions.time)
    with torch.device("meta"):
        network = DiTNetwork(reads)
    if null.shape != network.null.shape:
        raise CheckpointError(f"null is {list(null.shape)}, not {list(network.null.shape)}")
    layout = expert_layout(reads, conventions)
    tensors = layouts.read(layout, network.state_dict(), _tensors(path), str(path))
    _filled(network, {**tensors, "null": null.to(torch.float32).clone()})
    return network


def load_router(
    path: Path, experts: int, shape: DiT = ROUTER, conventions: Conventions = PARIS_1
) -> RouterNetwork:
    """The router's network, from its file of weights. Raises CheckpointError as for an expert."""
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
    """The ensemble of a downloaded hub folder: all its experts and its router.

    null: CLIP's token states [L, D] of the empty caption.  router: the shape of the router's trunk.
    Latents are those of Stable Diffusion's VAE times 0.18215.
    Raises CheckpointError if a file is missing, damaged or of another architecture.
    """
    hub = _config(folder / "config.json", HUB_CONFIG)
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
