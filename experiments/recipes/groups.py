"""The groups of dials that every scale has: data, expert, router, draw."""

from dataclasses import dataclass
from typing import Protocol

from datamodules.clusters import FineMethod
from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder, TextEncoder
from datamodules.partitions import StatedPartition
from datamodules.sources.source import Source
from experiments.stages.starts import PretrainedDiT, PretrainedFlux
from modules.blocks import Size
from modules.dit import DiT, TextShape
from modules.mmdit import MMDiT
from modules.training import Optim, Times


def at_least(group: str, dials: object, least: int, *names: str) -> None:
    """ValueError naming the first of these dials of a group that is below `least`."""
    for name in names:
        if getattr(dials, name) < least:
            value = getattr(dials, name)
            raise ValueError(f"{group}.{name} must be at least {least}, not {value}")


def check_optim(group: str, optim: Optim) -> None:
    """ValueError, naming the dial, for an optimiser that Optim itself lets pass."""
    at_least(group, optim, 1, "accumulate")
    if not 0 <= optim.warmup <= optim.steps:
        steps = f"0 and steps = {optim.steps}"
        raise ValueError(f"{group}.warmup = {optim.warmup} must lie between {steps}")
    if optim.lr <= 0 or (optim.final_lr is not None and optim.final_lr < 0):
        raise ValueError(f"{group}.lr must be positive, {group}.final_lr not negative")
    if optim.ema is not None and not 0 <= optim.ema < 1:
        raise ValueError(f"{group}.ema must lie in [0, 1), not {optim.ema}")


@dataclass(frozen=True)
class Data:
    """What is learnt from, and how it is divided.

    Args:
        source: the pictures or clips. Another class of them: --source package.module.Class.
        latents, features, text: what encodes them, and their captions.
        clustering: how the fine centroids are found.
        clusters: K, the number of clusters and experts.
        fine: fine centroids of the first stage of k-means.
        per_shard: samples in a webdataset shard.
        by_seed: whether each seed of a table has splits, clusters and a judge of its own, so that
            its intervals are over partitions of the data too; else all seeds share one.
        seed: of clusters and judge; that of a seed of a table is added.
        partition: a partition that is stated; None for the clusters of features.
    """

    source: Source
    latents: LatentEncoder
    features: FeatureEncoder
    text: TextEncoder
    clustering: FineMethod
    clusters: int
    fine: int
    per_shard: int
    by_seed: bool = False
    seed: int = 0
    partition: StatedPartition | None = None

    def __post_init__(self) -> None:
        at_least("data", self, 1, "clusters", "per_shard")
        at_least("data", self, 0, "seed")
        if self.fine < self.clusters:
            raise ValueError(
                f"data.fine = {self.fine} centroids cannot make {self.clusters} clusters"
            )


class ExpertRecipe(Protocol):
    """What all experts of a scale, and its monolith, have in common.

    patch: side of a token in the latent.  text_dropout: share of captions replaced by the null one.
    times: density of t in training.  pretrained: the checkpoint that experts begin with; None for
    weights drawn anew.  lr_by_batch: the exponent with which the learning rate follows the batch.
    """

    @property
    def lr_by_batch(self) -> float: ...

    @property
    def patch(self) -> int: ...

    @property
    def text_dropout(self) -> float: ...

    @property
    def times(self) -> Times: ...

    @property
    def pretrained(self) -> PretrainedDiT | PretrainedFlux | None: ...

    def network(
        self, latent: tuple[int, ...], text: TextShape, given_frame: bool = False
    ) -> DiT | MMDiT:
        """The shape of a network over latents [C, H, W] or [C, T, H, W].

        given_frame: whether it may be given the first frame of a clip.
        """
        ...


@dataclass(frozen=True)
class RouterRecipe:
    """The router.

    Args:
        size: width, depth and heads of its trunk.
        train: its optimiser.
        frame_feature: width of the feature of a first frame that it reads; None if it reads none.
        given_share: share of its clips that show it theirs.
    """

    size: Size
    train: Optim
    frame_feature: int | None = None
    given_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.given_share <= 1:
            raise ValueError("router.given_share must lie in [0, 1]")


@dataclass(frozen=True)
class Draw:
    """How samples are drawn.

    Args:
        samples: pictures or clips for each row of a table.
        batch: drawn at once.
        steps: of the solver.
        guidance: scale of classifier-free guidance; 1 is none.
        guided_from, guided_to: the earliest and the latest t at which there is guidance.
        router_every: the router is asked at each so many-th step, and its answer kept in between.
    """

    samples: int
    batch: int
    steps: int
    guidance: float
    guided_from: float = 0.0
    guided_to: float = 1.0
    router_every: int = 1

    def __post_init__(self) -> None:
        at_least("draw", self, 2, "samples")  # a covariance is taken of them
        at_least("draw", self, 1, "batch", "steps", "router_every")
        if not 0 <= self.guided_from <= self.guided_to <= 1:
            raise ValueError("0 <= draw.guided_from <= draw.guided_to <= 1 must hold")
        if self.guidance < 0:
            raise ValueError(f"draw.guidance must not be negative, not {self.guidance}")
