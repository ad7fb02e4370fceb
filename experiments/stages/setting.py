"""How pictures are drawn from experts, whichever they are: what a row of a table varies."""

from dataclasses import dataclass

from modules.alignment import Alignment, MatchSNR
from modules.ensemble import CaptionKept, Ensemble, Posterior
from modules.expert import Expert
from modules.guard import Guard
from modules.guidance import Guide
from modules.routing import EveryNth
from modules.schedules import Linear, Schedule
from modules.selection import Selection
from modules.solvers import Euler, Solver
from modules.training import AnyPrecision, Precision


@dataclass(frozen=True)
class Setting:
    """Guidance and solver, the path they follow, and what is done to converted predictions.

    null_by_caption: the null half of guidance is routed by the caption, as the other half is.
    router_every: the router is asked at each so many-th step, and its answer kept in between.
    """

    steps: int
    guidance: Guide
    path: Schedule = Linear()
    alignment: Alignment = MatchSNR()
    guard: Guard = Guard()
    solver: Solver = Euler()
    precision: AnyPrecision = Precision.SINGLE
    null_by_caption: bool = False
    router_every: int = 1

    def ensemble(self, experts: list[Expert], router: Posterior, how: Selection) -> Ensemble:
        """The field of these experts on the setting's path, for one trajectory."""
        posterior = CaptionKept(router) if self.null_by_caption else router
        if self.router_every > 1:
            posterior = EveryNth(posterior, self.router_every, self.steps)
        return Ensemble(experts, posterior, how, self.path, self.alignment, self.guard)
