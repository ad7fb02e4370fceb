"""LPIPS: between pairs, among all pictures, within each prompt.  (Zhang et al. 2018)

LPIPS is a squared distance: |phi(a) - phi(b)|² of the network's normalised layers, weighed. So the
mean over all pairs of n pictures is twice their variance, n/(n-1) corrected, and takes n passes of
the network in place of n² / 2.
"""

import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metrics.networks.features import exactly
from metrics.networks.weights import reading, torch_file

Images = NDArray[np.uint8] | NDArray[np.floating]

_URL = "https://download.pytorch.org/models/"


class Backbone(Enum):
    """The network below the metric: its name in lpips, and torchvision's weights for it."""

    ALEX = ("alex", "alexnet-owt-7be5be79.pth")
    VGG = ("vgg", "vgg16-397923af.pth")
    SQUEEZE = ("squeeze", "squeezenet1_1-b8a52dc0.pth")


@dataclass(frozen=True)
class Lpips:
    """LPIPS 0.1 by the package lpips; ALEX is what papers mean where they name none.

    Pictures are [N, 3, H, W]: uint8, or floats in [-1, 1]. WeightsError without the weights.
    """

    backbone: Backbone = Backbone.ALEX

    @property
    def title(self) -> str:
        """As a column has it: LPIPS, alex."""
        return f"LPIPS, {self.backbone.value[0]}"

    def locate(self) -> Path:
        """The file of the network below the metric. WeightsError if it is not here."""
        return torch_file(_URL + self.backbone.value[1])

    def pairs(
        self, a: Images, b: Images, device: torch.device, batch: int = 50
    ) -> NDArray[np.float64]:
        """The distance [N] of each picture of `a` to the one of `b` in its place."""
        if a.shape != b.shape:
            raise ValueError(f"pairs need pictures of one shape, not {a.shape} and {b.shape}")
        network, found = _network(self, device), []
        with exactly():
            for start in range(0, len(a), batch):
                x, y = (_signed(part[start : start + batch], device) for part in (a, b))
                found.append(network(x, y).flatten().cpu().double().numpy())
        return np.concatenate(found)

    def among(self, images: Images, device: torch.device, batch: int = 50) -> float:
        """The mean distance of all pairs of n >= 2 pictures: diversity. ValueError for fewer.

        The variance is counted about the first picture, so equal pictures give 0 and not the
        difference of two large numbers.
        """
        n = len(images)
        if n < 2:
            raise ValueError(f"a pair needs two pictures, not {n}")
        network, squares = _network(self, device), 0.0
        with exactly():
            first = list(_layers(network, _signed(images[:1], device)))
            sums = [torch.zeros_like(layer[0], dtype=torch.float64) for layer, _ in first]
            for start in range(0, n, batch):
                layers = _layers(network, _signed(images[start : start + batch], device))
                for (layer, weight), (origin, _), total in zip(layers, first, sums, strict=True):
                    phi = layer.double() - origin.double()
                    squares += float((phi.square() * weight).sum())
                    total += phi.sum(dim=0)
        weights = [weight for _, weight in first]
        of_sums = [float((s.square() * w).sum()) for s, w in zip(sums, weights, strict=True)]
        return 2 * (squares - sum(of_sums) / n) / (n - 1)

    def within(
        self, images: Images, groups: NDArray, device: torch.device, batch: int = 50
    ) -> dict[str, float]:
        """`among` for the pictures of each group [N], by its name: diversity within a prompt.

        Groups of one picture say nothing and are left out.
        """
        return {
            str(group): self.among(images[groups == group], device, batch)
            for group in np.unique(groups)
            if (groups == group).sum() > 1
        }


def _signed(images: Images, device: torch.device) -> Tensor:
    """float32 [N, 3, H, W] in [-1, 1]. ValueError for another shape or range."""
    if images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise ValueError(f"pictures are [N, 3, H, W], not {images.shape}")
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    if images.dtype == np.uint8:
        return x.float() / 127.5 - 1
    if not bool((x.abs() <= 1).all()):
        raise ValueError("floats of pictures lie in [-1, 1]; these do not")
    return x.float()


def _layers(network: Any, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each layer [N, C, H, W] of x, of unit norm over C, and its weight [C, 1, 1] in a position."""
    from lpips import normalize_tensor

    layers = network.net(network.scaling_layer(x))
    for layer, head in zip(layers, network.lins, strict=True):
        positions = layer.shape[2] * layer.shape[3]
        yield normalize_tensor(layer), head.model[-1].weight[0].double() / positions


@functools.lru_cache(maxsize=4)
def _network(value: Lpips, device: torch.device) -> Any:
    import lpips

    with reading(value.locate()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips asks torchvision in an old form
        network = lpips.LPIPS(net=value.backbone.value[0], verbose=False)
    return network.to(device).eval().requires_grad_(False)
