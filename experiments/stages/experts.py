"""The stages that train: experts, each from its own cluster's shards, and routers.

Beside an expert's weights lies a card: what it predicts, on which schedule, from how many pictures.
"""

import functools
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import torch

from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.corpus import Corpus
from experiments.stages.run import ROUTER_SHARE, Validation, load_trained, train, training_cost
from experiments.stages.seeds import CONTINUED, EXPERT, ROUTER, run_seed
from experiments.stages.starts import PretrainedDiT, PretrainedFlux
from modules.codec import encode
from modules.denoising import DenoisingExpert
from modules.dit import DiT, DiTNetwork
from modules.mmdit import MMDiT, MMDiTNetwork
from modules.objectives import check_invertible
from modules.routing import Router
from modules.schedules import Schedule
from modules.stacking import stackable
from modules.training import EVERY_ROW, Optim, ScaledPrecision, Times, UniformTimes
from modules.weights import flux
from modules.weights.pretrained import Transfer, transfer

if TYPE_CHECKING:
    import pandas as pd

invertible = functools.cache(check_invertible)  # hundreds of experts are of a few pairs


@dataclass(frozen=True)
class Start:
    """The trained expert or checkpoint whose weights another begins with, and which of them.

    The rest is drawn as the beginner's network says: `DiT.text_std`, `DiT.head_std`.  (Eq. 20)
    """

    source: "TrainExpert | PretrainedDiT | PretrainedFlux"
    what: Transfer = Transfer()

    def begin(self, network: DiTNetwork | MMDiTNetwork, store: Store) -> str:
        """Copy them, and say what became of every tensor of a checkpoint."""
        if not isinstance(self.source, TrainExpert):
            return self.source.begin(network, self.what, store)
        source = self.source.load(store).network
        if isinstance(network, MMDiTNetwork):
            assert isinstance(source, MMDiTNetwork)
            return str(flux.initialise(source.transformer.state_dict(), network, self.source.label))
        assert isinstance(source, DiTNetwork)
        transfer(source, network, self.what)
        return ""


@dataclass(frozen=True)
class TrainExpert(Stage):
    """weights.safetensors and card.json of one expert: from its clusters' shards, no other file.

    A monolith is the expert of all clusters.  start: what it begins with, none for weights drawn
    anew.  validation: what validation.csv holds; training is the same to the bit without it.
    given_share: share of clips that are given their first frame, for image-to-video.
    times: t's density.
    later: which in a sequence of stages this is; each draws clips and noise of its own.
    ValueError for an objective without an inverse, or a network begun otherwise than Eq. 21.
    """

    version: ClassVar[int] = 3
    resumes: ClassVar[bool] = True
    shards: Corpus
    clusters: tuple[int, ...]
    module: type[DenoisingExpert]
    schedule: Schedule
    network: DiT | MMDiT
    optim: Optim
    text_dropout: float
    seed: int
    start: Start | None = None
    validation: Validation | None = None
    given_share: float = 0.0
    times: Times = UniformTimes()
    later: int = 0

    def __post_init__(self) -> None:
        invertible(self.module.objective, self.schedule)
        if self.start is not None and not isinstance(self.start.source, TrainExpert):
            self.start.source.check(self.network, self.module.objective)

    def inputs(self) -> tuple[Stage, ...]:
        """The shards, what is begun with and the pictures validated on."""
        start = () if self.start is None else (self.start.source,)
        validation = () if self.validation is None else (self.validation.encoded,)
        return (*super().inputs(), *start, *validation)

    @property
    def name(self) -> str:
        whole = len(self.clusters) == self.shards.k
        return "monolith" if whole else f"expert {','.join(str(k) for k in self.clusters)}"

    @property
    def label(self) -> str:
        begun = "" if self.start is None else " from another's weights"
        return f"{self.module.__name__} {self.name}{begun}, seed {self.seed}"

    @property
    def cost(self) -> float:
        return training_cost(self.optim)

    def build(self, rows: slice = EVERY_ROW) -> DenoisingExpert:
        """The untrained module, its weights drawn from (seed, clusters, later)."""
        role = EXPERT if not self.later else CONTINUED + self.later
        seed = run_seed(self.seed, role, *self.clusters)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            share = self.text_dropout, self.times, self.given_share
            return self.module(self.network, self.optim, self.schedule, seed, *share, rows)

    def begun(self, store: Store, rows: slice = EVERY_ROW) -> DenoisingExpert:
        """The untrained module, with the weights that it starts from."""
        module = self.build(rows)
        if isinstance(module.network, MMDiTNetwork):
            null_t5, null_clip = map(torch.from_numpy, self.shards.text.encode([""]))
            module.network.set_null(null_t5[0], null_clip[0])
        if self.start is not None:
            self.start.begin(module.network, store)
        return module

    @property
    def stack_key(self) -> Hashable:
        """Of small ones those of one shape and recipe; alone if validated, or skipping steps."""
        own = self.validation is not None or isinstance(self.optim.precision, ScaledPrecision)
        alike = not own and stackable(self.network, self.optim.batch)
        return (self.network, self.optim) if alike else None

    def make(self, folder: Path, context: Context) -> None:
        self.make_stack([self], [folder], context)

    @classmethod
    def make_stack(cls, stages: Sequence[Self], folders: Sequence[Path], context: Context) -> None:
        for stage, folder in zip(stages, folders, strict=True):
            stage._report_start(folder, context)
        train(stages, folders, context, stages[0].validation)
        for stage, folder in zip(stages, folders, strict=True):
            stage._write_card(folder, context)

    def _report_start(self, folder: Path, context: Context) -> None:
        """transfer.txt: what became of every tensor of a checkpoint that it is begun with."""
        if self.start is None or isinstance(self.start.source, TrainExpert):
            return
        # Of an MMDiT the report needs no numbers, of which FLUX would want twice 48 GB.
        with torch.device("meta" if isinstance(self.network, MMDiT) else "cpu"):
            report = self.start.begin(self.build().network, context.store)
        (folder / "transfer.txt").write_text(report)

    def _write_card(self, folder: Path, context: Context) -> None:
        card = {
            "objective": encode(self.module.objective),
            "schedule": encode(self.schedule),
            "network": encode(self.network),
            "clusters": list(self.clusters),
            "samples": self.shards.samples(context.store, self.clusters),
        }
        (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")

    def load(self, store: Store) -> DenoisingExpert:
        """The trained module, in evaluation mode. CheckpointError if its weights do not fit."""
        module = self.build()
        load_trained(module.network, self, store)
        return module.eval()

    def validated(self, store: Store) -> "pd.DataFrame":
        """step and loss at every validation, in order; for a stage that has validation."""
        from experiments.training.callbacks import read_curve

        return read_curve(store.file(self, "validation.csv"))


@dataclass(frozen=True)
class TrainRouter(Stage):
    """weights.safetensors of a router, from the shards of the clusters it shall tell apart.

    It answers for all K, and a cluster it never saw gets next to nothing.
    reads_text: whether it reads the caption, as Paris 2.0's does; HDDM's does not (Eq. 2).
    frame_feature: width of a first frame's feature; None for a router that reads none.
    given_share: of clips whose first frame is given.  noised_on: by cluster, if not `schedule`.
    """

    version: ClassVar[int] = 3
    resumes: ClassVar[bool] = True
    shards: Corpus
    clusters: tuple[int, ...]
    reads_text: bool
    schedule: Schedule
    network: DiT
    optim: Optim
    text_dropout: float
    seed: int
    frame_feature: int | None = None
    given_share: float = 0.0
    noised_on: tuple[Schedule, ...] = ()

    @property
    def label(self) -> str:
        which = "" if len(self.clusters) == self.shards.k else f" of {len(self.clusters)}"
        form = "text-aware" if self.reads_text else "text-free"
        noised = " noised per objective" if self.noised_on else ""
        return f"{form} router{which}{noised}, seed {self.seed}"

    @property
    def cost(self) -> float:
        return ROUTER_SHARE * training_cost(self.optim)

    def build(self, rows: slice = EVERY_ROW) -> Router:
        """The untrained module, its weights drawn from the seed."""
        pooled = self.shards.text.pooled if self.reads_text else None
        seed = run_seed(self.seed, ROUTER, *self.clusters)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Router(
                self.network,
                self.optim,
                experts=self.shards.k,
                pooled=pooled,
                schedule=self.schedule,
                seed=seed,
                text_dropout=self.text_dropout,
                frame_feature=self.frame_feature,
                given_share=self.given_share,
                rows=rows,
                noised_on=self.noised_on,
            )

    def begun(self, store: Store, rows: slice = EVERY_ROW) -> Router:
        """The untrained module: no router starts from another's weights."""
        return self.build(rows)

    def make(self, folder: Path, context: Context) -> None:
        train([self], [folder], context)

    def load(self, store: Store) -> Router:
        """The trained module, in evaluation mode. CheckpointError if its weights do not fit."""
        module = self.build()
        load_trained(module.network, self, store)
        return module.eval()
