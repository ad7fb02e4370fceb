"""An ImageNet DiT, in the layout of facebookresearch/DiT's `DiT-XL-2-256x256.pt`, as an expert.

HDDM §2.6: Eq. 20 is `Transfer`, Eq. 21 `modules.timesteps.dit_time_map`. The rows of its per-block
modulations are reordered as in Eq. 16, and q, k, v are split. With AdaLN-Single these modulations
have no target and are dropped, though Eq. 20 transfers the blocks.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from modules.blocks import AdaLN
from modules.dit import DiT, DiTNetwork, position_table
from modules.weights import layouts
from modules.weights.checkpoint import CheckpointError
from modules.weights.layouts import FINAL_SHIFT_FIRST, SHIFT_FIRST, Layout, Part, both
from modules.weights.pretrained import Transfer

CLASSES = "y_embedder.embedding_table.weight"


@dataclass(frozen=True)
class Report:
    """What became of every tensor: (ours, theirs) pairs, our names, and their names.

    reinitialised: as `DiT.text_std`, `DiT.head_std` and the network's own initialisation draw them.
    """

    transferred: tuple[tuple[str, str], ...]
    reinitialised: tuple[str, ...]
    dropped: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(
            [
                *(f"transferred    {ours} <- {theirs}" for ours, theirs in self.transferred),
                *(f"reinitialised  {name}" for name in self.reinitialised),
                *(f"dropped        {name}" for name in self.dropped),
            ]
        )


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a DiT checkpoint, by their names there. Nothing in the file is executed.

    Raises CheckpointError if it cannot be read or holds anything but tensors.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}") from error
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path} holds a {type(found).__name__}, not tensors by name")
    strange = [str(name) for name, x in found.items() if not isinstance(x, Tensor)]
    if strange:
        raise CheckpointError(f"{path} holds more than tensors: {', '.join(strange)}")
    return dict(found)


def _block(i: int) -> Layout:
    ours, theirs = f"trunk.blocks.{i}", f"blocks.{i}"
    return {
        **both(f"{ours}.attention.query", f"{theirs}.attn.qkv", 3, (0,)),
        **both(f"{ours}.attention.key_value", f"{theirs}.attn.qkv", 3, (1, 2)),
        **both(f"{ours}.attention.out", f"{theirs}.attn.proj"),
        **both(f"{ours}.mlp.0", f"{theirs}.mlp.fc1"),
        **both(f"{ours}.mlp.2", f"{theirs}.mlp.fc2"),
        **both(f"{ours}.modulation.linear", f"{theirs}.adaLN_modulation.1", 6, SHIFT_FIRST),
    }


def layout(shape: DiT) -> Layout:
    """The whole of a DiT with AdaLN-Zero of this shape. Its head also predicts a variance
    (learn_sigma): at each pixel of a patch, channels of noise, then as many that nobody takes."""
    pixels = shape.patch**2
    found = {
        **both("trunk.patches", "x_embedder.proj"),
        "trunk.positions": Part("pos_embed"),
        **both("trunk.time.0", "t_embedder.mlp.0"),
        **both("trunk.time.2", "t_embedder.mlp.2"),
        **both("final.linear", "final_layer.linear", 2 * pixels, tuple(range(0, 2 * pixels, 2))),
        **both("final.modulation", "final_layer.adaLN_modulation.1", 2, FINAL_SHIFT_FIRST),
    }
    for i in range(shape.size.depth):
        found |= _block(i)
    return found


def positions(side: int, width: int) -> Tensor:
    """[1, side^2, width] as DiT computes them: the column's half first, as ours, but in each half
    sines before cosines, where ours has cosines before sines."""
    four = position_table(side, width).unflatten(-1, (4, -1))
    return four[:, :, [1, 0, 3, 2]].flatten(2)


def _check_positions(found: Tensor, shape: DiT) -> None:
    """The weights were trained to read these channels in this order, so the table is transferred
    as it is, over ours. One that no formula gives was resized or trained: another checkpoint."""
    side = shape.image // shape.patch
    error = (found - positions(side, shape.size.width)).abs().max()
    if not error < 1e-4:
        raise CheckpointError(
            f"pos_embed is not DiT's table of {side} x {side}: off by {error:.2g}"
        )


def convert(
    tensors: Mapping[str, Tensor], target: DiTNetwork, what: Transfer = Transfer()
) -> Report:
    """Copy into `target` what Eq. 20 transfers; `what.head` adds the noise half of the head.

    Raises CheckpointError, before anything is copied, naming every tensor that is missing, unknown
    or of another shape, and for captions, which an ImageNet DiT never saw.
    """
    if what.captions:
        raise CheckpointError("an ImageNet DiT has no text projection, null or cross-attention")
    everything, state = layout(target.shape), target.state_dict()
    with torch.device("meta"):
        source = DiTNetwork(replace(target.shape, adaln=AdaLN.ZERO, text=None)).state_dict()
    every = layouts.read(everything, source, tensors, "the DiT checkpoint", [CLASSES])
    _check_positions(every["trunk.positions"], target.shape)
    # Under AdaLN-Single the modulations are in another form, of which nothing is in the source.
    taken = {n: part for n, part in everything.items() if n in state and what.takes(n)}
    with torch.no_grad():
        for name in taken:
            state[name].copy_(every[name])
    used = {part.of for part in taken.values()}
    return Report(
        tuple((name, part.of) for name, part in taken.items()),
        tuple(name for name in state if name not in taken),
        (*(name for name in tensors if name not in used), *layouts.untaken(taken)),
    )
