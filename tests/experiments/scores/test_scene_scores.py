"""The judge of scenes: what it reads, what it counts, and of which truth."""

from dataclasses import replace

import numpy as np
import pytest

from datamodules.sources.scenes import Factor, Scenes, probabilities, values_of
from datamodules.sources.source import Split
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.scores.real import Real
from experiments.scores.scenes import ScenesJudge
from experiments.tables.columns import ACCURACY, DIVERSITY, FID, NEAREST
from tests.helpers.stages import make

TINY = turned(
    SCALES["scenes"],
    {
        "data.source": Scenes(train=600, heldout=200),
        "judge.steps": 60,
        "draw.samples": 100,
    },
)
JUDGE = scores.judge(TINY)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("scenes"))
    make(store, JUDGE)
    return store


def test_columns_say_what_was_named_and_what_was_not():
    """kills: a published name for scene features, a factor obeyed that nobody asked for."""
    titles = [c.title for x in (FID, ACCURACY, DIVERSITY, NEAREST) for c in JUDGE.columns_for(x)]
    assert titles == [
        "FID (scene features)",
        *("Prompt accuracy, %", "Said factors obeyed, %"),
        *("Diversity (scene features)", "Unsaid factors, distance from the truth, %"),
        *("Nearest training picture (held-out = 1)", "Near-copies, %"),
        *("Shape obeyed, %", "Colour obeyed, %", "Size obeyed, %"),
        "Place (unsaid), distance from the truth, %",
        "Texture (unsaid), distance from the truth, %",
    ]
    every = replace(JUDGE, source=replace(JUDGE.source, named=tuple(Factor)))
    assert len(every.columns_for(ACCURACY)) == 2
    assert len(every.columns_for(DIVERSITY)) == 1
    assert len(every.columns_for(NEAREST)) == 7


def test_a_factor_is_obeyed_where_the_picture_shows_what_the_caption_says(store):
    """kills: a factor read in another's place, silence counted as disobeyed, all for any."""
    records = JUDGE.source.drawn(Split.HELDOUT, 0, 150)
    context = Context(store)
    read = JUDGE.load(store).read(records.images).values  # this judge is hardly trained
    true = np.stack([*values_of(records.labels).values()], axis=1)
    numbers = JUDGE.read(records.images, records.captions, records.labels, context).numbers
    for i, factor in enumerate((Factor.SHAPE, Factor.COLOUR, Factor.SIZE)):
        assert np.array_equal(numbers[factor.value], (read == true)[:, i])
    assert np.array_equal(numbers["accuracy"], (read == true)[:, :3].all(axis=1))
    assert np.allclose(numbers["said"], (read == true)[:, :3].mean(axis=1))
    assert numbers.keys() == {"accuracy", "said", "shape", "colour", "size"}
    wrong = JUDGE.wrong(store, records.images, records.labels)
    assert np.array_equal(wrong, 1 - numbers["accuracy"])
    assert 0 < wrong.mean() < 1
    assert JUDGE.wrong(store, records.images, np.full(150, -1)) is None


def test_variation_is_from_the_stated_probabilities():
    """kills: distances from equal shares, from the held-out pictures', of a named factor."""
    place = np.repeat([0, 1, 2, 3], [40 * 8, 30 * 8, 20 * 8, 10 * 8])
    values = np.zeros((800, 5), dtype=np.int64)
    values[:, 3], values[:, 4] = place, np.arange(800) % 8
    perfect = JUDGE._variations(values)
    assert perfect == pytest.approx(dict.fromkeys(perfect, 0.0), abs=1e-12)
    assert perfect.keys() == {"variation", "variation_place", "variation_texture"}
    values[:, 3] = 0
    assert JUDGE._variations(values)["variation_place"] == pytest.approx(0.6)
    values[:, 3], values[:, 4] = place, place  # each alone may be right, and not both together
    tied = JUDGE._variations(values)
    assert tied["variation_place"] == pytest.approx(0, abs=1e-12)
    assert tied["variation"] == pytest.approx(7 / 8)
    assert probabilities(Factor.PLACE).tolist() == [0.4, 0.3, 0.2, 0.1]


def test_copies_are_counted_and_new_scenes_are_not(store):
    """kills: a threshold that no copy reaches or that every picture does, the nearest of one part,
    real pictures without the captions that they came with."""
    real = Real(experts.shards(TINY), 100, 0)
    context = Context(store)
    for stage in real.inputs():
        make(store, stage)
    store.make(real, context)
    features = {"scenes": JUDGE.load(store).read(real.images(store)).features}
    numbers = JUDGE.read_set(features, real, real, context).numbers
    assert numbers["copies"] == 1
    assert numbers["nearest"] == pytest.approx(0, abs=0.02)  # of 256 levels
    captions, _ = real.prompts(store)
    assert set(captions) <= set(JUDGE.source.read(Split.TRAIN).captions)
    apart = np.load(store.file(JUDGE, "apart.npy"))
    assert len(apart) == 200
    assert apart.min() > 0.1


def test_each_texture_has_its_own_distance_of_a_copy():
    """kills: one distance for all, which only plain scenes and shading come below; a texture's
    under another's number; a distance read from next to no picture."""
    many = ScenesJudge(Scenes(train=600), 1)
    texture = values_of(many.source.drawn(Split.HELDOUT, 0, 2_000).labels)[Factor.TEXTURE]
    assert many._copied(texture + 1.0).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    few = many._copied(np.arange(40.0))  # five of a texture: the hundredth part of all
    assert few.tolist() == [pytest.approx(0.39)] * 8


def test_a_short_training_reads_colour_and_place(store):
    """kills: a judge whose heads are cut at other widths, values of another order."""
    trust = JUDGE.trust(store)
    assert trust["colour"] > 0.5
    assert trust["place"] > 0.7
    (remark,) = JUDGE.remarks(store)
    assert f"colour {trust['colour']:.1%}" in remark


@pytest.mark.longest
def test_the_scales_judge_reads_every_factor(tmp_path):
    """kills: a network too small, steps too few, a shape that sixteen pixels cannot show."""
    source = Scenes(train=600)
    judge = ScenesJudge(source, SCALES["scenes"].judge.steps)
    store = Store(tmp_path)
    make(store, judge)
    assert min(judge.trust(store).values()) >= 0.99


def test_another_source_is_refused():
    """kills: digits judged by factors that they do not have."""
    with pytest.raises(ValueError, match="no judge of digits"):
        SCALES["scenes"].judge.stage(SCALES["small"].data.source, 0)
