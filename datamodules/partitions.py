"""Partitions that are stated rather than found: at random, or by factors of a scene.

They stand beside the k-means of `clusters`: a scale has one, or None for the clusters of features.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from datamodules.sources.scenes import WORDS, Factor, values_of

Numbers = NDArray[np.int64]


class StatedPartition(Protocol):
    """A frozen value: which cluster a record belongs to, whatever its features."""

    def numbers(self, keys: Sequence[str], labels: Numbers, k: int, seed: int) -> Numbers:
        """The cluster [N], 0 to k - 1, of records with these keys and labels [N].

        seed: of the partition.  ValueError for a k that it cannot make.
        """
        ...


@dataclass(frozen=True)
class AtRandom:
    """Each record is in any cluster with the same probability, by a hash of its key."""

    def numbers(self, keys: Sequence[str], labels: Numbers, k: int, seed: int) -> Numbers:
        digests = (hashlib.sha256(f"{seed} {key}".encode()).digest() for key in keys)
        return np.array([int.from_bytes(digest[:8], "big") % k for digest in digests])


@dataclass(frozen=True)
class Grouped:
    """A factor's values in groups of neighbours, as equal as they can be.

    ValueError for more groups than values, or fewer than two.
    """

    factor: Factor
    groups: int

    def __post_init__(self) -> None:
        values = len(WORDS[self.factor])
        if not 2 <= self.groups <= values:
            raise ValueError(f"{self.groups} groups of the {values} values of {self.factor.value}")

    def group(self, values: Numbers) -> Numbers:
        """The group [N], 0 to groups - 1, of values [N]."""
        return values * self.groups // len(WORDS[self.factor])


@dataclass(frozen=True)
class ByFactors:
    """A cluster for each combination of groups: of scenes alone, whose labels say every factor."""

    parts: tuple[Grouped, ...]

    def numbers(self, keys: Sequence[str], labels: Numbers, k: int, seed: int) -> Numbers:
        shape = tuple(part.groups for part in self.parts)
        if np.prod(shape) != k:
            raise ValueError(f"groups of {shape} make {np.prod(shape)} clusters, not {k}")
        if len(labels) and labels.min() < 0:
            raise ValueError("a partition by factors needs the labels of scenes")
        values = values_of(labels)
        groups = tuple(part.group(values[part.factor]) for part in self.parts)
        return np.ravel_multi_index(groups, shape).astype(np.int64)
