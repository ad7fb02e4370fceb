"""One expert trained from a manifest on a machine that has nothing else, as a folder to share."""

from dataclasses import replace
from pathlib import Path

from experiments.expert.manifest import Manifest
from experiments.pipeline import build
from experiments.pipeline.process import one_thread
from experiments.pipeline.store import Context, Store
from experiments.publish import whole
from experiments.stages.experts import TrainExpert
from modules.dit import DiTNetwork
from modules.weights.cards import ExpertCard
from modules.weights.published import save_expert


def train(stage: TrainExpert, context: Context) -> None:
    """Fetch the shards and train, going on from where a killed run stopped.

    ShardError, SourceError or OSError if the shards cannot be had as the manifest has them.
    """
    one_thread()
    for each in build.behind([stage]):
        context.store.make(each, context)


def save(stage: TrainExpert, manifest: Manifest, store: Store, out: Path, licence: str) -> None:
    """The folder of a trained expert, whole or absent. FileExistsError if there is one."""
    if out.exists():
        raise FileExistsError(f"{out} is there already, and nothing is published over")
    samples = stage.shards.samples(store, stage.clusters)
    come = replace(manifest.origin, licence=licence)
    card = ExpertCard(stage.module.objective, stage.schedule, stage.clusters, samples, come)
    network = stage.load(store).network
    assert isinstance(network, DiTNetwork)  # a manifest has no other
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as folder:
        save_expert(folder, network, card)
