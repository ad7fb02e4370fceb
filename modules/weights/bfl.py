"""FLUX's tensors by Black Forest Labs' or Open-Sora 2's names, as diffusers names them.

Open-Sora has separate layers for q, k and v. Its rotary positions rotate a head's first half into
its second, where FLUX rotates neighbours, so its rows of q and k have another order. No tensor
tells which, so it is a value. Open-Sora's layer `cond_in` reads a mask and the first frame's
latent; here these are further columns of the input layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from modules.mmdit import MMSize
from modules.weights import layouts
from modules.weights.checkpoint import CheckpointError, Shapes, require_same
from modules.weights.layouts import FINAL_SHIFT_FIRST, Layout, Rows, weight_and_bias
from modules.weights.tensors import shapes

OUR_INPUT, THEIR_INPUT, SPLIT = "x_embedder.weight", "img_in.weight", ".q_proj.weight"
COND = "cond_in.weight", "cond_in.bias"
BLOCKS = "double_blocks", "single_blocks"


class Rotary(Enum):
    """Which values of a head of width h are rotated as a pair: (0, 1) and so on, or (0, h/2)."""

    PAIRS = "pairs"
    HALVES = "halves"


@dataclass(frozen=True)
class Naming:
    """How a checkpoint names FLUX's tensors.

    split: q, k and v are separate layers.  rotary: the order of the rows of q and k.
    """

    split: bool
    rotary: Rotary


FLUX = Naming(split=False, rotary=Rotary.PAIRS)
OPEN_SORA = Naming(split=True, rotary=Rotary.HALVES)


def naming_of(
    tensors: Mapping[str, Tensor], where: str, rotary: Rotary | None = None
) -> Naming | None:
    """The naming of a checkpoint's tensors [...], by their names; None for diffusers' own.

    rotary: overrides the naming's usual order. Raises CheckpointError for an unknown naming.
    """
    if OUR_INPUT in tensors:
        return None
    if THEIR_INPUT not in tensors:
        raise CheckpointError(f"{where} is no FLUX: it has neither {OUR_INPUT} nor {THEIR_INPUT}")
    usual = OPEN_SORA if any(name.endswith(SPLIT) for name in tensors) else FLUX
    return Naming(usual.split, rotary or usual.rotary)


def size_of(tensors: Mapping[str, Tensor], where: str) -> tuple[MMSize, int, int]:
    """The size of a FLUX by its tensors [...], in any naming, and the values per token in and out.

    Raises CheckpointError if a tensor that tells is missing.
    """
    own = naming_of(tensors, where) is None
    one, two = ("transformer_blocks", "single_transformer_blocks") if own else BLOCKS
    scale = f"{one}.0.attn.norm_q.weight" if own else f"{one}.0.img_attn.norm.query_norm.scale"
    last = "proj_out.weight" if own else "final_layer.linear.weight"
    try:
        width, inputs = tensors[OUR_INPUT if own else THEIR_INPUT].shape
        blocks = [{n.split(".")[1] for n in tensors if n.startswith(f"{x}.")} for x in (one, two)]
        double, single = map(len, blocks)
        size = MMSize(width, double, single, width // len(tensors[scale]))
        return size, inputs, len(tensors[last])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{where} is no FLUX: {error}") from error


def _in_pairs(rows: Rows, naming: Naming, head: int, count: int) -> Rows:
    """The rows of q or k in FLUX's order, where rotated pairs are neighbours.

    rows: takes one group, of `count` rows.  head: the width of an attention head.
    """
    if naming.rotary is Rotary.PAIRS:
        return rows
    starts = range(rows.take[0] * count, (rows.take[0] + 1) * count, head)
    order = (start + j // 2 + head // 2 * (j % 2) for start in starts for j in range(head))
    return Rows(rows.source, rows.groups * count, tuple(order))


def _attention(
    ours: Sequence[str], theirs: Sequence[Rows], norms: Sequence[str], naming: Naming, size: MMSize
) -> Layout:
    """q, k and v of one stream, weight and bias, and the norms of q and k.

    ours: our layers' names.  theirs: the rows of their layers, without "weight" or "bias".
    norms: our name for q, theirs for q, our name for k, theirs for k.
    """
    layout, head = {}, size.width // size.heads
    for i, (layer, rows) in enumerate(zip(ours, theirs, strict=True)):
        for kind in ("weight", "bias"):
            own = Rows(f"{rows.source}.{kind}", rows.groups, rows.take)
            layout[f"{layer}.{kind}"] = own if i == 2 else _in_pairs(own, naming, head, size.width)
    for layer, source in (norms[:2], norms[2:]):
        layout[f"{layer}.weight"] = _in_pairs(Rows(f"{source}_norm.scale"), naming, head, head)
    return layout


def _double(i: int, naming: Naming, size: MMSize) -> Layout:
    layout: Layout = {}
    ours, theirs = f"transformer_blocks.{i}", f"double_blocks.{i}"
    for stream, norm, q, last, added, out, mlp in (
        ("img", "norm1", "to_", "", "", "to_out.0", "ff"),
        ("txt", "norm1_context", "add_", "_proj", "added_", "to_add_out", "ff_context"),
    ):
        attention, own = f"{theirs}.{stream}_attn", f"{ours}.attn"
        rows = (
            [Rows(f"{attention}.{x}_proj") for x in "qkv"] if naming.split
            else [Rows(f"{attention}.qkv", 3, (k,)) for k in range(3)]
        )  # fmt: skip
        norms = [f"{own}.norm_{added}q", f"{attention}.norm.query",
                 f"{own}.norm_{added}k", f"{attention}.norm.key"]  # fmt: skip
        layout |= _attention([f"{own}.{q}{x}{last}" for x in "qkv"], rows, norms, naming, size)
        layout |= {
            **weight_and_bias(f"{ours}.{norm}.linear", f"{theirs}.{stream}_mod.lin"),
            **weight_and_bias(f"{own}.{out}", f"{attention}.proj"),
            **weight_and_bias(f"{ours}.{mlp}.net.0.proj", f"{theirs}.{stream}_mlp.0"),
            **weight_and_bias(f"{ours}.{mlp}.net.2", f"{theirs}.{stream}_mlp.2"),
        }
    return layout


def _single(i: int, naming: Naming, size: MMSize) -> Layout:
    """One layer holds q, k, v and an MLP four times as wide: seven equal groups of rows."""
    ours, theirs = f"single_transformer_blocks.{i}", f"single_blocks.{i}"
    own, split, wide = f"{ours}.attn", [f"{theirs}.{x}_proj" for x in "qk"], f"{theirs}.v_mlp"
    one = f"{theirs}.linear1"
    rows = [*map(Rows, split), Rows(wide, 5)] if naming.split else [
        Rows(one, 7, (k,)) for k in range(3)
    ]  # fmt: skip
    norms = [f"{own}.norm_q", f"{theirs}.norm.query", f"{own}.norm_k", f"{theirs}.norm.key"]
    mlp = (wide, 5, (1, 2, 3, 4)) if naming.split else (one, 7, (3, 4, 5, 6))
    return {
        **_attention([f"{own}.to_{x}" for x in "qkv"], rows, norms, naming, size),
        **weight_and_bias(f"{ours}.norm.linear", f"{theirs}.modulation.lin"),
        **weight_and_bias(f"{ours}.proj_mlp", *mlp),
        **weight_and_bias(f"{ours}.proj_out", f"{theirs}.linear2"),
    }


def flux_layout(size: MMSize, naming: Naming) -> Layout:
    """The layout of all tensors, by diffusers' names, but a guidance embedder and `cond_in`."""
    layout = weight_and_bias("x_embedder", "img_in") | weight_and_bias("context_embedder", "txt_in")
    for ours, theirs in (("timestep", "time_in"), ("text", "vector_in")):
        layout |= _embedder(ours, theirs)
    for i in range(size.double):
        layout |= _double(i, naming, size)
    for i in range(size.single):
        layout |= _single(i, naming, size)
    final = weight_and_bias(
        "norm_out.linear", "final_layer.adaLN_modulation.1", 2, FINAL_SHIFT_FIRST
    )
    return layout | final | weight_and_bias("proj_out", "final_layer.linear")


def _embedder(ours: str, theirs: str) -> Layout:
    own = f"time_text_embed.{ours}_embedder.linear_"
    return weight_and_bias(f"{own}1", f"{theirs}.in_layer") | weight_and_bias(
        f"{own}2", f"{theirs}.out_layer"
    )


@dataclass(frozen=True)
class RenamedTensors(Mapping[str, Tensor]):
    """Their tensors [...] by diffusers' names, each made on access.

    `cond_in` becomes part of the input layer: its bias is added, and its columns follow those of x,
    first the latent's, then the mask's. In `cond_in` itself the mask comes first.

    mask: columns of the mask.
    """

    tensors: Mapping[str, Tensor]
    layout: Layout
    mask: int

    def __getitem__(self, name: str) -> Tensor:
        rows = self.layout[name]
        x = rows.read(self.tensors[rows.source])
        if COND[0] not in self.tensors or not name.startswith("x_embedder."):
            return x
        cond = self.tensors[f"cond_in.{name.rsplit('.', 1)[1]}"]
        if name.endswith("bias"):
            return (x.float() + cond.float()).to(x.dtype)
        return torch.cat([x, cond[:, self.mask :], cond[:, : self.mask]], dim=1)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout)

    def __len__(self) -> int:
        return len(self.layout)


def renamed(
    tensors: Mapping[str, Tensor],
    size: MMSize,
    ours: Mapping[str, Tensor],
    where: str,
    rotary: Rotary | None = None,
) -> Mapping[str, Tensor]:
    """A checkpoint's tensors [...] by diffusers' names, whatever its own names are.

    ours: our network's state, whose shapes they must have. A guidance embedder, and columns for a
    first frame, are there if the checkpoint has them.
    Raises CheckpointError, naming every key of the checkpoint that is missing, unused or of another
    shape.
    """
    naming = naming_of(tensors, where, rotary)
    if naming is None:
        return tensors
    layout, width = flux_layout(size, naming), ours["proj_out.weight"].shape[0]
    need = layouts.source_shapes(layout, ours)
    d, columns = ours["x_embedder.weight"].shape
    need[THEIR_INPUT] = (d, width)
    given: Shapes = shapes(tensors)
    if COND[0] in tensors:
        need |= {COND[0]: (d, columns - width), COND[1]: (d,)}
    guidance = _embedder("guidance", "guidance_in")
    if any(rows.source in tensors for rows in guidance.values()):
        need |= {rows.source: given.get(rows.source, ()) for rows in guidance.values()}
        layout |= guidance
    require_same(given, need, where)
    return RenamedTensors(tensors, layout, columns - 2 * width)
