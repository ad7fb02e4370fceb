"""Where the tensors of a network of ours lie in another project's checkpoint.

A layout is {our name: Rows}. Reading is strict: if a tensor is missing, unknown or of another
shape, the error names it and nothing is read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.weights.checkpoint import Shapes, require_same


@dataclass(frozen=True)
class Rows:
    """Some rows of another project's tensor.

    source: the tensor's name.  groups: how many equal groups its first axis is cut into.
    take: the groups that are read, in this order.
    """

    source: str
    groups: int = 1
    take: tuple[int, ...] = (0,)

    def source_shape(self, ours: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the source tensor, if the rows that are read have the shape `ours`."""
        return (ours[0] * self.groups // len(self.take), *ours[1:])

    def read(self, source: Tensor) -> Tensor:
        """The rows [n, ...] of the whole source tensor [m, ...]."""
        return source.unflatten(0, (self.groups, -1))[list(self.take)].flatten(0, 1)


Layout = dict[str, Rows]
"""Our name of a tensor -> where it is read from."""

SHIFT_FIRST = (1, 0, 2, 4, 3, 5)
"""Groups of a six-vector modulation in DiT's order (shift, scale, gate), as Eq. 16 orders them."""
FINAL_SHIFT_FIRST = (1, 0)
"""The same for the final layer, which has no gate."""


def weight_and_bias(
    ours: str, theirs: str, groups: int = 1, take: tuple[int, ...] = (0,)
) -> Layout:
    """The layout of one layer, `ours`, read from the layer `theirs`."""
    return {f"{ours}.{x}": Rows(f"{theirs}.{x}", groups, take) for x in ("weight", "bias")}


def source_shapes(layout: Mapping[str, Rows], ours: Mapping[str, Tensor]) -> Shapes:
    """{their name: shape} of every tensor that is read.

    ours: our tensors, {our name: [n, ...]}, whose shapes are to be filled.
    """
    return {
        rows.source: rows.source_shape(tuple(ours[name].shape)) for name, rows in layout.items()
    }


def unused_rows(layout: Mapping[str, Rows]) -> list[str]:
    """The groups of rows that no part of the layout takes, one line for each source tensor."""
    taken: dict[str, set[int]] = {}
    groups = {rows.source: rows.groups for rows in layout.values()}
    for rows in layout.values():
        taken.setdefault(rows.source, set()).update(rows.take)
    left = {name: [i for i in range(groups[name]) if i not in taken[name]] for name in groups}
    return [f"{name}, parts {rows} of {groups[name]}" for name, rows in left.items() if rows]


def read(
    layout: Mapping[str, Rows],
    ours: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    where: str,
    unread: Collection[str] = (),
) -> dict[str, Tensor]:
    """{our name: float32 tensor [n, ...]} from a checkpoint.

    Args:
        ours: our tensors, {our name: [n, ...]}, whose shapes are to be filled.
        tensors: the checkpoint, {their name: [m, ...]}.
        where: what an error names, such as the file.
        unread: tensors that must be in the checkpoint though nothing is read from them.
    Raises CheckpointError, naming every tensor that is missing, unknown or of another shape.
    """
    shapes = {name: tuple(x.shape) for name, x in tensors.items()}
    need = source_shapes(layout, ours)
    need |= {name: shapes.get(name, ()) for name in unread if name not in need}
    require_same(shapes, need, where)
    return {
        name: rows.read(tensors[rows.source]).to(torch.float32) for name, rows in layout.items()
    }
