"""The stage that distils an ensemble into one network, which samples as any expert does."""

from collections.abc import Hashable
from dataclasses import dataclass

from experiments.pipeline.store import Store
from experiments.stages.experts import TrainExpert
from experiments.stages.routers import Routing
from modules.denoising import DenoisingExpert
from modules.distilling import StudentExpert
from modules.ensemble import Ensemble
from modules.selection import Selection, Top
from modules.training import EVERY_ROW


@dataclass(frozen=True)
class TrainStudent(TrainExpert):
    """weights.safetensors and card.json of a student of `teachers`, on the shards that it names.

    router, selection: who of them is asked, as in sampling. It sees the data and the teachers'
    answers to noised data; targets are drawn anew, a function of (seed, step), and kept nowhere.
    """

    teachers: tuple[TrainExpert, ...] = ()
    router: Routing | None = None
    selection: Selection = Top(1)

    @property
    def name(self) -> str:
        return f"student of {self.selection}"

    @property
    def stack_key(self) -> Hashable:
        """Made by itself: what it asks of its teachers is no call that others share."""
        return None

    def begun(self, store: Store, rows: slice = EVERY_ROW) -> DenoisingExpert:
        """The untrained module, with its teachers. ValueError without a router."""
        module = super().begun(store, rows)
        if self.router is None or not isinstance(module, StudentExpert):
            raise ValueError(f"{self.label} needs a router and an objective of students")
        experts = [stage.load(store).expert() for stage in self.teachers]
        module.taught_by(Ensemble(experts, self.router.load(store).eval(), self.selection))
        return module
