"""Sweeps: what a table goes through, each an option of its script: --thresholds 0.15 0.25."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from experiments.tables.rows import Row

ScaleT_contra = TypeVar("ScaleT_contra", contravariant=True)


class Sweep(Protocol[ScaleT_contra]):
    """A frozen dataclass whose every field is a tuple of numbers, or None where the scale says
    which. Its defaults are the table's. ValueError, naming the option, for values without sense."""

    def rows(self, scale: ScaleT_contra, seed: int) -> list[Row]: ...


def turned(sweep: Any) -> dict[str, object]:
    """The fields of a sweep that are not the table's own."""
    values = {field: getattr(sweep, field.name) for field in dataclasses.fields(sweep)}
    return {field.name: value for field, value in values.items() if value != field.default}


def check(option: str, values: Sequence[float], low: float, high: float) -> None:
    """ValueError unless these are different numbers from low to high: no two rows share a name."""
    names = [f"{value:g}" for value in values]
    if not names or len({*names}) < len(names) or not all(low <= v <= high for v in values):
        given = f", not {' '.join(names)}" if names else ""
        raise ValueError(f"--{option} takes different numbers from {low:g} to {high:g}{given}")
