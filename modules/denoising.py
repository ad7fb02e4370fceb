"""LightningModules of the experts, one per objective: thin, over one base.

Each trains on its own cluster's batches and nothing else; what an ensemble takes from it is
`expert()`, the network with the objective and schedule it was trained on.
"""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from modules.dit import DiT, DiTNetwork
from modules.expert import Expert
from modules.mmdit import MMDiT, MMDiTNetwork
from modules.objectives import X0, Epsilon, Objective, V, Velocity, check_invertible
from modules.schedules import Cosine, Linear, Schedule
from modules.text import Text
from modules.training import EVERY_ROW, Batch, DiffusionModule, Optim, Times, UniformTimes


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

    def loss(self, x0: Tensor, t: Tensor, eps: Tensor, c: Text) -> Tensor:
        """The mean over x0, eps [B, ...], t [B] and all pixels of the squared error."""
        x_t = self.schedule.noise(x0, eps, t)
        target = self.objective.target(self.schedule, x0, eps, t)
        return F.mse_loss(self.network(x_t, t, c), target)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        t, eps, c = self.draw(batch)
        loss = self.loss(batch["x0"], t, eps, c)
        self.log("loss", loss, prog_bar=True, sync_dist=True)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The same loss of held-out pictures, at the t and eps that came with them, captions kept.

        Logged as `validation`, the mean over all pictures, to no logger.
        """
        c = Text.of(batch["tokens"], batch["pooled"])
        loss = self.loss(batch["x0"], batch["t"], batch["eps"], c)
        n = len(batch["x0"])
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
