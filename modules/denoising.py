"""LightningModules of the experts, one per objective: thin, over one base.

Each trains on its own cluster's batches and nothing else; what an ensemble takes from it is
`expert()`, the network with the objective and schedule it was trained on.
"""

from typing import ClassVar

from torch import Tensor, nn

from modules.dit import DiT, DiTNetwork
from modules.expert import Expert
from modules.mmdit import MMDiT, MMDiTNetwork
from modules.objectives import X0, Epsilon, Objective, V, Velocity, check_invertible
from modules.schedules import Cosine, Linear, Schedule
from modules.text import Text
from modules.training import (
    EVERY_ROW,
    Batch,
    DiffusionModule,
    Optim,
    Posed,
    Times,
    UniformTimes,
)


class DenoisingExpert(DiffusionModule):
    """E |network(x_t, t, c) - (a x0 + b eps)|^2, (a, b) being the objective's row.

    The other arguments are DiffusionModule's. Raises ValueError for an objective without an inverse
    at some t of the schedule.
    """

    objective: ClassVar[Objective]
    default_schedule: ClassVar[Schedule]
    network: DiTNetwork | MMDiTNetwork

    def __init__(
        self,
        shape: DiT | MMDiT,
        optim: Optim,
        schedule: Schedule | None = None,
        seed: int = 0,
        text_dropout: float = 0.1,
        times: Times = UniformTimes(),
        given_share: float = 0.0,
        rows: slice = EVERY_ROW,
    ) -> None:
        network = shape.build()
        super().__init__(network, optim, seed, text_dropout, times, given_share, rows)
        self.schedule = self.default_schedule if schedule is None else schedule
        check_invertible(self.objective, self.schedule)

    def noised(self, x0: Tensor, t: Tensor, eps: Tensor, c: Text) -> Posed:
        """The question at x0, eps [B, ...], t [B], and its answer."""
        x_t = self.schedule.noise(x0, eps, t)
        return Posed(x_t, t, c, self.objective.target(self.schedule, x0, eps, t))

    def pose(self, batch: Batch) -> Posed:
        t, eps, c = self.draw(batch)
        if "caption" in batch and c.keep.device.type == "cpu":  # a GPU would be waited for
            c = c.sharing(batch["caption"])
        return self.noised(batch["x0"], t, eps, c)

    def judged(self, y: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The squared error, its mean over a sample's pixels."""
        return {"loss": (y - target).square().flatten(1).mean(1)}

    def loss(self, x0: Tensor, t: Tensor, eps: Tensor, c: Text) -> Tensor:
        """The mean over x0, eps [B, ...], t [B] and all pixels of the squared error."""
        asked = self.noised(x0, t, eps, c)
        return self.judged(self.network(asked.x_t, t, c), asked.target)["loss"].mean()

    def validation_loss(self, batch: Batch, network: nn.Module) -> Tensor:
        """The loss of held-out pictures, at the t and eps that came with them, captions kept."""
        c = Text.of(batch["tokens"], batch["pooled"])
        asked = self.noised(batch["x0"], batch["t"], batch["eps"], c)
        return self.judged(network(asked.x_t, asked.t, c), asked.target)["loss"].mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """`validation_loss`, logged as `validation`, the mean over all pictures, to no logger."""
        loss, n = self.validation_loss(batch, self.network), len(batch["x0"])
        self.log("validation", loss, on_epoch=True, batch_size=n, logger=False)
        return loss

    def expert(self) -> Expert:
        return Expert(self.network, self.objective, self.schedule)


class FlowMatchingExpert(DenoisingExpert):
    """Velocity on the linear path.  (HDDM, Eq. 4)"""

    objective, default_schedule = Velocity(), Linear()


class DDPMExpert(DenoisingExpert):
    """Noise under the cosine schedule.  (HDDM, Eq. 3)"""

    objective, default_schedule = Epsilon(), Cosine()


class X0Expert(DenoisingExpert):
    """Clean data under the cosine schedule.  (HDDM, limitation iii)"""

    objective, default_schedule = X0(), Cosine()


class VExpert(DenoisingExpert):
    """v = alpha eps - sigma x0 under the cosine schedule.  (HDDM, limitation iii)"""

    objective, default_schedule = V(), Cosine()
