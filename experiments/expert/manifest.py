"""What a stranger needs to train one expert: where shards lie, recipes, encoders and the seed.

A manifest is JSON, written by `modules.codec` and read strictly: an unknown class or field, or a
value of another type, is an error that names it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datamodules.shards import read_index
from experiments.hddm.variants import OBJECTIVES
from experiments.pipeline.files import StoreError, write_whole
from experiments.pipeline.store import Store, name
from experiments.publish import origin
from experiments.recipes import experts
from experiments.recipes.images import ImageScale
from experiments.stages import publishable
from experiments.stages.corpus import Shards
from experiments.stages.experts import Start, TrainExpert
from experiments.stages.fetched import Fetched, ShardFile, check_address
from experiments.stages.starts import PretrainedDiT
from modules.codec import decode, encode
from modules.dit import DiT
from modules.objectives import Objective
from modules.schedules import Schedule
from modules.training import LogitNormal, Optim, Precision, UniformTimes
from modules.weights.cards import KINDS, Origin
from modules.weights.pretrained import Transfer

FORMAT = 1


@dataclass(frozen=True)
class ManifestRecipe:
    """How every expert of one objective is trained, whichever its cluster."""

    objective: Objective
    schedule: Schedule
    network: DiT
    optim: Optim
    text_dropout: float
    times: UniformTimes | LogitNormal
    start: Start | None

    @classmethod
    def of(cls, stage: TrainExpert) -> "ManifestRecipe":
        """That of an expert of pictures."""
        assert isinstance(stage.network, DiT)
        assert isinstance(stage.times, UniformTimes | LogitNormal)
        return cls(
            stage.module.objective, stage.schedule, stage.network, stage.optim,
            stage.text_dropout, stage.times, stage.start,
        )  # fmt: skip


@dataclass(frozen=True)
class ClusterShards:
    """A cluster's shards, and the folder or address that they lie at.

    ValueError for an address that could run a command.
    """

    cluster: int
    address: str
    shards: tuple[ShardFile, ...]

    def __post_init__(self) -> None:
        check_address(self.address)


@dataclass(frozen=True)
class Manifest:
    """The shards of every cluster, and what its expert is trained with and published as."""

    origin: Origin
    seed: int
    recipes: tuple[ManifestRecipe, ...]
    clusters: tuple[ClusterShards, ...]

    def __post_init__(self) -> None:
        if [each.cluster for each in self.clusters] != [*range(self.origin.experts)]:
            raise ValueError(f"it must have clusters 0 to {self.origin.experts - 1}, each once")

    def stage(self, objective: str, cluster: int, address: str | None = None) -> TrainExpert:
        """The training of one expert. ValueError for a cluster or an objective that it has not.

        address: where its shards lie, if not where the manifest says.
        """
        module = OBJECTIVES[objective]
        recipe = next((r for r in self.recipes if r.objective == module.objective), None)
        if recipe is None:
            known = {m.objective: name for name, m in OBJECTIVES.items()}
            have = ", ".join(known.get(r.objective, str(r.objective)) for r in self.recipes)
            raise ValueError(f"the manifest has no recipe for {objective}: it has {have}")
        if not 0 <= cluster < self.origin.experts:
            raise ValueError(f"cluster {cluster} is not among {self.origin.experts}")
        latents, text = map(publishable.read, (self.origin.latents, self.origin.captions))
        own = self.clusters[cluster]
        shards = Fetched(
            self.origin.partition, self.origin.experts, latents, text,
            recipe.network.latent, cluster, own.shards, address or own.address,
        )  # fmt: skip
        return TrainExpert(
            shards, (cluster,), module, recipe.schedule, recipe.network, recipe.optim,
            recipe.text_dropout, self.seed, recipe.start, times=recipe.times,
        )  # fmt: skip


READ = (
    *(Manifest, ManifestRecipe, ClusterShards, ShardFile, Optim, Precision),
    *(UniformTimes, LogitNormal, Start, PretrainedDiT, Transfer, *KINDS),
)
"""What a manifest may hold; reading makes nothing else."""


def of_scale(
    scale: ImageScale, seed: int, objectives: tuple[str, ...], store: Store, address: str | None
) -> Manifest:
    """The manifest of a seed's clusters, whose shards the store has. StoreError without them.

    address: of the folder of all clusters' folders, as contributors reach it; None for the store's.
    """
    own = scale.of_seed(seed)
    shards = experts.shards(own)
    if not store.has(shards):
        raise StoreError(f"{store.place} lacks {name(shards)}: --make true makes it")
    there = (
        store.path(shards).resolve() if store.remote is None else f"{store.place}/{name(shards)}"
    )
    home = address or str(there)
    recipes = (experts.expert(own, OBJECTIVES[each], 0, seed) for each in objectives)
    clusters = (_cluster(shards, store, k, home) for k in range(shards.k))
    come = origin(shards, "each contributor's", None)
    return Manifest(come, seed, tuple(map(ManifestRecipe.of, recipes)), tuple(clusters))


def _cluster(shards: Shards, store: Store, k: int, home: str) -> ClusterShards:
    folder = shards.folders(store, [k])[0]
    files = (ShardFile(s.path.name, s.samples, s.bytes, s.sha256) for s in read_index(folder))
    return ClusterShards(k, f"{home.rstrip('/')}/{folder.name}", tuple(files))


def write(manifest: Manifest, path: Path) -> None:
    """TypeError for a value that would not come back."""
    form = {**encode(manifest), "format": FORMAT}
    content = json.dumps(form, indent=1)
    if _decoded(json.loads(content), str(path)) != manifest:
        raise TypeError(f"{manifest} has no place in a manifest: it would come back as another")
    write_whole(path, (content + "\n").encode())


def read(path: Path) -> Manifest:
    """What `write` wrote. ValueError, naming the file, for anything else."""
    try:
        form = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    return _decoded(form, str(path))


def _decoded(form: Any, where: str) -> Manifest:
    if not isinstance(form, dict) or form.pop("format", None) != FORMAT:
        raise ValueError(f"{where} is no manifest of format {FORMAT}")
    try:
        manifest = decode(form, READ, where)
    except RecursionError as error:
        raise ValueError(f"{where} is nested too deeply") from error
    if not isinstance(manifest, Manifest):
        raise ValueError(f"{where} holds a {type(manifest).__name__}, no manifest")
    return manifest
