"""The stage that draws pictures for held-out captions: an ensemble, a router, a selection."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from datamodules.sources import Source, Split
from experiments.stages import SAMPLING, Shards, TrainExpert, TrainRouter, run_seed
from experiments.store import Context, Stage, Store
from modules.alignment import Alignment, MatchSNR
from modules.ensemble import Ensemble, Uniform, counting
from modules.guard import Guard
from modules.guidance import Field, Guided
from modules.sampling import euler, starting_noise, uniform
from modules.schedules import Linear, Schedule
from modules.selection import Selection
from modules.text import Text


def heldout_prompts(source: Source, n: int) -> tuple[list[str], NDArray[np.int64]]:
    """n captions and their labels: the held-out split in order, round again if it is short."""
    heldout = source.read(Split.HELDOUT)
    rows = np.arange(n) % len(heldout)
    return [heldout.captions[i] for i in rows], heldout.labels[rows]


@dataclass(frozen=True)
class Sample(Stage):
    """00000.npz, 00001.npz, …: n pictures and how many evaluations they took.

    router None: every expert is as probable as another, for selections that ask no router.
    Row i starts from noise of its own seed, the same under every strategy, so that strategies
    are compared pair by pair.
    """

    resumes: ClassVar[bool] = True
    experts: tuple[TrainExpert, ...]
    router: TrainRouter | None
    selection: Selection
    n: int
    batch: int
    steps: int
    guidance: float
    seed: int
    path: Schedule = Linear()
    alignment: Alignment = MatchSNR()
    guard: Guard = Guard()

    @property
    def shards(self) -> Shards:
        return self.experts[0].shards

    @property
    def label(self) -> str:
        who = self.experts[0].name if len(self.experts) == 1 else f"{self.selection}"
        return f"samples of {who}, seed {self.seed}"

    @property
    def cost(self) -> float:
        return 1.0 if self.router is None else 5.0

    def prompts(self) -> tuple[list[str], NDArray[np.int64]]:
        return heldout_prompts(self.shards.source, self.n)

    def make(self, folder: Path, context: Context) -> None:
        tokens, pooled = map(torch.from_numpy, self.shards.text.encode(self.prompts()[0]))
        c = Text.of(tokens, pooled)
        field, networks = self._load(context.store, context.torch_device)
        bar = tqdm(
            range(0, self.n, self.batch),
            desc=self.label,
            position=context.bar,
            disable=context.bar is None,
            leave=False,
        )
        for i, start in enumerate(bar):
            path = folder / f"{i:05d}.npz"
            if not path.exists():
                rows = range(start, min(start + self.batch, self.n))
                drawn = self._draw(field, networks, c, rows, context.torch_device)
                part = Path(f"{path}.part")
                with open(part, "wb") as file:
                    np.savez(file, **drawn)  # type: ignore[arg-type]
                os.replace(part, path)

    def _load(
        self, store: Store, device: torch.device
    ) -> tuple[Field, dict[str, list[torch.nn.Module]]]:
        """The field to integrate, and the networks whose evaluations are counted."""
        modules = [stage.load(store).to(device) for stage in self.experts]
        router = None if self.router is None else self.router.load(store).to(device)
        ensemble = Ensemble(
            [module.expert() for module in modules],
            Uniform(len(modules)) if router is None else router,
            self.selection,
            self.path,
            self.alignment,
            self.guard,
        )
        networks = {
            "expert": [module.network for module in modules],
            "router": [] if router is None else [router.network],
        }
        return Guided(ensemble, self.guidance), networks

    def _draw(
        self,
        field: Field,
        networks: dict[str, list[torch.nn.Module]],
        captions: Text,
        rows: range,
        device: torch.device,
    ) -> dict[str, NDArray[Any]]:
        """latents [len(rows), C, H, W] and, for each kind of network, its evaluations."""
        source = self.shards.source
        seeds = [run_seed(self.seed, SAMPLING, i) for i in rows]
        noise = starting_noise(seeds, (source.channels, source.image, source.image)).to(device)
        c = captions[rows.start : rows.stop].to(device)
        with torch.inference_mode(), ExitStack() as stack:
            count: dict[str, Callable[[], int]] = {
                name: stack.enter_context(counting(some)) for name, some in networks.items()
            }
            x = euler(lambda x, t: field(x, t, c), noise, uniform(self.steps))
            evaluations = {f"{name}_evaluations": np.array(n()) for name, n in count.items()}
        return {"latents": x.cpu().numpy(), **evaluations}

    def images(self, store: Store) -> NDArray[np.float32]:
        """The pictures [n, C, H, W] in [-1, 1]."""
        parts = [part["latents"] for part in self._parts(store)]
        return self.shards.latents.decode(np.concatenate(parts))

    def evaluations(self, store: Store) -> dict[str, float]:
        """Evaluations per sample of the experts and of the router, as counted."""
        parts = self._parts(store)
        return {
            name: float(sum(part[name] for part in parts)) / self.n
            for name in ("expert_evaluations", "router_evaluations")
        }

    def _parts(self, store: Store) -> list[dict[str, NDArray[Any]]]:
        names = [f"{i:05d}.npz" for i in range(-(-self.n // self.batch))]
        parts = []
        for name in names:
            with np.load(store.file(self, name)) as part:
                parts.append(dict(part))
        return parts
