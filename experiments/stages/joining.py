"""The stages by which an expert joins or leaves without a router being trained again.

A card and a head are each made from one cluster's shards; a head also reads the public reference,
which is no expert's training data. Rules and what is built on them are put together when read.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from datamodules.shards import read_index, read_shard
from experiments.pipeline.files import read_json
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.clusters import Encoded
from experiments.stages.corpus import Shards
from experiments.stages.experts import TrainExpert
from experiments.stages.routers import Routing
from experiments.stages.run import ROUTER_SHARE, load_trained, train, training_cost
from experiments.stages.seeds import ROUTER, run_seed
from modules.dit import DiT
from modules.joining import (
    Bayes,
    Captions,
    DenoisingError,
    Head,
    Joined,
    Odds,
    Placed,
    Without,
)
from modules.schedules import Linear, Schedule
from modules.training import EVERY_ROW, Optim


@dataclass(frozen=True)
class Card(Stage):
    """captions.npz: an expert's distinct pooled captions [M, P] and how often each occurs [M]."""

    expert: TrainExpert

    def make(self, folder: Path, context: Context) -> None:
        folders = Shards.of(self.expert.shards).folders(context.store, self.expert.clusters)
        shards = [shard for each in folders for shard in read_index(each)]
        pooled = np.concatenate([read_shard(shard)["pooled"] for shard in shards])
        distinct, counts = np.unique(pooled, axis=0, return_counts=True)
        np.savez(folder / "captions.npz", pooled=distinct, counts=counts)

    def load(self, store: Store) -> tuple[torch.Tensor, torch.Tensor]:
        """The pooled captions [M, P] and their counts [M]."""
        with np.load(store.file(self, "captions.npz")) as arrays:
            return torch.from_numpy(arrays["pooled"]), torch.from_numpy(arrays["counts"])


@dataclass(frozen=True)
class TrainHead(Stage):
    """weights.safetensors of one owner's head: its own cluster's shards against the reference."""

    version: ClassVar[int] = 3
    resumes: ClassVar[bool] = True
    shards: Shards
    cluster: int
    public: Encoded
    schedule: Schedule
    network: DiT
    optim: Optim
    text_dropout: float
    seed: int

    @property
    def clusters(self) -> tuple[int, ...]:
        return (self.cluster,)

    @property
    def label(self) -> str:
        return f"head of expert {self.cluster}, seed {self.seed}"

    @property
    def cost(self) -> float:
        return ROUTER_SHARE * training_cost(self.optim)

    def build(self, store: Store, rows: slice = EVERY_ROW) -> Head:
        """The untrained module, its weights drawn from (seed, cluster)."""
        seed = run_seed(self.seed, ROUTER, self.cluster, 1)  # 1: no router of one cluster's
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Head(
                self.network,
                self.optim,
                self.public.load(store),
                self.shards.text.pooled,
                self.schedule,
                seed,
                self.text_dropout,
                rows,
            )

    def begun(self, store: Store, rows: slice = EVERY_ROW) -> Head:
        """The untrained module."""
        return self.build(store, rows)

    def make(self, folder: Path, context: Context) -> None:
        train([self], [folder], context)

    def load(self, store: Store) -> nn.Module:
        """The trained network, in evaluation mode. CheckpointError if its weights do not fit."""
        module = self.build(store)
        load_trained(module.network, self, store)
        return module.network.eval()


@dataclass(frozen=True)
class Rule(Stage):
    """sizes.json, and from it Bayes' rule over whatever evidence is named; none is the prior alone.

    cards: one for each expert that is there, which gives n_k; others get no weight.
    captions: whether the cards' captions count as evidence of c.
    heads: one for each card, or none.
    experts: one for each card, whose denoising errors count, or none. They read c where captions
    count: p(c | k) p(x_t | k, c), else p(x_t | k).
    """

    cards: tuple[Card, ...]
    captions: bool = False
    heads: tuple[TrainHead, ...] = ()
    experts: tuple[TrainExpert, ...] = ()
    levels: int = 2
    path: Schedule = Linear()

    def make(self, folder: Path, context: Context) -> None:
        sizes = [int(card.load(context.store)[1].sum()) for card in self.cards]
        (folder / "sizes.json").write_text(json.dumps({"sizes": sizes}) + "\n")

    @property
    def places(self) -> list[int]:
        """The clusters of the cards, in order."""
        return [k for card in self.cards for k in card.expert.clusters]

    def load(self, store: Store) -> Placed:
        evidence: list[nn.Module] = []
        if self.captions:
            evidence.append(Captions([card.load(store) for card in self.cards]))
        if self.heads:
            evidence.append(Odds([head.load(store) for head in self.heads]))
        if self.experts:
            experts = [stage.load(store).expert() for stage in self.experts]
            evidence.append(DenoisingError(experts, self.levels, self.captions, self.path))
        rule = Bayes(read_json(store.file(self, "sizes.json"))["sizes"], *evidence)
        return Placed(rule, self.places, self.cards[0].expert.shards.k).eval()


@dataclass(frozen=True)
class Removed(Stage):
    """No file of its own: a router that no longer gives the removed experts any weight."""

    router: Routing
    removed: tuple[int, ...]

    def make(self, folder: Path, context: Context) -> None:
        """Nothing: it is all in the config."""

    def load(self, store: Store) -> Without:
        return Without(self.router.load(store), self.removed)


@dataclass(frozen=True)
class Added(Stage):
    """No file of its own: a router that never saw the newcomers, and the rule that adds them."""

    router: Routing
    rule: Rule
    newcomers: tuple[int, ...]

    def make(self, folder: Path, context: Context) -> None:
        """Nothing: it is all in the config."""

    def load(self, store: Store) -> Joined:
        return Joined(self.router.load(store), self.rule.load(store), self.newcomers)
