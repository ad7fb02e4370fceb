"""LPIPS of pairs, of all pictures, and of the pictures of each prompt.  (Zhang et al. 2018)

LPIPS is a weighted squared distance |phi(a) - phi(b)|² between normalised layers of a network. The
mean over all pairs of n pictures is therefore twice their unbiased variance, which needs n passes
of the network instead of n² / 2.
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

from metrics.networks.features import exact_inference
from metrics.networks.weights import reading, torch_file

Images = NDArray[np.uint8] | NDArray[np.floating]

_URL = "https://download.pytorch.org/models/"


class Backbone(Enum):
    """The network: its name in lpips, and torchvision's file of its weights."""

    ALEX = ("alex", "alexnet-owt-7be5be79.pth")
    VGG = ("vgg", "vgg16-397923af.pth")
    SQUEEZE = ("squeeze", "squeezenet1_1-b8a52dc0.pth")


@dataclass(frozen=True)
class Lpips:
    """LPIPS 0.1 of the package lpips.

    Pictures are [N, 3, H, W], uint8 or floats in [-1, 1]; ValueError for others. Every method
    raises WeightsFileError without the weights.

    backbone: ALEX is what papers mean if they name none.
    """

    backbone: Backbone = Backbone.ALEX

    @property
    def title(self) -> str:
        """The name of a column: LPIPS, alex."""
        return f"LPIPS, {self.backbone.value[0]}"

    def locate(self) -> Path:
        """The file of the backbone's weights. WeightsFileError if it is missing."""
        return torch_file(_URL + self.backbone.value[1])

    def pairs(
        self, a: Images, b: Images, device: torch.device, batch: int = 50
    ) -> NDArray[np.float64]:
        """The distance [N] of each picture of a [N, 3, H, W] to the same row of b [N, 3, H, W]."""
        if a.shape != b.shape:
            raise ValueError(f"pairs need pictures of one shape, not {a.shape} and {b.shape}")
        network, distances = _network(self, self.locate(), device), []
        with exact_inference():
            for start in range(0, len(a), batch):
                x, y = (_signed(part[start : start + batch], device) for part in (a, b))
                distances.append(network(x, y).flatten().cpu().double().numpy())
        return np.concatenate(distances)

    def diversity(self, images: Images, device: torch.device, batch: int = 50) -> float:
        """The mean distance over all pairs of pictures [n, 3, H, W]. ValueError for n below 2.

        The variance is computed about the first picture, so that equal pictures give exactly 0.
        """
        n = len(images)
        if n < 2:
            raise ValueError(f"a pair needs two pictures, not {n}")
        network, squares = _network(self, self.locate(), device), 0.0
        with exact_inference():
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

    def group_diversity(
        self, images: Images, groups: NDArray, device: torch.device, batch: int = 50
    ) -> dict[str, float]:
        """The diversity of the pictures [N, 3, H, W] of each group, such as a prompt, by its name.

        groups: the group [N] of each picture. Groups of one picture are left out.
        """
        return {
            str(group): self.diversity(images[groups == group], device, batch)
            for group in np.unique(groups)
            if (groups == group).sum() > 1
        }


def _signed(images: Images, device: torch.device) -> Tensor:
    """`images` as float32 [N, 3, H, W] in [-1, 1]. ValueError for another shape or range."""
    if images.ndim != 4 or images.shape[1] != 3 or len(images) == 0:
        raise ValueError(f"pictures are [N, 3, H, W], not {images.shape}")
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    if images.dtype == np.uint8:
        return x.float() / 127.5 - 1
    if not bool((x.abs() <= 1).all()):
        raise ValueError("floats of pictures lie in [-1, 1]; these do not")
    return x.float()


def _layers(network: Any, x: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Each layer [N, C, H, W] of x, of unit norm over C, and its weight [C, 1, 1] at a position."""
    from lpips import normalize_tensor

    layers = network.net(network.scaling_layer(x))
    for layer, head in zip(layers, network.lins, strict=True):
        positions = layer.shape[2] * layer.shape[3]
        yield normalize_tensor(layer), head.model[-1].weight[0].double() / positions


@functools.lru_cache(maxsize=4)
def _network(value: Lpips, weights: Path, device: torch.device) -> Any:
    """weights: the file that lpips will read, so that another one is another network."""
    import lpips

    with reading(weights), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips uses an old interface of torchvision
        network = lpips.LPIPS(net=value.backbone.value[0], verbose=False)
    return network.to(device).eval().requires_grad_(False)
