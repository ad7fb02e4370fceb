"""A row of a table: its names, its measurement, the paper's numbers beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Store


@dataclass(frozen=True)
class Row:
    """What names the row, the measurement to make, and the paper's numbers by paper column.

    measured: None where the row is the paper's alone.  at: the part of a measurement that gives
    several rows.
    """

    names: Mapping[str, str]
    measured: Measurement | None
    paper: Mapping[str, float] = field(default_factory=dict)
    at: str | None = None

    @property
    def name(self) -> str:
        return joined(self.names.values())

    def lacks(self, store: Store) -> bool:
        """Whether the store has not the measurement that the row asks for."""
        return self.measured is not None and not store.has(self.measured)

    def read(self, store: Store) -> dict[str, float]:
        """The row's numbers by key; none where there is no measurement."""
        if self.measured is None or self.lacks(store):
            return {}
        numbers = self.measured.read(store)
        return numbers if self.at is None else numbers[self.at]


def joined(names: Iterable[str]) -> str:
    """What names a row, in one string; names that are empty are not said."""
    return ", ".join(filter(None, names))


def measurements(rows: Sequence[Sequence[Row]]) -> list[Measurement]:
    """What the rows of every seed are measured by, seed by seed."""
    every = [row.measured for seed_rows in rows for row in seed_rows]
    return [measured for measured in every if measured is not None]
