"""What a router goes by: its answers where the caption, the clip or both are another's.

The router is trained on the cluster a clip came from, and sees its caption: whether it reads the
state or the words cannot be told from its accuracy.  (Paris 2.0, §3.2)
"""

from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.pipeline.stage import Measurement, Stage
from experiments.pipeline.store import Context
from experiments.stages.clusters import noised
from experiments.stages.corpus import Corpus
from experiments.stages.experts import TrainRouter
from experiments.stages.routers import answers
from experiments.stages.seeds import MEASURING, run_seed
from modules.schedules import Linear
from modules.text import GivenFrame

STATES = 2_048
"""Held-out clips, the first, that a router is asked about."""
TIMES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


class Shown(Enum):
    """What of a clip the router is shown truly; the rest is that of another clip, drawn anew."""

    ALL = "all its own"
    STATE = "another's caption"
    CAPTION = "another's state"
    NOTHING = "both another's"
    SILENT = "no caption"
    FIRST = "and its first frame"


@dataclass(frozen=True)
class Evidence(Measurement):
    """measured.json: by what is shown, the router's accuracy and cross-entropy at every time.

    `mean` is over the times. Another's is a permutation of the held-out clips: of K equal clusters
    one in K happens to be of the same.
    """

    router: TrainRouter
    corpus: Corpus
    seed: int

    @property
    def label(self) -> str:
        return f"evidence of the {self.router.label}"

    def inputs(self) -> tuple[Stage, ...]:
        return (self.router, self.corpus.heldout, *self.corpus.placed())

    def measure(self, folder: Path, context: Context) -> dict[str, Any]:
        device, store = context.torch_device, context.store
        heldout = self.corpus.heldout
        names = {"x0": "latents", "frame_feature": "features", "pooled": "pooled"}
        data = {
            name: torch.from_numpy(heldout.array(store, array)[:STATES]).float()
            for name, array in names.items()
        }
        x0, blank = data["x0"], torch.zeros(len(data["x0"]), 1, 1)
        data["tokens"] = blank  # which no router reads
        cluster = torch.from_numpy(self.corpus.heldout_clusters(store)[:STATES])
        router = self.router.load(store).to(device)
        g = torch.Generator().manual_seed(run_seed(self.seed, MEASURING, 0))
        other = torch.randperm(len(x0), generator=g)
        by_shown: dict[str, dict[str, float]] = {}
        for shown in Shown:
            each = {}
            for i, t in enumerate(TIMES):
                seed = run_seed(self.seed, MEASURING, 1 + i)
                p = answers(router, self._states(data, shown, other, seed, t), device)
                each[f"accuracy {t:g}"] = float((p.argmax(1) == cluster).float().mean())
                each[f"entropy {t:g}"] = float(F.nll_loss(p.clamp(min=1e-12).log(), cluster))
            for kind in ("accuracy", "entropy"):
                each[kind] = float(np.mean([each[f"{kind} {t:g}"] for t in TIMES]))
            by_shown[shown.value] = each
        return by_shown

    def _states(
        self, data: dict[str, Tensor], shown: Shown, other: Tensor, seed: int, t: float
    ) -> Any:
        """x_t, t, eps and c as the router shall see them."""
        changed = dict(data)
        if shown in (Shown.CAPTION, Shown.NOTHING):
            changed["x0"] = data["x0"][other]
        if shown in (Shown.STATE, Shown.NOTHING):
            changed["pooled"] = data["pooled"][other]
        x, times, eps, c = noised(changed, Linear(), seed, t)
        if shown is Shown.SILENT:
            c = c.null()
        if shown is Shown.FIRST:
            keep = torch.ones(len(x), dtype=torch.bool)
            c = replace(c, first=GivenFrame(data["x0"][:, :, :1], data["frame_feature"], keep))
        return x, times, eps, c
