"""Contrasts of rows, one number a seed, read from the tables that are published.

A table that was not run, or was made before it had a row, gives None.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.pipeline.files import StoreError, read_json
from experiments.tables.inference import student
from experiments.tables.verdicts import Expected

Names = tuple[str, ...]
"""The leading names of a row, in the order of its table's columns."""


class PublishedTables:
    """The .json files of a results folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables: dict[str, dict[str, Any] | None] = {}

    def table(self, name: str) -> dict[str, Any] | None:
        if name not in self.tables:
            path = self.folder / f"{name}.json"
            self.tables[name] = read_json(path) if path.exists() else None
        return self.tables[name]

    def values(self, table: str, row: Names, key: str) -> list[float | None] | None:
        """A row's number by seed; None where the table was not run, or made before it had that.

        Raises StoreError if several rows begin with these names: the claim is then miswritten.
        """
        content = self.table(table)
        if content is None:
            return None
        rows = [r for r in content["rows"] if tuple(r["names"].values())[: len(row)] == row]
        if len(rows) > 1:
            raise StoreError(f"{table}.json has {len(rows)} rows {row}: the claim names no one row")
        if not rows or not {*key.split("|")} & {*rows[0]["values"]}:
            return None
        return list(rows[0]["values"][self.measured(table, key)])

    def measured(self, table: str, key: str) -> str:
        """Which of the keys `a|b` the table has: b stands in for a where nothing measures a."""
        return next((n for n in key.split("|") if n in self._keys(table)), key.split("|")[0])

    def measures(self, table: str, key: str) -> bool:
        """Whether a table that was run has the number; True for one that was not."""
        return self.table(table) is None or self.measured(table, key) in self._keys(table)

    def _keys(self, table: str) -> Sequence[str]:
        content = self.table(table)
        return [*content["rows"][-1]["values"]] if content else []


class Numbers(Protocol):
    """Whatever has a row's number by seed."""

    def values(self, table: str, row: Names, key: str) -> list[float | None] | None: ...


@dataclass(frozen=True)
class Paired:
    """A contrast by seed.

    differences: [n].  bases: [n], what a margin is a share of, not negative.  choices: among how
    many contrasts this one was picked by looking at them.
    """

    differences: tuple[float, ...]
    bases: tuple[float, ...]
    choices: int = 1


class Contrast(Protocol):
    """What is compared, one number a seed; None where a table was not run."""

    @property
    def rows(self) -> tuple[Names, ...]: ...

    def paired(self, published: Numbers, table: str, key: str) -> Paired | None: ...


class OfRows(ABC):
    """A contrast of the rows that its fields name, at the seeds at which all of them are there."""

    @property
    def rows(self) -> tuple[Names, ...]:
        return tuple(field for field in vars(self).values() if isinstance(field, tuple))

    @abstractmethod
    def differences(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """The contrast [n] of the rows' numbers [rows, n], by seed."""

    def bases(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a margin is a share of, [n]: the last row's numbers."""
        return numbers[-1]

    def paired(self, published: Numbers, table: str, key: str) -> Paired | None:
        columns = [published.values(table, row, key) for row in self.rows]
        complete = [column for column in columns if column is not None]
        if len(complete) < len(columns):
            return None
        together = zip(*complete, strict=True)
        seeds = [tuple(x for x in seed if x is not None) for seed in together if None not in seed]
        if not seeds:
            return Paired((), ())
        numbers = np.array(seeds).T
        differences, bases = self.differences(numbers), np.abs(self.bases(numbers))
        return Paired(tuple(differences.tolist()), tuple(bases.tolist()))


@dataclass(frozen=True)
class Value(OfRows):
    """A row's own number, less a constant; margins are shares of 1."""

    row: Names
    less: float = 0.0

    def differences(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return numbers[0] - self.less

    def bases(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.ones_like(numbers[0])


@dataclass(frozen=True)
class Less(OfRows):
    """Row a less row b, paired by seed; margins are shares of row b."""

    a: Names
    b: Names

    def differences(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b = numbers
        return a - b


@dataclass(frozen=True)
class Swing(OfRows):
    """|a - b| less |c - d|: whether one thing matters less than another; shares are of row d.

    Each size is that of the mean over seeds. Where the true difference is small, its size at each
    seed measures how much seeds differ, and no number of them would mend that.
    """

    a: Names
    b: Names
    c: Names
    d: Names

    def differences(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c, d = numbers
        return _sized(a - b) - _sized(c - d)


def _sized(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences [n] with the sign at which their mean is a size."""
    return differences if differences.mean() >= 0 else -differences


@dataclass(frozen=True)
class Gap(OfRows):
    """(a - b) less (c - d): by how much one difference exceeds another; shares are of row d."""

    a: Names
    b: Names
    c: Names
    d: Names

    def differences(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c, d = numbers
        return (a - b) - (c - d)


@dataclass(frozen=True)
class Weakest:
    """Of contrasts that a claim wants all on one side, the one with the least evidence for it.

    The claim holds only if this one does, with no adjustment for the choice (an intersection-union
    test: Berger, 1982); against the claim it counts as the best of several.
    """

    contrasts: tuple[OfRows, ...]
    expected: Expected

    @property
    def rows(self) -> tuple[Names, ...]:
        return tuple(row for contrast in self.contrasts for row in contrast.rows)

    def paired(self, published: Numbers, table: str, key: str) -> Paired | None:
        made = [contrast.paired(published, table, key) for contrast in self.contrasts]
        complete = [paired for paired in made if paired is not None]
        if len(complete) < len(made):
            return None
        weakest = min(complete, key=self._evidence)
        return replace(weakest, choices=len(made))

    def _evidence(self, paired: Paired) -> float:
        """Student's t towards the claim; 0 where no test is made: too few seeds, or they agree."""
        if len(paired.differences) < 2:
            return 0.0
        t = float(np.nan_to_num(student(np.asarray(paired.differences))))
        return -t if self.expected is Expected.BELOW else t
