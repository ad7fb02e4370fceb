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
from modules.dit import DiT, DiTNetwork
from modules.positions import position_table
from modules.weights import layouts
from modules.weights.checkpoint import CheckpointError
from modules.weights.layouts import FINAL_SHIFT_FIRST, SHIFT_FIRST, Layout, Rows, weight_and_bias
from modules.weights.pretrained import Transfer

CLASSES = "y_embedder.embedding_table.weight"
"""The class embedding, which no expert uses."""


@dataclass(frozen=True)
class DiTReport:
    """What became of every tensor of a DiT checkpoint and of the target network.

    transferred: pairs (our name, their name).  reinitialised: our names of tensors that keep their
    initialisation.  dropped: their names.
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


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors [...] of a DiT checkpoint, by their names there. Executes nothing in the file.

    Raises CheckpointError if it cannot be read or holds anything but tensors.
    """
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"cannot read the weights {path}: {error}") from error
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{path} holds a {type(tensors).__name__}, not tensors by name")
    others = [str(name) for name, x in tensors.items() if not isinstance(x, Tensor)]
    if others:
        raise CheckpointError(f"{path} holds more than tensors: {', '.join(others)}")
    return dict(tensors)


def _block(i: int) -> Layout:
    ours, theirs = f"trunk.blocks.{i}", f"blocks.{i}"
    return {
        **weight_and_bias(f"{ours}.attention.query", f"{theirs}.attn.qkv", 3, (0,)),
        **weight_and_bias(f"{ours}.attention.key_value", f"{theirs}.attn.qkv", 3, (1, 2)),
        **weight_and_bias(f"{ours}.attention.out", f"{theirs}.attn.proj"),
        **weight_and_bias(f"{ours}.mlp.0", f"{theirs}.mlp.fc1"),
        **weight_and_bias(f"{ours}.mlp.2", f"{theirs}.mlp.fc2"),
        **weight_and_bias(
            f"{ours}.modulation.linear", f"{theirs}.adaLN_modulation.1", 6, SHIFT_FIRST
        ),
    }


def layout(shape: DiT) -> Layout:
    """The layout of a whole DiT with AdaLN-Zero of this shape.

    Its head also predicts a variance (learn_sigma): each pixel of a patch has channels of noise,
    which are read, then as many of variance, which are not.
    """
    pixels = shape.patch**2
    rows = {
        **weight_and_bias("trunk.patches", "x_embedder.proj"),
        "trunk.positions": Rows("pos_embed"),
        **weight_and_bias("trunk.time.0", "t_embedder.mlp.0"),
        **weight_and_bias("trunk.time.2", "t_embedder.mlp.2"),
        **weight_and_bias(
            "final.linear", "final_layer.linear", 2 * pixels, tuple(range(0, 2 * pixels, 2))
        ),
        **weight_and_bias(
            "final.modulation", "final_layer.adaLN_modulation.1", 2, FINAL_SHIFT_FIRST
        ),
    }
    for i in range(shape.size.depth):
        rows |= _block(i)
    return rows


def dit_positions(side: int, width: int) -> Tensor:
    """DiT's position table [1, side^2, width].

    The column's half comes first, as in ours, but each half has sines before cosines.
    """
    four = position_table(side, width).unflatten(-1, (4, -1))
    return four[:, :, [1, 0, 3, 2]].flatten(2)


def _check_positions(table: Tensor, shape: DiT) -> None:
    """Raise CheckpointError if the table [1, N, d] is not DiT's: it was resized or trained.

    The table replaces ours, since the weights were trained with its order of channels.
    """
    side = shape.image // shape.patch
    error = (table - dit_positions(side, shape.size.width)).abs().max()
    if not error < 1e-4:
        raise CheckpointError(
            f"pos_embed is not DiT's table of {side} x {side}: off by {error:.2g}"
        )


def convert(
    tensors: Mapping[str, Tensor], target: DiTNetwork, what: Transfer = Transfer()
) -> DiTReport:
    """Copy into `target` what Eq. 20 transfers from a checkpoint's tensors [...].

    what: `head` adds the noise half of the head; `captions` must be False.
    Raises CheckpointError, before anything is copied, for captions, or naming every tensor that is
    missing, unknown or of another shape.
    """
    if what.captions:
        raise CheckpointError("an ImageNet DiT has no text projection, null or cross-attention")
    full_layout, state = layout(target.shape), target.state_dict()
    with torch.device("meta"):
        source = DiTNetwork(replace(target.shape, adaln=AdaLN.ZERO, text=None)).state_dict()
    read = layouts.read(full_layout, source, tensors, "the DiT checkpoint", [CLASSES])
    _check_positions(read["trunk.positions"], target.shape)
    # With AdaLN-Single the target has modulations of another form, which the source lacks.
    taken = {n: rows for n, rows in full_layout.items() if n in state and what.takes(n)}
    with torch.no_grad():
        for name in taken:
            state[name].copy_(read[name])
    used = {rows.source for rows in taken.values()}
    return DiTReport(
        tuple((name, rows.source) for name, rows in taken.items()),
        tuple(name for name in state if name not in taken),
        (*(name for name in tensors if name not in used), *layouts.unused_rows(taken)),
    )
