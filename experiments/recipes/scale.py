"""What every scale has, whichever medium: groups of dials, each of which is an option.

    --scale.train.steps 3000    --scale.data.source.root /data    --scale.router.train.lr 1e-3

`images` and `video` fill these groups as two aligned tables.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from datamodules.sources.source import DividedSource, Source
from experiments.recipes.groups import (
    Data,
    Draw,
    ExpertRecipe,
    RouterRecipe,
    at_least,
    check_optim,
)
from experiments.recipes.judges import JudgeRecipe
from modules.training import Optim


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
        check_optim("train", self.train)
        check_optim("router.train", self.router.train)
        self.study.check(self)

    @property
    def drawn(self) -> str:
        """What each seed of a table has of its own, and what all share, in words."""
        if not self.data.by_seed:
            return (
                "trains and samples anew; data split, clusters, text encoder and judge are the "
                "same for all"
            )
        source, same = self.data.source, "the same for all"
        judges = {self.judge.stage(source, seed) for seed in (self.data.seed, self.data.seed + 1)}
        own, shared = ("", "judge, ") if len(judges) == 1 else (" and judge", "")
        anew = f"clusters{own}, and trains and samples anew"
        if not isinstance(source, DividedSource):
            return (
                f"has its own {anew}; the data's splits, prompts, {shared}and the text encoder are "
                f"{same}, so that intervals say nothing of other prompts"
            )
        disjoint = getattr(source, "disjoint", False)
        overlap = "" if disjoint else " (all of the same records, so that splits overlap)"
        return f"has its own data split{overlap}, {anew}; {shared}the text encoder is {same}"

    def of_seed(self, seed: int) -> Self:
        """The scale on the partition of the data that a seed of a table has; seed 0 its own."""
        if not self.data.by_seed:
            return self
        source = self.data.source
        own = source.divided(seed) if isinstance(source, DividedSource) else source
        return self._on(own, self.data.seed + seed)

    def tuning(self) -> Self:
        """The scale whose held-out records are those that dials are chosen on, and no table scores.
        ValueError for a source that has none set apart."""
        source = self.data.source
        if not isinstance(source, DividedSource):
            raise ValueError(f"{source.name} has no records set apart to choose dials on")
        return self._on(source.tuning(), self.data.seed)

    def _on(self, source: Source, seed: int) -> Self:
        return dataclasses.replace(
            self,
            data=dataclasses.replace(self.data, source=source, seed=seed),
            study=self.study.with_source(self.data.source, source),
        )


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
