"""ablation-text: rows by partition, the bits that captions tell, and the line through losses."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from datamodules.sources.scenes import Scenes
from experiments.hddm import ablation_text, settings, table1
from experiments.hddm.text_losses import PARTITIONS, bit_by_bit, straight, trend
from experiments.measures.information import CaptionInformation
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages.routers import Known
from experiments.tables.columns import ACCURACY
from modules.selection import Full, Top
from tests.helpers.rows import EIGHT, FM, SEED, kind, rows_of
from tests.helpers.stages import make

SELECTIONS = {"Top-1": Top(1), "Top-2": Top(2), "Full": Full()}


@pytest.fixture(scope="module")
def rows():
    return rows_of(ablation_text, SimpleNamespace(scale=SCALES["scenes"]))


def test_each_row_asks_the_experts_of_its_partition(rows):
    """kills: one partition for all, a router trained on another's clusters, forms exchanged, an
    oracle of features, information of other clusters than the experts'."""
    assert len(rows) == 2 + 7 * len(PARTITIONS)
    for (partition, router, strategy), row in rows.items():
        if not partition:
            continue
        sample = row.measured.score.pictures
        clusters = sample.shards.clusters
        assert clusters.stated == PARTITIONS[partition]
        assert row.measured.told == CaptionInformation(clusters)
        assert [expert.clusters for expert in sample.experts] == [(k,) for k in EIGHT]
        assert {kind(expert) for expert in sample.experts} == {FM}
        assert {expert.shards for expert in sample.experts} == {sample.shards}
        assert sample.selection == SELECTIONS[strategy]
        if router == "oracle":
            assert isinstance(sample.router, Known)
            assert sample.router.heldout.clusters == clusters
        else:
            assert sample.router.reads_text == (router == "text-aware")
            assert sample.router.shards == sample.shards


def test_the_monolith_and_the_features_experts_are_table_1s(rows):
    """kills: networks trained twice for two tables, a monolith of another partition's order."""
    of_table_1 = rows_of(table1, SimpleNamespace(scale=SCALES["scenes"]))
    assert rows["", "", "Monolithic"].measured == of_table_1["Monolithic", ""].measured
    for (strategy, form), row in of_table_1.items():
        if form:
            assert rows["features", form, strategy].measured.score == row.measured


def test_smoke_has_scenes_of_its_seed():
    """kills: digits, which have no factors; seeds that share their scenes."""
    for seed in (0, SEED):
        scale = settings.scenes(SCALES["smoke"].of_seed(seed))
        assert isinstance(scale.data.source, Scenes)
        assert scale.data.source.division == seed
        assert len(ablation_text.TABLE.rows(SCALES["smoke"].of_seed(seed), seed)) == 44
    assert settings.scenes(SCALES["scenes"]) == SCALES["scenes"]


def test_captions_tell_the_bits_that_the_partitions_were_chosen_for(tmp_path):
    """kills: wordings counted as meanings, bits of the caption alone, a partition of other bits."""
    source = replace(SCALES["scenes"].data.source, train=8_000)
    store, found = Store(tmp_path), {}
    for name in PARTITIONS:
        dials = {"data.source": source, "data.partition": PARTITIONS[name]}
        told = CaptionInformation(experts.shards(turned(SCALES["scenes"], dials)).clusters)
        make(store, told)
        found[name] = told.read(store)["information"]
    assert 0.1 < found.pop("features") < 2.9
    bits = dict(zip(found, (0, 0, 1, 2, 3), strict=True))
    assert found == pytest.approx(bits, abs=0.03)


def made(bits, losses, aware=90):
    """Results of Full alone: the bits of each partition, and what its text-free router has beside
    what the other has in each of three seeds."""
    names = [
        {"Clusters": p, "Router": r, "Strategy": s}
        for p in PARTITIONS
        for r in ("text-free", "text-aware")
        for s in SELECTIONS
    ]

    def values(row, column):
        partition = names[row]["Clusters"]
        if column.key == "information":
            return [bits[partition]] * 3
        lost = losses[partition] if names[row]["Router"] == "text-free" else [0] * 3
        return [aware + each for each in lost]

    rows = [[SimpleNamespace(names=each) for each in names]]
    table = SimpleNamespace(name="ablation-text")
    return SimpleNamespace(
        rows=rows, values=values, table=table, partial=False, seeds=3, shown=lambda column: column
    )


def test_the_line_is_through_losses_of_each_seed():
    """kills: aware less free, slope and rest exchanged, a line through the means alone."""
    slopes, rests = (-20.0, -10.0, -30.0), (1.0, 2.0, 3.0)
    bits = {name: i / 2 for i, name in enumerate(PARTITIONS)}
    losses = {
        name: [a * x + b for a, b in zip(slopes, rests, strict=True)] for name, x in bits.items()
    }
    results = made(bits, losses)
    slope, rest = trend(results, "Full", ACCURACY)
    assert (slope.mean, rest.mean) == pytest.approx((-20, 2))
    assert slope.half_width == pytest.approx(
        np.std(slopes, ddof=1) / np.sqrt(3) * 4.302653, rel=1e-5
    )
    said = straight(results, "Full", ACCURACY)
    assert "-20.0" in said
    assert said.endswith("meets 0 bits at 2.0 ± 2.5.")


def test_bits_are_told_one_by_one():
    """kills: steps of other partitions, a bend that is the first less the third, what is left as a
    difference, features against another number of bits."""
    bits = dict(zip(PARTITIONS, (0, 0, 1, 2, 3, 2), strict=True))
    each = dict(zip(PARTITIONS, (1, -1, -45, -67.5, -78.75, -60), strict=True))
    results = made(bits, {name: [x, x, x] for name, x in each.items()})
    steps, left, features = bit_by_bit(results, "Full")
    assert "-45.0 ± 0.0, -22.5 ± 0.0, -11.2 ± 0.0 for the first" in steps
    assert "the third less the first: 33.8 ± 0.0" in steps
    assert "has 50.0 ± 0.0, 25.0 ± 0.0, 12.5 ± 0.0 % of what text-aware has" in left
    assert "at features less at most of colour: 7.5 ± 0.0" in features


def test_a_share_of_no_prompt_obeyed_is_none():
    """kills: nan in a table's lines where the text-aware router obeys nothing, as at smoke."""
    bits = dict(zip(PARTITIONS, (0, 0, 1, 2, 3, 2), strict=True))
    results = made(bits, {name: [0, 0, 0] for name in PARTITIONS}, aware=0)
    steps, left, features = bit_by_bit(results, "Full")
    assert "has —, —, — % of what text-aware has" in left
    assert "nan" not in steps + left + features


def test_the_figure_names_partitions_above_their_bits():
    """kills: a name above other bits, two names on each other, hollow points of stated clusters, a
    line that is not the tests'."""
    bits = dict(zip(PARTITIONS, (0, 0.01, 0.74, 1.26, 3, 1.3), strict=True))
    each = {name: [-20 * x, -20 * x - 1, -20 * x + 1] for name, x in bits.items()}
    figure, axes = plt.subplots()
    results = made(bits, each)
    ablation_text._points(axes, results, "Full", ACCURACY, 2)
    ablation_text._name_partitions(axes, results)
    (above,) = axes.child_axes
    named = {label.get_text(): x for label, x in zip(
        above.get_xticklabels(), above.get_xticks(), strict=True)}  # fmt: skip
    assert [*named] == [
        "at random\ntexture, unsaid",
        "half of colour",
        "most of colour\nfeatures (hollow)",
        "colour, said",
    ]
    assert [*named.values()] == pytest.approx([0.005, 0.74, 1.28, 3])
    points = [c.lines[0] for c in axes.containers]
    assert [p.get_markerfacecolor() == "white" for p in points] == [False] * 5 + [True]
    line = next(line for line in axes.lines if line.get_linestyle() == "-")
    assert line.get_ydata().tolist() == pytest.approx([0, -60], abs=1e-9)
    plt.close(figure)
