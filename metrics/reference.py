"""Statistics of real pictures on disk, in files that are named after what they describe."""

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics.frechet import Moments
from metrics.networks.features import Features


class StatisticsError(ValueError):
    """Statistics that cannot be read or describe other features. Names the file."""


@dataclass(frozen=True)
class ReferenceSet:
    """What moments describe: features of the first n pictures of a split.

    data: the source's name, such as coco2014.  resize: how the pictures were prepared, such as
    crop256-lanczos; the judge's own filter is in the name of `features`.
    An FID changes with each of these fields, so all are in the file's name. Raises ValueError for
    a part with other characters than letters, digits, ".", "+" and "-".
    """

    data: str
    split: str
    n: int
    resize: str
    features: Features

    def __post_init__(self) -> None:
        for part in (self.data, self.split, self.resize, self.features.name):
            if not re.fullmatch(r"[A-Za-z0-9.+-]+", part):  # "_" separates the parts
                raise ValueError(f"{part!r} cannot stand in a file name: letters, digits, . + -")

    @property
    def file(self) -> str:
        """The file's name; different references have different names."""
        parts = (self.data, self.split, f"n{self.n}", self.resize, self.features.name)
        return "_".join(parts) + ".npz"


def save_moments(moments: Moments, path: Path) -> None:
    """Write an npz with `mu` [F] and `sigma` [F, F], which pytorch-fid's command line accepts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.npz")  # complete or absent
    np.savez_compressed(temporary, mu=moments.mean, sigma=moments.covariance)
    temporary.replace(path)


def load_moments(path: Path) -> Moments:
    """Statistics in pytorch-fid's format, ours or published: `mu` [F] and `sigma` [F, F].

    Raises StatisticsError if the file is missing or damaged, or the shapes do not fit.
    """
    try:
        with np.load(path) as arrays:
            mu, sigma = (arrays[key].astype(np.float64) for key in ("mu", "sigma"))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise StatisticsError(f"{path} holds no statistics (mu, sigma): {error}") from error
    if mu.ndim != 1 or sigma.shape != (mu.size, mu.size):
        raise StatisticsError(
            f"{path}: mu {list(mu.shape)} and sigma {list(sigma.shape)} do not fit each other"
        )
    return Moments(mu, sigma)
