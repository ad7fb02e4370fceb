"""Isolated trainings in one process: E modules, each with its own batches, draws, clipping, AdamW
and average, and one network call a step for all.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from modules.denoising import DenoisingExpert
from modules.dit import DiTNetwork
from modules.stacking import Flat, Stack, small
from modules.text import Text
from modules.training import Batch, DiffusionModule, Posed


class Together(L.LightningModule):
    """E members that are trained to the same bits as each would be alone.

    Of two members or more all have one recipe, `optim`, and networks of one shape that is `small`.
    """

    def __init__(
        self, members: Sequence[DiffusionModule], device: torch.device, log_every: int = 50
    ) -> None:
        super().__init__()
        self.log_every = log_every
        self.members = tuple(members)  # in a tuple they are no submodules: `flat` has their weights
        self.optim, first = members[0].optim, members[0].network.to(device)
        self.flat = Flat([member.network for member in members], device)
        average = self.flat.weights.detach()
        self.average = average if self.optim.ema is None else average.clone()
        if isinstance(first, DiTNetwork) and small(first.shape):
            self.network: nn.Module = Stack(first, self.flat)
        else:
            self.flat.bind(first)
            self.network = first
        self.means: list[dict[str, Tensor]] = []

    def training_step(self, batches: list[Batch], batch_idx: int) -> Tensor:
        asked = [member.pose(b) for member, b in zip(self.members, batches, strict=True)]
        y = self._answers(asked).chunk(len(asked))
        self.means = [
            {name: values.mean() for name, values in member.judged(own, question.target).items()}
            for member, own, question in zip(self.members, y, asked, strict=True)
        ]
        return torch.stack([mean["loss"] for mean in self.means]).sum()

    def _answers(self, asked: Sequence[Posed]) -> Tensor:
        if len(asked) == 1:
            return self.network(asked[0].x_t, asked[0].t, asked[0].c)
        x_t, t = (torch.cat(parts) for parts in zip(*((q.x_t, q.t) for q in asked), strict=True))
        return self.network(x_t, t, Text.joined([q.c for q in asked]))

    def validation_step(self, batches: list[Batch], batch_idx: int) -> Tensor:
        """The first member's loss of held-out pictures. Logged as `validation`, to no logger."""
        (batch,), (member,) = batches, self.members
        assert isinstance(member, DenoisingExpert)
        loss = member.validation_loss(batch, self.network)
        self.log("validation", loss, on_epoch=True, batch_size=len(batch["x0"]), logger=False)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return self.optim.configure([self.flat.weights])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Zero the gradients' rows: unset, those of the parameters would be rows no more."""
        self.flat.gradient.zero_()

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        self.zero_grad()

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        if self.optim.clip is not None:
            self.flat.clip(self.optim.clip)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        step = self.trainer.global_step
        optimizer.step(closure=optimizer_closure)
        self._take_into_average(step)
        if (step + 1) % self.log_every == 0:
            self._log(step)

    @torch.no_grad()
    def _take_into_average(self, step: int) -> None:
        if self.optim.ema is None:
            return  # the average is the weights
        if step <= self.optim.ema_start:
            self.average.copy_(self.flat.weights)
        else:
            self.average.lerp_(self.flat.weights, 1 - self.optim.ema)

    def _log(self, step: int) -> None:
        """To each member's own loggers, what was its own."""
        for i, means in enumerate(self.means):
            numbers = {name: mean.item() for name, mean in means.items()}
            for logger in self.trainer.loggers[i :: len(self.members)]:
                logger.log_metrics({"epoch": self.trainer.current_epoch, **numbers}, step)
                logger.save()

    def loss(self) -> float:
        """The members' mean loss at the last batch."""
        return torch.stack([mean["loss"] for mean in self.means]).mean().item()

    def on_validation_epoch_start(self) -> None:
        self._exchange()

    def on_validation_epoch_end(self) -> None:
        self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        """The weights for their average, and back."""
        kept = self.average.clone()
        self.average.copy_(self.flat.weights)
        self.flat.weights.copy_(kept)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """The weights and their average, [E, P] each: a row for a member."""
        return {"weights": self.flat.weights.detach(), "average": self.average}

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        with torch.no_grad():
            self.flat.weights.copy_(state_dict["weights"])
            self.average.copy_(state_dict["average"])

    def finish(self) -> None:
        """Give every member's network its average."""
        for row, member in zip(self.average, self.members, strict=True):
            self.flat.write(row, member.network)
