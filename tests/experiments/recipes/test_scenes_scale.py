"""Scale scenes: its captions and batches fit, its partitions are dials, Table 1 runs on it."""

import csv
import itertools

import numpy as np
import pytest

from datamodules.partitions import AtRandom, ByFactors, Grouped
from datamodules.sources.scenes import Factor, Scenes, values_of
from datamodules.sources.source import Split
from experiments.cli import main as cli
from experiments.cli import options
from experiments.hddm import settings, table1
from experiments.pipeline.store import Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.scores.scenes import ScenesJudge
from modules.denoising import FlowMatchingExpert
from tests.helpers.stages import make, places

SCENES = SCALES["scenes"]
TINY = [
    *("--scale", "scenes", "--seeds", "1", "--workers", "1"),
    *("--scale.data.source.train", "400", "--scale.data.source.heldout", "60"),
    *("--scale.data.per_shard", "20", "--scale.judge.steps", "20"),
    *("--scale.train.steps", "60", "--scale.train.batch", "16"),
    *("--scale.train.ema_start", "10"),
    *("--scale.router.train.steps", "4", "--scale.router.train.batch", "16"),
    *("--scale.draw.samples", "24", "--scale.draw.batch", "24", "--scale.draw.steps", "3"),
]


def test_every_caption_fits():
    """kills: a factor more in a caption than the text encoder has tokens for."""
    records = Scenes(named=tuple(Factor)).drawn(Split.TRAIN, 0, 3_000)
    tokens, pooled = SCENES.data.text.encode(records.captions)
    assert np.isfinite(pooled).all()
    assert np.abs(tokens[:, -1]).max() > 0  # and none is wasted


def test_an_experts_learning_rate_follows_its_batch():
    """kills: the monolith's rate at an eighth of its batch, by which an expert learns nothing; a
    final rate that is left; a factor where a scale has one rate for all."""
    for name, scale in SCALES.items():
        monolith = experts.monolith(scale, FlowMatchingExpert, 0).optim
        paired = settings.paired(scale, FlowMatchingExpert, 0).optim
        for optim in (experts.expert(scale, FlowMatchingExpert, 0, 0).optim, paired):
            factor = (optim.batch / monolith.batch) ** 0.5 if name == "scenes" else 1
            rates = monolith.lr, monolith.final_lr
            assert (optim.lr, optim.final_lr) == tuple(x and x * factor for x in rates)


def test_a_seeds_judge_learns_scenes_of_its_own():
    """kills: a judge that learns another seed's scenes, or those that it is to judge."""
    judges = [scores.judge(SCENES.of_seed(seed)) for seed in range(3)]
    assert all(isinstance(judge, ScenesJudge) for judge in judges)
    learnt = [picture.tobytes() for judge in judges for picture in judge._learnt(0)[0].numpy()]
    held = judges[0].source.drawn(Split.HELDOUT, 0, 2_048).images
    assert len({*learnt, *(picture.tobytes() for picture in held)}) == len(learnt) + 2_048


def test_partitions_and_captions_are_dials():
    """kills: a partition or a list of factors that the command line cannot say."""
    one = "class_path: datamodules.partitions.AtRandom"
    arguments = ["--scale", "scenes", "--scale.data.source.named", "[COLOUR, PLACE]"]
    read = options.parse("table1", "", [*arguments, "--scale.data.partition", one], SCALES)
    assert read.scale.data.source.named == (Factor.COLOUR, Factor.PLACE)
    assert read.scale.data.partition == AtRandom()


@pytest.mark.parametrize("partition", [AtRandom(), ByFactors((Grouped(Factor.TEXTURE, 8),))])
def test_a_stated_partition_holds_for_shards_and_the_held_out(tmp_path, partition):
    """kills: held-out pictures placed by the nearest centroid, shards of the features' clusters,
    a partition that is no part of the key."""
    dials = {"data.source": Scenes(train=5_000, heldout=300), "data.partition": partition}
    scale, store = turned(SCENES, dials), Store(tmp_path)
    shards, held = experts.shards(scale), experts.encoded(scale, Split.HELDOUT)
    assert shards.key != experts.shards(turned(scale, {"data.partition": None})).key
    for stage in (shards, held):
        make(store, stage)
    for split, path in (
        (Split.TRAIN, store.path(shards.clusters) / "assignment.npy"),
        (Split.HELDOUT, store.path(held) / "cluster.npy"),
    ):
        records = scale.data.source.read(split)
        expected = partition.numbers(records.keys, records.labels, 8, 0)
        assert np.array_equal(np.load(path), expected)
    if partition != AtRandom():
        sizes = np.bincount(values_of(scale.data.source.read(Split.TRAIN).labels)[Factor.TEXTURE])
        assert [shards.samples(store, [k]) for k in range(8)] == sizes.tolist()
    centroids = np.load(store.path(shards.clusters) / "centroids.npy")
    assert np.linalg.norm(centroids, axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_table_1_runs_on_scenes(tmp_path, capsys):
    """kills: a stage that knows digits alone, a column of the judge's that no score has."""
    assert cli.main(table1.TABLE, arguments=[*TINY, *places(tmp_path)]) == 0
    (path,) = (tmp_path / "results").rglob("table1.csv")
    lines = list(csv.DictReader(path.open()))
    assert len(lines) == 8
    columns = [c.title for x in table1.TABLE.columns for c in scores.judge(SCENES).columns_for(x)]
    for line, column in itertools.product(lines, columns):
        assert line[column] != "", (line["Strategy"], column)
    assert lines[1]["Near-copies, %"] == "100.0"
