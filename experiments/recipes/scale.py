"""What every scale has, whichever medium: groups of dials, each of which is an option.

    --scale.train.steps 3000    --scale.data.source.root /data    --scale.router.train.lr 1e-3

`images` and `video` fill these groups as two aligned tables.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from datamodules.clusters import FineMethod
from datamodules.encoders.encoder import FeatureEncoder, LatentEncoder, TextEncoder
from datamodules.sources.source import Source
from experiments.recipes.judges import JudgeRecipe
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


def _check_optim(group: str, optim: Optim) -> None:
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
    """

    source: Source
    latents: LatentEncoder
    features: FeatureEncoder
    text: TextEncoder
    clustering: FineMethod
    clusters: int
    fine: int
    per_shard: int

    def __post_init__(self) -> None:
        at_least("data", self, 1, "clusters", "per_shard")
        if self.fine < self.clusters:
            raise ValueError(
                f"data.fine = {self.fine} centroids cannot make {self.clusters} clusters"
            )


class ExpertRecipe(Protocol):
    """What all experts of a scale, and its monolith, have in common.

    patch: side of a token in the latent.  text_dropout: share of captions replaced by the null one.
    times: density of t in training.  pretrained: the checkpoint that experts begin with; None for
    weights drawn anew.
    """

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


class Study(Protocol):
    """What only the tables of one paper ask for."""

    def check(self, scale: "Scale[Any]") -> None:
        """ValueError, naming the dial, for what does not fit the rest of the scale."""
        ...

    def with_source(self, before: Source, now: Source) -> Self:
        """The same study where another source has taken the place of the scale's own."""
        ...


StudyT = TypeVar("StudyT", bound=Study)


@dataclass(frozen=True)
class Scale(Generic[StudyT]):
    """Every dial of a table, in groups. ValueError, naming the dial, for one without sense.

    Args:
        data: what is learnt from, and its clusters.
        expert: what experts and monolith are.
        train: the monolith's optimiser; an expert's batch is train.batch / clusters, so that FLOPs
            are equal.
        router: the router and its optimiser.
        judge: who scores.
        draw: how samples are drawn.
        study: what only this paper's tables ask for.
    """

    data: Data
    expert: ExpertRecipe
    train: Optim
    router: RouterRecipe
    judge: JudgeRecipe
    draw: Draw
    study: StudyT

    def __post_init__(self) -> None:
        at_least("expert", self.expert, 1, "patch")
        if not 0 <= self.expert.text_dropout <= 1:
            raise ValueError("expert.text_dropout must lie in [0, 1]")
        clusters = self.data.clusters
        if self.train.batch % clusters:
            batch = self.train.batch
            raise ValueError(f"train.batch {batch} does not divide among {clusters} experts")
        _check_optim("train", self.train)
        _check_optim("router.train", self.router.train)
        self.study.check(self)


ScaleT = TypeVar("ScaleT", bound=Scale[Any])


def turned(scale: ScaleT, dials: Mapping[str, object]) -> ScaleT:
    """`scale` with dials turned, by their names: turned(scale, {"train.steps": 3000}).

    Dials of one group change together. TypeError for a dial that there is not, ValueError for a
    value without sense.
    """
    return _turned(scale, {tuple(name.split(".")): value for name, value in dials.items()})


def _turned(value: Any, dials: Mapping[tuple[str, ...], object]) -> Any:
    own = {path[0]: x for path, x in dials.items() if len(path) == 1}
    below: dict[str, dict[tuple[str, ...], object]] = {}
    for path, x in dials.items():
        if len(path) > 1:
            below.setdefault(path[0], {})[path[1:]] = x
    inner = {name: _turned(getattr(value, name), part) for name, part in below.items()}
    return dataclasses.replace(value, **own, **inner)


def scale_of(
    table: Mapping[str, tuple[Any, ...]],
    number: int,
    expert: Callable[..., ExpertRecipe],
    study: Callable[..., StudyT],
) -> Scale[StudyT]:
    """The scale in one column of an aligned table, whose rows are named by group and dial.

    expert, study: what makes these groups of their dials.
    """
    groups: dict[str, dict[str, Any]] = {}
    for dial, values in table.items():
        group, _, name = dial.rpartition(".")
        groups.setdefault(group, {})[name] = values[number]
    return Scale(
        Data(**groups["data"]),
        expert(**groups["expert"]),
        Optim(**groups["train"]),
        RouterRecipe(train=Optim(**groups["router.train"]), **groups["router"]),
        groups[""]["judge"],
        Draw(**groups["draw"]),
        study(**groups["study"]),
    )
