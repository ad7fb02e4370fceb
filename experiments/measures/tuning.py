"""What dials are chosen by: the velocity error on pictures that no table scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from datamodules.validation import ValidationBatches
from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context, Store
from experiments.scores.score import Score
from experiments.stages.clusters import Encoded
from experiments.stages.experts import TrainExpert
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import OFF, Velocity
from modules.schedules import Linear, Schedule
from modules.text import Text
from modules.training import Batch

BATCH = 256
PATH = Linear()


@dataclass(frozen=True)
class VelocityError(Measurement):
    """velocity_error: E |u(x_t, t, c) - u*|^2 on the linear path over pictures that were held out,
    each asked of the expert of its cluster; of an FM expert it is the loss.  (HDDM, Eq. 4)

    draws: times t and noises eps of each picture, the same for all experts.  guard: of conversion.
    score: of samples, whose numbers stand beside it.
    """

    experts: tuple[TrainExpert, ...]
    encoded: Encoded
    draws: int
    guard: Guard = OFF
    score: Score | None = None

    @property
    def label(self) -> str:
        return f"velocity error of {self.experts[0].name}"

    def measure(self, folder: Path, context: Context) -> dict[str, float]:
        """ValueError if no picture is of these experts' clusters."""
        store, device = context.store, context.torch_device
        errors = [x for stage in self.experts for x in self._of(stage, store, device)]
        if not errors:
            raise ValueError(f"no held-out picture is of a cluster of {self.label}")
        numbers = {"velocity_error": float(torch.cat(errors).mean())}
        return numbers if self.score is None else {**self.score.read(store), **numbers}

    @torch.inference_mode()
    def _of(self, stage: TrainExpert, store: Store, device: torch.device) -> Iterator[Tensor]:
        """The errors [b] of one expert's pictures, a batch at a time."""
        data = self.encoded.load(store)
        rows = torch.isin(data["cluster"], torch.tensor(stage.clusters)).nonzero().flatten()
        if len(rows) == 0:
            return
        pictures = {name: data[name][rows] for name in ("x0", "tokens", "pooled")}
        batches = ValidationBatches(pictures, rows, self.draws, 0, BATCH)
        expert = stage.load(store).to(device).expert()
        for i in range(len(batches)):
            batch = {name: x.to(device) for name, x in batches[i].items()}
            yield velocity_errors(expert, batch, self.guard).cpu()


def velocity_errors(
    expert: Expert, batch: Batch, guard: Guard = OFF, path: Schedule = PATH
) -> Tensor:
    """|u(x_t, t, c) - u*|^2 [B] of a batch's x0, eps [B, ...] and t [B], the mean over pixels."""
    x0, eps, t = batch["x0"], batch["eps"], batch["t"]
    c = Text.of(batch["tokens"], batch["pooled"])
    u = expert.velocity(path.noise(x0, eps, t), t, c, path, guard=guard)
    return (u - Velocity().target(path, x0, eps, t)).square().flatten(1).mean(1)
