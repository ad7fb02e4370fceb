"""Another project's names for the tensors of a network of ours, and which rows of them are ours.

A layout is {our name: Part}. Reading is strict: a tensor that is missing, unknown or of another
shape is named, and nothing is read.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.weights.checkpoint import Shapes, require_same


@dataclass(frozen=True)
class Part:
    """Rows of the tensor `of`: cut into `groups` along its first axis, those of `take` in order."""

    of: str
    groups: int = 1
    take: tuple[int, ...] = (0,)

    def whole(self, mine: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the whole tensor where these rows are `mine`."""
        return (mine[0] * self.groups // len(self.take), *mine[1:])

    def read(self, whole: Tensor) -> Tensor:
        return whole.unflatten(0, (self.groups, -1))[list(self.take)].flatten(0, 1)


Layout = dict[str, Part]

SHIFT_FIRST = (1, 0, 2, 4, 3, 5)
"""Where scale, shift, gate (Eq. 16) of attention and MLP lie in DiT's order, shift, scale, gate."""
FINAL_SHIFT_FIRST = (1, 0)
"""The same of the final layer, which has no gate."""


def both(ours: str, theirs: str, groups: int = 1, take: tuple[int, ...] = (0,)) -> Layout:
    """Weight and bias of one layer."""
    return {f"{ours}.{x}": Part(f"{theirs}.{x}", groups, take) for x in ("weight", "bias")}


def wanted(layout: Mapping[str, Part], mine: Mapping[str, Tensor]) -> Shapes:
    """{their name: shape} of every tensor that the layout reads for the tensors `mine`."""
    return {part.of: part.whole(tuple(mine[name].shape)) for name, part in layout.items()}


def untaken(layout: Mapping[str, Part]) -> list[str]:
    """Rows that lie in tensors the layout reads, and that nothing takes."""
    taken: dict[str, set[int]] = {}
    groups = {part.of: part.groups for part in layout.values()}
    for part in layout.values():
        taken.setdefault(part.of, set()).update(part.take)
    left = {name: [i for i in range(groups[name]) if i not in taken[name]] for name in groups}
    return [f"{name}, parts {rows} of {groups[name]}" for name, rows in left.items() if rows]


def read(
    layout: Mapping[str, Part],
    mine: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
    where: str,
    unread: Collection[str] = (),
) -> dict[str, Tensor]:
    """{our name: tensor in float32} from `tensors`, each of the shape that `mine` has.

    unread: tensors that must be there though nothing is read from them. CheckpointError as said.
    """
    shapes = {name: tuple(x.shape) for name, x in tensors.items()}
    need = wanted(layout, mine)
    need |= {name: shapes.get(name, ()) for name in unread if name not in need}
    require_same(shapes, need, where)
    return {name: part.read(tensors[part.of]).to(torch.float32) for name, part in layout.items()}
