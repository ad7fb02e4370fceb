"""E networks of one shape as one: a row of weights for each, and one call for what all multiply.

Small networks spend more on calls than on arithmetic. Stacked, they share the calls and no number:
what a network computes has the same bits in a stack of any height, where its rows fill `LANES`.
"""

import copy
import functools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.blocks import GROUP
from modules.dit import DiT, DiTNetwork
from modules.mmdit import MMDiT
from modules.text import Text

LANES = 32
"""Numbers that torch's loops take at a time, at most. What is left over at the end is computed by
other instructions, of other rounding: so a network's part of every array is a multiple of it."""
LARGEST = 4_000_000
"""Parameters of the largest network that is stacked: a larger one's arithmetic takes longer than
its calls. It decides which sums are taken: who changes it raises `TrainExpert.version`."""


def stackable(shape: DiT | MMDiT, batch: int) -> bool:
    """Whether networks of this shape, each with such a batch, have the same bits in any stack."""
    if not (isinstance(shape, DiT) and small(shape)):
        return False
    # What is not linear runs over [B, width], [B, N, 4 width] and the sinusoids' [B, half].
    rows = batch * math.gcd(shape.size.width, shape.frequencies // 2)
    # Behind any number of others' captions, a network's must begin as alone, on 64 bytes.
    text = shape.text and shape.text.length * math.gcd(shape.text.width, shape.size.width)
    return batch % GROUP == 0 and rows % LANES == 0 and (text or 0) % 16 == 0


@functools.cache
def small(shape: DiT | MMDiT) -> bool:
    """Whether networks of this shape are trained as a stack, be it of one: see `LARGEST`."""
    if not isinstance(shape, DiT):
        return False
    with torch.device("meta"):
        return sum(p.numel() for p in shape.build().parameters()) < LARGEST


class Flat:
    """The parameters of E networks of one shape, as rows of one matrix, and their gradients' rows.

    What is done to all parameters alike, to clip, step and average, is one operation on [E, P].
    weights: [E, P], its `grad` set to `gradient` [E, P], into which the gradients are added.
    """

    def __init__(self, networks: Sequence[nn.Module], device: torch.device) -> None:
        self.places: dict[str, tuple[slice, torch.Size]] = {}
        end = 0
        for name, p in networks[0].named_parameters():
            self.places[name] = slice(end, end + p.numel()), p.shape
            end += -(-p.numel() // LANES) * LANES
        (dtype,) = {p.dtype for p in networks[0].parameters()}
        self.weights = nn.Parameter(torch.zeros(len(networks), end, dtype=dtype, device=device))
        self.gradient = torch.zeros_like(self.weights)
        self.weights.grad = self.gradient
        for row, network in zip(self.weights.data, networks, strict=True):
            for name, p in network.named_parameters():
                row[self.places[name][0]] = p.detach().flatten()

    def __len__(self) -> int:
        """E."""
        return len(self.weights)

    def stacked(self, name: str) -> nn.Parameter:
        """A parameter of all networks, [E, ...], that shares its memory and its gradient's."""
        place, shape = self.places[name]
        parameter = nn.Parameter(self.weights.data[:, place].view(len(self), *shape))
        parameter.grad = self.gradient[:, place].view(len(self), *shape)
        return parameter

    def bind(self, network: nn.Module) -> None:
        """Let the only network's own parameters share the memory of its row."""
        for name, p in network.named_parameters():
            place, shape = self.places[name]
            p.data = self.weights.data[0, place].view(shape)
            p.grad = self.gradient[0, place].view(shape)

    @torch.no_grad()
    def clip(self, norm: float) -> None:
        """Scale each network's gradient to at most this norm, as torch's `clip_grad_norm_` does."""
        norms = torch.linalg.vector_norm(self.gradient, dim=1, keepdim=True)
        self.gradient.mul_((norm / (norms + 1e-6)).clamp(max=1.0))

    @torch.no_grad()
    def write(self, row: Tensor, network: nn.Module) -> None:
        """Copy a row [P] into a network's parameters."""
        for name, p in network.named_parameters():
            place, shape = self.places[name]
            p.copy_(row[place].view(shape))


class StackedLinear(nn.Module):
    """E linear layers: of x [E B, ..., inputs], layer e sees the e-th B rows.

    sizes: how many rows each sees of x, where they are not alike.
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias
        self.sizes: tuple[int, ...] | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.sizes is not None:
            parts = zip(x.split(self.sizes), self.weight, self.bias, strict=True)
            return torch.cat([F.linear(*part) for part in parts])
        weight = self.weight.flatten(2).transpose(1, 2)  # [E, inputs, outputs]
        rows = x.reshape(len(weight), -1, x.shape[-1])
        return torch.baddbmm(self.bias.unsqueeze(1), rows, weight).view(*x.shape[:-1], -1)


class StackedPatches(StackedLinear):
    """E convolutions whose stride is their kernel p, so that each patch is one row of a product."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter, patch: int) -> None:
        super().__init__(weight, bias)
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """[E B, outputs, H / p, W / p] from x [E B, C, H, W]."""
        p = self.patch
        grid = x.unflatten(3, (-1, p)).unflatten(2, (-1, p))  # [E B, C, H / p, p, W / p, p]
        patches = grid.permute(0, 2, 4, 1, 3, 5).flatten(3)
        return super().forward(patches).permute(0, 3, 1, 2)


class Stack(nn.Module):
    """(x_t [E B, ...], t [E B], c) -> y [E B, ...]: of the rows, network e sees the e-th B.

    It runs the network's own code. Linear layers and patches hold E matrices; a parameter that a
    module adds to its rows, a table or a null caption, is spread over them.
    """

    def __init__(self, network: DiTNetwork, flat: Flat) -> None:
        super().__init__()
        self.height = len(flat)
        self.network = copy.deepcopy(network)
        self.tables = nn.ParameterList()
        self.users: list[tuple[nn.Module, str]] = []
        self.readers: list[StackedLinear] = []
        for path, module in list(self.network.named_modules()):
            if isinstance(module, nn.Linear | nn.Conv2d):
                layer = _stacked(path, module, flat)
                self.network.set_submodule(path, layer)
                if path == "text" or path.endswith(".cross.key_value"):
                    self.readers.append(layer)
                continue
            for name, _ in list(module.named_parameters(recurse=False)):
                delattr(module, name)
                self.users.append((module, name))
                self.tables.append(flat.stacked(f"{path}.{name}" if path else name))

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        each = len(x) // self.height
        shared = None if c is None or self.network.trunk.compiled else c.shared
        for layer in self.readers:
            layer.sizes = None if shared is None else shared.sizes
        for table, (module, name) in zip(self.tables, self.users, strict=True):
            # It stays there until the next call: a block run again going backward reads it again.
            rows = table.unsqueeze(1).expand(-1, each, *table.shape[1:])
            setattr(module, name, rows.flatten(0, 1))
        return self.network(x, t, c)


def _stacked(path: str, module: nn.Linear | nn.Conv2d, flat: Flat) -> StackedLinear:
    weight, bias = flat.stacked(f"{path}.weight"), flat.stacked(f"{path}.bias")
    if isinstance(module, nn.Linear):
        return StackedLinear(weight, bias)
    return StackedPatches(weight, bias, module.stride[0])
