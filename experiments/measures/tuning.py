"""What dials are chosen by: the velocity error on pictures that no table scores."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context, Store
from experiments.scores.score import Score
from experiments.stages.clusters import Encoded
from experiments.stages.experts import TrainExpert
from experiments.stages.run import Validation
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import OFF, Velocity
from modules.schedules import Linear, Schedule
from modules.text import Text
from modules.training import Batch

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
        present = {*np.load(store.file(self.encoded, "cluster.npy")).tolist()}
        asked = [stage for stage in self.experts if present & {*stage.clusters}]
        if not asked:
            raise ValueError(f"no held-out picture is of a cluster of {self.label}")
        errors = [x for stage in asked for x in self._of(stage, store, device)]
        numbers = {"velocity_error": float(torch.cat(errors).mean())}
        return numbers if self.score is None else {**self.score.read(store), **numbers}

    @torch.inference_mode()
    def _of(self, stage: TrainExpert, store: Store, device: torch.device) -> Iterator[Tensor]:
        """The errors [b] of one expert's pictures, a batch at a time."""
        batches = Validation(self.encoded, 1, self.draws).heldout(store, stage.clusters)
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
