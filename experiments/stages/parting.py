"""Routings for ensembles that have several experts of each cluster."""

from dataclasses import dataclass
from pathlib import Path

from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.routers import Routing
from modules.parting import ByTime


@dataclass(frozen=True)
class InRanges(Stage):
    """No file of its own: a router whose clusters have an expert for each range of t.

    boundaries: times between the ranges, rising.
    """

    router: Routing
    boundaries: tuple[float, ...]

    def make(self, folder: Path, context: Context) -> None:
        """Nothing: it is all in the config."""

    def load(self, store: Store) -> ByTime:
        return ByTime(self.router.load(store), self.boundaries)
