"""The measurement of expert-data alignment: one selection, at held-out states and along sampling.

Every expert is asked about every state, selected or not; the formulas are metrics/alignment.py's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.measures.routing import MEAN, averaged
from experiments.pipeline.stage import Measurement
from experiments.pipeline.store import Context, Store
from experiments.stages.clusters import Encoded, noised
from experiments.stages.corpus import Shards
from experiments.stages.samples import Sample
from experiments.stages.seeds import MEASURING, run_seed
from metrics import alignment
from modules.ensemble import Ensemble
from modules.guidance import Guided
from modules.sampling import euler, uniform
from modules.text import Text

HELDOUT, SAMPLING = "held-out", "sampling"
SHIFT = 1e-2
"""The norm of a shift a pixel in sensitivity: far below the noise, far above float32's rounding."""


@dataclass(frozen=True)
class States:
    """x [N, ...] at t [N] under c; the picture each belongs to; the velocity, where it is known."""

    x: Tensor
    t: Tensor
    c: Text
    picture: Tensor
    target: Tensor | None


@dataclass(frozen=True)
class Aligned(Measurement):
    """The measures by place ("held-out", "sampling") and time: "held-out 0.5", and each mean.

    Held-out states are noised pictures under their own captions. Those of sampling are met on the
    way to the pictures of `sample`, at the solver's time nearest to each of `times`.
    """

    sample: Sample
    heldout: Encoded
    times: tuple[float, ...]

    @property
    def label(self) -> str:
        return f"alignment in {self.sample.label}"

    @property
    def cost(self) -> float:
        return self.sample.cost

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        device, store = context.torch_device, context.store
        loaded, encoded = self.sample.load(store, device), self.heldout.load(store)
        n = min(self.sample.batch, self.sample.n, len(encoded["x0"]))  # one batch of states
        data, rows = {name: x[:n].to(device) for name, x in encoded.items()}, range(n)
        ensemble = self.sample.ensemble(loaded, rows)
        clusters = Shards.of(self.sample.shards).clusters
        centroids = np.load(store.file(clusters, "centroids.npy"))
        ends = self._ends(store, n, device)
        measures: dict[str, Any] = {}
        with torch.inference_mode():
            noise = self.sample.noise(rows).to(device)
            walks = {
                HELDOUT: self._heldout(data),
                SAMPLING: self._met(ensemble, noise, loaded.condition(range(n)), ends),
            }
            for place, walk in walks.items():
                parts = {t: self._one(ensemble, states, centroids) for t, states in walk}
                measures.update({f"{place} {t}": part for t, part in parts.items()})
                measures[f"{place} {MEAN}"] = averaged({str(t): p for t, p in parts.items()})
        return measures

    def _ends(self, store: Store, n: int, device: torch.device) -> Tensor:
        """What the samples ended as, encoded like the data: latents of pictures within range."""
        latents = self.sample.shards.latents
        encoded = latents.encode(self.sample.images(store, n), device)
        return torch.from_numpy(encoded).float().to(device)

    def _seed(self, *who: int) -> int:
        return run_seed(self.sample.seed, MEASURING, *who)

    def _heldout(self, data: dict[str, Tensor]) -> Iterator[tuple[float, States]]:
        path = self.sample.setting.path
        host = {name: x.cpu() for name, x in data.items()}
        for i, time in enumerate(self.times):
            x, t, eps, c = noised(host, path, self._seed(i), time)
            x0 = host["x0"]
            u = path.dalpha(t)[0] * x0 + path.dsigma(t)[0] * eps
            there = data["x0"].device
            given = c.to(there), data["x0"], u.to(there)
            yield time, States(x.to(there), t.to(there), *given)

    def _met(
        self, ensemble: Ensemble, x: Tensor, c: Text, ends: Tensor
    ) -> Iterator[tuple[float, States]]:
        steps, guided = self.sample.setting.steps, Guided(ensemble, self.sample.setting.guidance)
        grid = uniform(steps)
        done = 0
        for time in self.times:  # falling, as sampling goes
            step = min(round((1 - time) * steps), steps - 1)
            x = euler(lambda x, t: guided(x, t, c), x, grid[done : step + 1])
            done = step
            t = grid[step].to(x).expand(len(x))
            yield time, States(x, t, c, ends, None)

    def _one(
        self, ensemble: Ensemble, states: States, centroids: np.ndarray
    ) -> dict[str, float | None]:
        """Every measure at one time."""
        x, t, c = states.x, states.t, states.c
        field = Guided(ensemble, self.sample.setting.guidance)
        u, shift = field(x, t, c), self._shift(x)
        moved = field(x + shift, t, c)
        half = 1 / (2 * self.sample.setting.steps)  # no step may pass t = 0
        half = min(half, float(t[0]) / 2)
        middle = x - half * u
        fine = middle - half * field(middle, t - half, c)
        measures: dict[str, float | None] = {
            "sensitivity": alignment.sensitivity(_numpy(u), _numpy(moved), _numpy(shift)),
            "refinement": alignment.refinement(_numpy(x), _numpy(x - 2 * half * u), _numpy(fine)),
        }
        return {**measures, **self._by_expert(ensemble, states, centroids)}

    def _by_expert(
        self, ensemble: Ensemble, states: States, centroids: np.ndarray
    ) -> dict[str, float | None]:
        """The measures that tell experts apart; those of clusters not for a lone network."""
        x, t, c = states.x, states.t, states.c
        w = _numpy(ensemble.weights(x, t, c))
        how = (ensemble.path, ensemble.alignment, ensemble.guard)
        each = np.stack([_numpy(e.velocity(x, t, c, *how)) for e in ensemble.experts], axis=1)
        measures: dict[str, float | None] = {
            "angle": alignment.angular_disagreement(w, each),
            "cluster_distance": None,
            "selected_error": None,
            "unselected_error": None,
        }
        if w.shape[1] == len(centroids):
            pictures = self.sample.shards.latents.decode(_numpy(states.picture))
            encoder = Shards.of(self.sample.shards).clusters.encoded.features
            features = encoder.encode(pictures)
            measures["cluster_distance"] = alignment.cluster_distance(w, features, centroids)
        if states.target is not None:
            errors = alignment.expert_errors(each, _numpy(states.target))
            measures["selected_error"] = alignment.selected_error(w, errors)
            measures["unselected_error"] = alignment.unselected_error(w, errors)
        return measures

    def _shift(self, x: Tensor) -> Tensor:
        """A small isotropic shift, the same for every selection."""
        g = torch.Generator().manual_seed(self._seed(len(self.times)))
        return SHIFT * torch.randn(x.shape, generator=g).to(x)


def _numpy(x: Tensor) -> np.ndarray:
    return x.cpu().numpy()
