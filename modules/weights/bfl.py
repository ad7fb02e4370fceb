"""Black Forest Labs' names for FLUX's tensors, and Open-Sora 2's, to diffusers' and back.

Open-Sora keeps q, k and v apart and turns a head's two halves into each other where FLUX turns
neighbours, with the rows of q and k in another order; no tensor says which, so that it is a value.
It also adds `cond_in`, of a mask and the first frame's latent, which here are columns of one layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import torch
from torch import Tensor

from modules.mmdit import MMSize
from modules.weights import layouts
from modules.weights.checkpoint import CheckpointError, Shapes, require_same
from modules.weights.layouts import FINAL_SHIFT_FIRST, Layout, Part, both
from modules.weights.tensors import shapes

OURS, THEIRS, SPLIT = "x_embedder.weight", "img_in.weight", ".q_proj.weight"
COND = "cond_in.weight", "cond_in.bias"
BLOCKS = "double_blocks", "single_blocks"


class Rotary(Enum):
    """Which numbers of a head are turned together: neighbours, or the two halves' equals."""

    PAIRS = "pairs"
    HALVES = "halves"


@dataclass(frozen=True)
class Names:
    """split: whether q, k and v are layers of their own."""

    split: bool
    rotary: Rotary


FLUX = Names(split=False, rotary=Rotary.PAIRS)
OPEN_SORA = Names(split=True, rotary=Rotary.HALVES)


def names_of(found: Mapping[str, Tensor], where: str, rotary: Rotary | None = None) -> Names | None:
    """By the keys; None for diffusers' own. rotary: other than that naming's usual.

    CheckpointError for neither.
    """
    if OURS in found:
        return None
    if THEIRS not in found:
        raise CheckpointError(f"{where} is no FLUX: it has neither {OURS} nor {THEIRS}")
    usual = OPEN_SORA if any(name.endswith(SPLIT) for name in found) else FLUX
    return Names(usual.split, rotary or usual.rotary)


def size_of(found: Mapping[str, Tensor], where: str) -> tuple[MMSize, int, int]:
    """The blocks of a FLUX by either names, and how many numbers of a token are read and answered.

    CheckpointError if a tensor that would say so is not there.
    """
    own = names_of(found, where) is None
    one, two = ("transformer_blocks", "single_transformer_blocks") if own else BLOCKS
    scale = f"{one}.0.attn.norm_q.weight" if own else f"{one}.0.img_attn.norm.query_norm.scale"
    last = "proj_out.weight" if own else "final_layer.linear.weight"
    try:
        width, read = found[OURS if own else THEIRS].shape
        places = [{n.split(".")[1] for n in found if n.startswith(f"{x}.")} for x in (one, two)]
        double, single = map(len, places)
        size = MMSize(width, double, single, width // len(found[scale]))
        return size, read, len(found[last])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{where} is no FLUX: {error}") from error


def _turned(part: Part, names: Names, head: int, rows: int) -> Part:
    """Of q or k: `rows` rows, the one group that `part` takes, with equals of halves neighbours."""
    if names.rotary is Rotary.PAIRS:
        return part
    starts = range(part.take[0] * rows, (part.take[0] + 1) * rows, head)
    order = (h + j // 2 + head // 2 * (j % 2) for h in starts for j in range(head))
    return Part(part.of, part.groups * rows, tuple(order))


def _read_by(
    ours: Sequence[str], theirs: Sequence[Part], norms: Sequence[str], names: Names, size: MMSize
) -> Layout:
    """q, k and v of one stream, weight and bias, and what normalises q and k.

    ours: the layers' names.  theirs: the rows of theirs, without "weight" or "bias".
    norms: ours of q, theirs of q, ours of k, theirs of k.
    """
    found, head = {}, size.width // size.heads
    for i, (layer, part) in enumerate(zip(ours, theirs, strict=True)):
        for kind in ("weight", "bias"):
            mine = Part(f"{part.of}.{kind}", part.groups, part.take)
            found[f"{layer}.{kind}"] = mine if i == 2 else _turned(mine, names, head, size.width)
    for layer, of in (norms[:2], norms[2:]):
        found[f"{layer}.weight"] = _turned(Part(f"{of}_norm.scale"), names, head, head)
    return found


def _double(i: int, names: Names, size: MMSize) -> Layout:
    found: Layout = {}
    ours, theirs = f"transformer_blocks.{i}", f"double_blocks.{i}"
    for stream, norm, q, last, added, out, mlp in (
        ("img", "norm1", "to_", "", "", "to_out.0", "ff"),
        ("txt", "norm1_context", "add_", "_proj", "added_", "to_add_out", "ff_context"),
    ):
        attention, own = f"{theirs}.{stream}_attn", f"{ours}.attn"
        rows = (
            [Part(f"{attention}.{x}_proj") for x in "qkv"] if names.split
            else [Part(f"{attention}.qkv", 3, (k,)) for k in range(3)]
        )  # fmt: skip
        norms = [f"{own}.norm_{added}q", f"{attention}.norm.query",
                 f"{own}.norm_{added}k", f"{attention}.norm.key"]  # fmt: skip
        found |= _read_by([f"{own}.{q}{x}{last}" for x in "qkv"], rows, norms, names, size)
        found |= {
            **both(f"{ours}.{norm}.linear", f"{theirs}.{stream}_mod.lin"),
            **both(f"{own}.{out}", f"{attention}.proj"),
            **both(f"{ours}.{mlp}.net.0.proj", f"{theirs}.{stream}_mlp.0"),
            **both(f"{ours}.{mlp}.net.2", f"{theirs}.{stream}_mlp.2"),
        }
    return found


def _single(i: int, names: Names, size: MMSize) -> Layout:
    """Its MLP is four times as wide as it: of q, k, v and MLP in one layer seven equal groups."""
    ours, theirs = f"single_transformer_blocks.{i}", f"single_blocks.{i}"
    own, split, wide = f"{ours}.attn", [f"{theirs}.{x}_proj" for x in "qk"], f"{theirs}.v_mlp"
    one = f"{theirs}.linear1"
    rows = [*map(Part, split), Part(wide, 5)] if names.split else [
        Part(one, 7, (k,)) for k in range(3)
    ]  # fmt: skip
    norms = [f"{own}.norm_q", f"{theirs}.norm.query", f"{own}.norm_k", f"{theirs}.norm.key"]
    mlp = (wide, 5, (1, 2, 3, 4)) if names.split else (one, 7, (3, 4, 5, 6))
    return {
        **_read_by([f"{own}.to_{x}" for x in "qkv"], rows, norms, names, size),
        **both(f"{ours}.norm.linear", f"{theirs}.modulation.lin"),
        **both(f"{ours}.proj_mlp", *mlp),
        **both(f"{ours}.proj_out", f"{theirs}.linear2"),
    }


def layout(size: MMSize, names: Names) -> Layout:
    """diffusers' names -> theirs, of all but a guidance embedder and `cond_in`."""
    found = both("x_embedder", "img_in") | both("context_embedder", "txt_in")
    for ours, theirs in (("timestep", "time_in"), ("text", "vector_in")):
        found |= _embedder(ours, theirs)
    for i in range(size.double):
        found |= _double(i, names, size)
    for i in range(size.single):
        found |= _single(i, names, size)
    final = both("norm_out.linear", "final_layer.adaLN_modulation.1", 2, FINAL_SHIFT_FIRST)
    return found | final | both("proj_out", "final_layer.linear")


def _embedder(ours: str, theirs: str) -> Layout:
    own = f"time_text_embed.{ours}_embedder.linear_"
    return both(f"{own}1", f"{theirs}.in_layer") | both(f"{own}2", f"{theirs}.out_layer")


@dataclass(frozen=True)
class Renamed(Mapping[str, Tensor]):
    """Their tensors under diffusers' names, each made when it is asked for.

    The bias of `cond_in` is added to the other's, and its columns follow those of x: first the
    latent's, then the mask's, which it has first.  mask: how many these are.
    """

    found: Mapping[str, Tensor]
    layout: Layout
    mask: int

    def __getitem__(self, name: str) -> Tensor:
        part = self.layout[name]
        x = part.read(self.found[part.of])
        if COND[0] not in self.found or not name.startswith("x_embedder."):
            return x
        cond = self.found[f"cond_in.{name.rsplit('.', 1)[1]}"]
        if name.endswith("bias"):
            return (x.float() + cond.float()).to(x.dtype)
        return torch.cat([x, cond[:, self.mask :], cond[:, : self.mask]], dim=1)

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout)

    def __len__(self) -> int:
        return len(self.layout)


def renamed(
    found: Mapping[str, Tensor],
    size: MMSize,
    mine: Mapping[str, Tensor],
    where: str,
    rotary: Rotary | None = None,
) -> Mapping[str, Tensor]:
    """`found` by diffusers' names, whichever its own are.

    mine: a network's state whose shapes they shall have; columns for a first frame, and a guidance
    embedder, are there if they are in `found`.  CheckpointError naming every key, by its name in
    `found`, that is missing, unused or of another shape.
    """
    names = names_of(found, where, rotary)
    if names is None:
        return found
    whole, width = layout(size, names), mine["proj_out.weight"].shape[0]
    need = layouts.wanted(whole, mine)
    d, columns = mine["x_embedder.weight"].shape
    need[THEIRS] = (d, width)
    there: Shapes = shapes(found)
    if COND[0] in found:
        need |= {COND[0]: (d, columns - width), COND[1]: (d,)}
    guidance = _embedder("guidance", "guidance_in")
    if any(part.of in found for part in guidance.values()):
        need |= {part.of: there.get(part.of, ()) for part in guidance.values()}
        whole |= guidance
    require_same(there, need, where)
    return Renamed(found, whole, columns - 2 * width)
