"""The suite in a notebook: the experts, routers and samples that a scale's tables are made from.

    from experiments.lab import Lab
    lab = Lab("small", train=True)
    ensemble = lab.ensemble(Top(2), {0: "ddpm", 3: "ddpm"})
    pictures = lab.draw(ensemble, ["the digit three"], guidance=2.0)
    weights = lab.routing(ensemble, ["the digit three"])

Networks and samples are those of the tables, by the same keys: what a table has trained is there.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn

from datamodules.encoders.encoder import CPU
from experiments.hddm.readings import corrected
from experiments.hddm.variants import OBJECTIVES, ROUTERS
from experiments.pipeline import build
from experiments.pipeline.address import open_store
from experiments.pipeline.cores import cores
from experiments.pipeline.files import StoreError
from experiments.pipeline.launch.local import Local
from experiments.pipeline.process import in_one_thread
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.named import turned_by_name
from experiments.recipes.scale import Scale
from experiments.stages.corpus import Corpus
from experiments.stages.experts import TrainExpert
from experiments.stages.prompts import Heldout
from experiments.stages.samples import Images, Sample
from experiments.stages.seeds import SAMPLING, run_seed
from modules.ensemble import Ensemble, Posterior, Uniform
from modules.expert import Expert
from modules.guidance import Guide
from modules.recorded import Recorded
from modules.sampling import starting_noise
from modules.selection import Only, Selection
from modules.solvers import Euler, Solver
from modules.text import Text

NO_WORKER = (
    "a worker ended before its work: it could not import the program, or memory ran out. A script "
    "that makes networks is a file, and does so below `if __name__ == '__main__':`"
)
StageT = TypeVar("StageT", bound=Stage)
Value = TypeVar("Value")


class Lab:
    """One seed of a scale: its networks and samples from a store, and pictures drawn with them.

    Args:
        scale: a name from `recipes.images.SCALES`, or a scale, as those of `recipes.video`.
        dials: dials to turn, by name: {"train.steps": 300}.
        seed: of the data's split, clusters, weights and noise, as a table's seed.
        store: where artifacts lie: a folder, or an address of fsspec.
        train: make what the store lacks, in worker processes; else StoreError names it.

    Raises ValueError for an unknown scale or a negative seed, TypeError for a dial or its type.
    """

    remedy: ClassVar[str] = "Lab(…, train=True) makes it first"

    def __init__(
        self,
        scale: str | Scale[Any] = "small",
        dials: Mapping[str, object] | None = None,
        seed: int = 0,
        store: str | Path = "store",
        train: bool = False,
    ) -> None:
        if seed < 0:
            raise ValueError(f"seed must not be negative, not {seed}")
        whole = _named(SCALES, scale) if isinstance(scale, str) else scale
        self.scale = turned_by_name(whole, dials or {}).of_seed(seed)
        self.seed, self.store, self.train = seed, open_store(str(store)), train

    def made(self, stage: StageT) -> StageT:
        """The stage, once its artifact is in the store. StoreError if it is not, and not to be."""
        self._make([stage])
        return stage

    def expert(self, cluster: int, objective: str = "fm") -> Expert:
        """The expert of a cluster. objective: "fm", "ddpm", "x0" or "v". ValueError for others."""
        if cluster not in range(k := self.scale.data.clusters):
            raise ValueError(f"cluster {cluster} must lie between 0 and {k - 1}")
        return self._loaded(self._expert(cluster, objective))

    def monolith(self, objective: str = "fm") -> Expert:
        """The one network of all clusters, of as many FLOPs in training as all experts."""
        return self._loaded(experts.monolith(self.scale, _named(OBJECTIVES, objective), self.seed))

    def router(self, text: str = "text-aware", calibrated: bool = False) -> nn.Module:
        """p(k | x_t, t, c) [B, K]. text: "text-aware" or "text-free", which sees no caption."""
        which = experts.calibrated if calibrated else experts.router
        stage = which(self.scale, _named(ROUTERS, text), self.seed)
        return self.made(stage).load(self.store).eval()

    def ensemble(
        self,
        selection: Selection,
        objectives: Mapping[int, str] | None = None,
        router: str | None = "text-aware",
    ) -> Ensemble:
        """The experts of all clusters under a router, as the tables mix them: asked at the same
        signal-to-noise ratio, DDPM experts no later than LAST.

        objectives: of the clusters whose experts are not Flow Matching's.  router: "text-aware",
        "text-free", or None for selections that ask none.
        """
        those, every = objectives or {}, range(self.scale.data.clusters)
        if not {*those} <= {*every}:
            raise ValueError(f"objectives of clusters {sorted(those)}: there are {[*every]}")
        stages = [self._expert(k, those.get(k, "fm")) for k in every]
        self._make(stages)  # at once: to begin workers takes longer than to train a small expert
        members = [self._loaded(stage) for stage in stages]
        posterior = Uniform(len(members)) if router is None else self.router(router)
        return self._field(members, posterior, selection)

    def alone(self, expert: Expert) -> Ensemble:
        """The field of one expert."""
        return self._field([expert], Uniform(1), Only(0))

    def text(self, captions: Sequence[str]) -> Text:
        """Captions as the networks read them. ValueError for one that is too long, for none, or
        for a bare string, whose letters would be captions."""
        if isinstance(captions, str) or not captions:
            raise ValueError(f"captions are a list with one at least, not {captions!r}")
        tokens, pooled = map(torch.from_numpy, self.scale.data.text.encode([*captions], CPU))
        return Text.of(tokens.float(), pooled.float())

    def captions(self, n: int) -> list[str]:
        """The first n captions of the held-out split, which the tables ask for in turn."""
        heldout = self.made(self._corpus.heldout)
        return Heldout(n).read(heldout.captions(self.store))[0]

    def noise(self, n: int) -> Tensor:
        """Standard normal noise [n, *latent] of the tables: row i from a seed of its own."""
        seeds = [run_seed(self.seed, SAMPLING, i) for i in range(n)]
        return starting_noise(seeds, self._corpus.latent_shape)

    def draw(
        self,
        ensemble: Ensemble,
        captions: Sequence[str],
        steps: int | None = None,
        guidance: Guide | None = None,
        solver: Solver = Euler(),
        noise: Tensor | None = None,
    ) -> Images:
        """Pictures [N, C, H, W] in [-1, 1], or clips [N, C, T, H, W], one for each caption.

        steps, guidance: the scale's own where none are given.  noise: [N, *latent]; `noise(N)`.
        """
        how, c = scores.default(self.scale), self.text(captions)
        x = self.noise(len(captions)) if noise is None else noise
        later = torch.Generator().manual_seed(run_seed(self.seed, SAMPLING))
        with torch.inference_mode(), in_one_thread():  # sums as a table's, to the bit
            latents = solver.draw(
                ensemble,
                c,
                how.guidance if guidance is None else guidance,
                x,
                how.steps if steps is None else steps,
                lambda _: torch.randn(x.shape, generator=later),
            )
        return self.scale.data.latents.decode(latents.numpy(), CPU)

    def routing(
        self,
        ensemble: Ensemble,
        captions: Sequence[str],
        steps: int | None = None,
        guidance: Guide | None = None,
    ) -> pd.DataFrame:
        """Probabilities and weights along the trajectories that `draw` walks with Euler's steps.

        A row for each caption, time and expert: picture, caption, t, expert, p, w. With guidance it
        is the half that reads the caption.
        """
        kept = Recorded(ensemble.selection, len(captions))
        self.draw(replace(ensemble, selection=kept), captions, steps, guidance)
        return pd.concat([_frame(captions, *answer) for answer in kept.answers], ignore_index=True)

    def samples(self, selection: Selection, router: str = "text-aware") -> Images:
        """The pictures of a row of Table 1: held-out captions, Flow Matching experts, a router."""
        whole, routed = self.scale, experts.router(self.scale, _named(ROUTERS, router), self.seed)
        each = [self._expert(k, "fm") for k in range(whole.data.clusters)]
        drawn = scores.score(whole, each, routed, selection, self.seed).pictures
        assert isinstance(drawn, Sample)
        return self.made(drawn).images(self.store)

    def _make(self, stages: Sequence[Stage]) -> None:
        if missing := [stage for stage in stages if not self.store.has(stage)]:
            if not self.train:
                lacked = f"{missing[0].label} ({missing[0].kind}/{missing[0].key})"
                raise StoreError(f"{self.store.place} lacks the {lacked}: {self.remedy}")
            try:
                build.ensure(missing, Context(self.store), Local(cores()))
            except BrokenProcessPool:
                raise StoreError(NO_WORKER) from None

    def _field(self, those: list[Expert], router: Posterior, selection: Selection) -> Ensemble:
        return corrected(scores.default(self.scale)).ensemble(those, router, selection)

    @property
    def _corpus(self) -> Corpus:
        return experts.corpus(self.scale, self.scale.data.source)

    def _expert(self, cluster: int, objective: str) -> TrainExpert:
        return experts.expert(self.scale, _named(OBJECTIVES, objective), cluster, self.seed)

    def _loaded(self, stage: TrainExpert) -> Expert:
        return self.made(stage).load(self.store).eval().expert()


def _named(values: Mapping[str, Value], name: str) -> Value:
    """The value of a name. ValueError that lists those that there are."""
    if name not in values:
        raise ValueError(f"there is no {name!r}: {', '.join(values)}")
    return values[name]


def _frame(captions: Sequence[str], t: Tensor, p: Tensor, w: Tensor) -> pd.DataFrame:
    """One time's answers as rows: p, w [n, K] and t [n] of n captions."""
    n, k = p.shape
    return pd.DataFrame(
        {
            "picture": torch.arange(n).repeat_interleave(k),
            "caption": [caption for caption in captions for _ in range(k)],
            "t": t.repeat_interleave(k),
            "expert": torch.arange(k).repeat(n),
            "p": p.flatten(),
            "w": w.flatten(),
        }
    )
