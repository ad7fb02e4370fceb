"""The stages that judge: the classifier, samples of a strategy, and their score."""

import json
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
from metrics.diversity import agreement, within_groups
from metrics.embedded import DigitJudge, judged, train_judge
from metrics.frechet import frechet_distance, kernel_distance
from modules.alignment import Alignment, MatchSNR
from modules.checkpoint import load_weights, save_weights
from modules.ensemble import Ensemble, counting
from modules.guard import Guard
from modules.guidance import Field, Guided
from modules.sampling import euler, starting_noise, uniform
from modules.selection import Selection
from modules.text import Text


@dataclass(frozen=True)
class Judge(Stage):
    """weights.safetensors of the classifier, and judge.json: how far it can be trusted."""

    source: Source
    steps: int
    seed: int = 0

    @property
    def cost(self) -> float:
        return 0.01 * self.steps

    def make(self, folder: Path, context: Context) -> None:
        split = self.source.read(Split.JUDGE)
        judge = train_judge(split.images, split.labels, self.steps, self.seed)
        save_weights(judge, folder / "weights.safetensors")
        heldout, train = self.source.read(Split.HELDOUT), self.source.read(Split.TRAIN)
        features, classes = judged(judge, heldout.images)
        floor = frechet_distance(judged(judge, train.images)[0], features)
        found = {"accuracy": agreement(classes, heldout.labels), "training_fid": floor}
        (folder / "judge.json").write_text(json.dumps(found) + "\n")

    def read(self, store: Store) -> dict[str, float]:
        return json.loads((store.path(self) / "judge.json").read_text())

    def load(self, store: Store) -> DigitJudge:
        judge = DigitJudge(self.source.classes)
        load_weights(judge, store.path(self) / "weights.safetensors")
        return judge.eval().requires_grad_(False)


@dataclass(frozen=True)
class Sample(Stage):
    """00000.npz, 00001.npz, …: pictures for held-out captions, with evaluations counted.

    router None: the first expert alone. Row i starts from noise of its own seed, the same under
    every strategy, so that strategies are compared pair by pair.
    """

    resumes: ClassVar[bool] = True
    shards: Shards
    experts: tuple[TrainExpert, ...]
    router: TrainRouter | None
    selection: Selection | None
    n: int
    batch: int
    steps: int
    guidance: float
    seed: int
    alignment: Alignment = MatchSNR()
    guard: Guard = Guard()

    @property
    def label(self) -> str:
        return f"samples of {self.selection or 'the monolith'}, seed {self.seed}"

    @property
    def cost(self) -> float:
        return 1.0 if self.router is None else 5.0

    def prompts(self) -> tuple[list[str], NDArray[np.int64]]:
        """n captions and their labels: the held-out split in order, round again if it is short."""
        heldout = self.shards.source.read(Split.HELDOUT)
        rows = np.arange(self.n) % len(heldout)
        return [heldout.captions[i] for i in rows], heldout.labels[rows]

    def make(self, folder: Path, context: Context) -> None:
        tokens, pooled = map(torch.from_numpy, self.shards.text.encode(self.prompts()[0]))
        c = Text.of(tokens, pooled)
        device = context.torch_device
        field, networks = self._load(context.store, device)
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
                rows = slice(start, min(start + self.batch, self.n))
                part = Path(f"{path}.part")
                with open(part, "wb") as file:
                    np.savez(file, **self._draw(field, networks, c[rows], rows, device))  # type: ignore[arg-type]
                os.replace(part, path)

    def _load(
        self, store: Store, device: torch.device
    ) -> tuple[Field, dict[str, list[torch.nn.Module]]]:
        """The field to integrate, and the networks whose evaluations are counted."""
        modules = []
        for stage in self.experts:
            module = stage.build().to(device).eval()
            load_weights(module.network, store.path(stage) / "weights.safetensors")
            modules.append(module)
        networks: dict[str, list[torch.nn.Module]] = {"expert": [m.network for m in modules]}
        if self.router is None or self.selection is None:
            return Guided(modules[0].expert().velocity, self.guidance), {**networks, "router": []}
        router = self.router.build().to(device).eval()
        load_weights(router.network, store.path(self.router) / "weights.safetensors")
        ensemble = Ensemble(
            [module.expert() for module in modules],
            router,
            self.selection,
            alignment=self.alignment,
            guard=self.guard,
        )
        return Guided(ensemble, self.guidance), {**networks, "router": [router.network]}

    def _draw(
        self,
        field: Field,
        networks: dict[str, list[torch.nn.Module]],
        c: Text,
        rows: slice,
        device: torch.device,
    ) -> dict[str, NDArray[Any]]:
        source = self.shards.source
        seeds = [run_seed(self.seed, SAMPLING, i) for i in range(rows.start, rows.stop)]
        noise = starting_noise(seeds, (source.channels, source.image, source.image)).to(device)
        c = Text(c.tokens.to(device), c.pooled.to(device), c.keep.to(device))
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
        return [dict(np.load(path)) for path in sorted(store.path(self).glob("*.npz"))]


@dataclass(frozen=True)
class Score(Stage):
    """score.json: what the judge says of a sample set beside the held-out pictures."""

    sample: Sample
    judge: Judge

    def make(self, folder: Path, context: Context) -> None:
        store = context.store
        judge = self.judge.load(store)
        heldout = self.judge.source.read(Split.HELDOUT)
        reference, _ = judged(judge, heldout.images)
        features, classes = judged(judge, self.sample.images(store))
        _, named = self.sample.prompts()
        found = {
            "fid": frechet_distance(features, reference),
            "kid": kernel_distance(features, reference),
            "accuracy": agreement(classes, named),
            "diversity": within_groups(features, named),
            **self.sample.evaluations(store),
        }
        (folder / "score.json").write_text(json.dumps(found) + "\n")

    def read(self, store: Store) -> dict[str, float]:
        return json.loads((store.path(self) / "score.json").read_text())
