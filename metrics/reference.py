"""Statistics of real pictures on disk, under a name that says what they are of."""

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics.frechet import Moments
from metrics.networks.features import Features


class StatisticsError(ValueError):
    """Statistics that cannot be read, or are of other features. Names the file."""


@dataclass(frozen=True)
class Reference:
    """What moments are of: the first n pictures of a split, prepared in the way of `resize`.

    data: the source's name or key, as "coco2014". resize: what was done to the pictures before any
    judge saw them, as "crop256-lanczos"; the judge's own filter is in the name of `features`.
    An FID changes with each of these, the number of pictures included: so each is in `file`.
    """

    data: str
    split: str
    n: int
    resize: str
    features: Features

    def __post_init__(self) -> None:
        for part in (self.data, self.split, self.resize, self.features.name):
            if not re.fullmatch(r"[A-Za-z0-9.+-]+", part):  # no "_": it parts the name
                raise ValueError(f"{part!r} cannot stand in a file name: letters, digits, . + -")

    @property
    def file(self) -> str:
        """The whole name, one to one: differing references never share a file."""
        parts = (self.data, self.split, f"n{self.n}", self.resize, self.features.name)
        return "_".join(parts) + ".npz"


def save_moments(moments: Moments, path: Path) -> None:
    """npz with `mu` and `sigma`, which pytorch-fid's command line takes in place of a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.{os.getpid()}.npz")  # whole or not at all
    np.savez_compressed(aside, mu=moments.mean, sigma=moments.covariance)
    aside.replace(path)


def load_moments(path: Path) -> Moments:
    """Statistics in pytorch-fid's format: ours, or published ones.

    Raises StatisticsError if the file is absent or damaged, lacks `mu` or `sigma`, or holds shapes
    that do not fit each other.
    """
    try:
        with np.load(path) as held:
            mu, sigma = (held[key].astype(np.float64) for key in ("mu", "sigma"))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise StatisticsError(f"{path} holds no statistics (mu, sigma): {error}") from error
    if mu.ndim != 1 or sigma.shape != (mu.size, mu.size):
        raise StatisticsError(
            f"{path}: mu {list(mu.shape)} and sigma {list(sigma.shape)} do not fit each other"
        )
    return Moments(mu, sigma)
