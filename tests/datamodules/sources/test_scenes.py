"""Scenes against a renderer in plain Python, against counts, and against their own captions."""

import hashlib
import itertools

import numpy as np
import pytest
from scipy.stats import chi2, chisquare

from datamodules.sources.reading import read_all
from datamodules.sources.scene_drawing import COLOURS, SHAPES, TEXTURES, hashed, mixed
from datamodules.sources.scenes import (
    WEIGHTS,
    WORDINGS,
    WORDS,
    Factor,
    Scenes,
    labels_of,
    named_in,
    probabilities,
    values_of,
)
from datamodules.sources.source import DividedSource, RecordCounts, Split

BITS = 2**64
EVERY = Scenes(named=tuple(Factor))


def mix(z):
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % BITS
    z = (z ^ z >> 27) * 0x94D049BB133111EB % BITS
    return z ^ z >> 31


def drawn(index, purpose, n):
    """A whole number below n, in Python's own integers."""
    golden = 0x9E3779B97F4A7C15
    z = mix((mix((index + golden) % BITS) + golden * (purpose + 1)) % BITS)
    return (z >> 32) * n >> 32


def between(index, purpose, low, high):
    return low + (high - low) * drawn(index, purpose, 2**24) / 2**24


def triangle(x):
    """1 at the middle of each 256, -1 half a period later."""
    return abs((x % 256) - 128) / 64 - 1


def height(name, x, y, row):
    return {
        "plain": 0.0,
        "rows": triangle(y),
        "columns": triangle(x),
        "rising": triangle(x + y),
        "falling": triangle(x - y),
        "checks": triangle(x) * triangle(y),
        "dots": max(triangle(x), triangle(y)),
        "shade": row / 8 - 1,
    }[name]


def inside(name, x, y, r):
    bar = r * 5 // 16
    return {
        "circle": x * x + y * y <= r * r,
        "square": abs(x) <= r and abs(y) <= r,
        "triangle": abs(y) <= r and 2 * abs(x) <= y + r,
        "cross": min(abs(x), abs(y)) <= bar and max(abs(x), abs(y)) <= r,
    }[name]


def painted(index):
    """A picture [3, 16, 16] in [-1, 1] of one index, a point at a time."""
    shape, colour, size, place, texture = (
        int(np.searchsorted(np.cumsum(w), drawn(index, i, sum(w)), side="right"))
        for i, w in enumerate(WEIGHTS.values())
    )
    middle, relief = between(index, 6, 0.25, 0.5), between(index, 7, 0.15, 0.2)
    right, down = divmod(drawn(index, 8, 32 * 32), 32)
    rgb = list(COLOURS.values())[colour]
    rgb = [min(1, max(0, c + between(index, 9 + i, -0.1, 0.1))) for i, c in enumerate(rgb)]
    x, y = ((6, 6), (10, 6), (6, 10), (10, 10))[place]
    x, y = (64 * at + drawn(index, 12 + i, 33) - 16 for i, at in enumerate((x, y)))
    r = (256, 352)[size] + drawn(index, 14, 13) - 6
    picture = np.empty((3, 16, 16))
    for row, column in itertools.product(range(16), range(16)):
        ground = height(TEXTURES[texture], 64 * column + right, 64 * row + down, row)
        ground = middle + relief * ground
        points = itertools.product((8, 24, 40, 56), (8, 24, 40, 56))
        hit = sum(
            inside(SHAPES[shape], 64 * column + dx - x, 64 * row + dy - y, r) for dy, dx in points
        )
        for channel in range(3):
            picture[channel, row, column] = ground + hit / 16 * (rgb[channel] - ground)
    return 2 * picture - 1


def test_the_hash_is_splitmix64s():
    """kills: a shift, a factor or an addition of the mix that is another."""
    golden, published = np.uint64(0x9E3779B97F4A7C15), 6457827717110365317
    assert mixed(np.array([1234567], dtype=np.uint64) + golden).tolist() == [published]
    index = np.array([0, 5, 2**33 + 7], dtype=np.uint64)
    for purpose in (0, 14):
        assert hashed(index, purpose).tolist() == [drawn(int(i), purpose, 2**32) for i in index]


@pytest.mark.parametrize("division", [0, 3])
def test_pictures_are_those_of_a_painter_by_points(division):
    """kills: any shape, texture, place, colour or jitter drawn otherwise than is stated."""
    records = Scenes(division=division).drawn(Split.JUDGE, 0, 48)
    first = (4 * division + 1) * 2**32
    for i, image in enumerate(records.images):
        np.testing.assert_allclose(image, painted(first + i), atol=2e-6)
    values = values_of(records.labels)
    assert all(len({*values[f].tolist()}) == len(WORDS[f]) for f in Factor)  # all were compared


def test_the_pictures_are_the_same_on_every_machine():
    """kills: a kernel whose last bit depends on the machine; any change of what is published."""
    records = Scenes().read(Split.HELDOUT)
    assert records.images.dtype == np.float32
    digest = hashlib.sha256(records.images.astype("<f4").tobytes())
    digest.update("\n".join(records.captions).encode())
    assert digest.hexdigest()[:16] == "4c7f15be56096d14"


def test_a_picture_is_a_function_of_its_index():
    """kills: numbers drawn in a batch, which change with its size or its start."""
    whole = EVERY.drawn(Split.TRAIN, 0, 300)
    for start, n in ((0, 1), (123, 50), (299, 1)):
        part = EVERY.drawn(Split.TRAIN, start, n)
        rows = slice(start, start + n)
        assert part.keys == whole.keys[rows]
        assert part.captions == whole.captions[rows]
        assert np.array_equal(part.images, whole.images[rows])
        assert np.array_equal(part.labels, whole.labels[rows])


def test_splits_and_divisions_share_no_picture():
    """kills: ranges that overlap, a tuning set that some division holds out."""
    sources = [Scenes(300, 300).divided(seed) for seed in range(3)]
    assert isinstance(sources[0], DividedSource)
    assert sources[0] == Scenes(300, 300)
    reads = [source.read(split) for source in sources for split in Split]
    reads += [source.tuning().read(Split.HELDOUT) for source in sources]
    keys = [key for records in reads for key in records.keys]
    assert len({*keys}) == len(keys) == 9 * 300 + 3 * 2_048
    pictures = {image.tobytes() for records in reads for image in records.images}
    assert len(pictures) == len(keys)


def test_parts_in_batches_are_the_split():
    """kills: a part that ends early or runs into the next, a count left out."""
    source, counts = Scenes(train=9_000), RecordCounts()
    parts = source.parts(Split.TRAIN)
    sizes = [
        [len(records) for records in source.batches(Split.TRAIN, part, 1_000, counts)]
        for part in parts
    ]
    assert sizes == [[1000] * 4 + [96], [1000] * 4 + [96], [808]]
    assert (counts.kept, counts.total) == (9_000, 9_000)
    joined = read_all(source, Split.TRAIN)
    assert np.array_equal(joined.images[-500:], source.drawn(Split.TRAIN, 8_500, 500).images)
    with pytest.raises(ValueError, match="no part"):
        list(source.batches(Split.TRAIN, "0000001", 10, counts))


@pytest.fixture(scope="module")
def many():
    return EVERY.drawn(Split.TRAIN, 0, 40_000)


def test_factors_fall_as_stated(many):
    """kills: weights exchanged, a value never drawn, a bias of the hash."""
    for factor, values in values_of(many.labels).items():
        counts = np.bincount(values, minlength=len(WORDS[factor]))
        assert chisquare(counts, probabilities(factor) * len(many)).pvalue > 1e-4


def test_factors_and_wordings_are_independent(many):
    """kills: two factors of one purpose, a wording that gives a factor away."""
    columns = {f.value: v for f, v in values_of(many.labels).items()}
    starts = [wording.split("{")[0].replace("a ", "") for wording in WORDINGS]
    texts = [caption.removeprefix("an ").removeprefix("a ") for caption in many.captions]
    columns["wording"] = np.array(
        [next((i for i, s in enumerate(starts) if s and text.startswith(s)), 0) for text in texts]
    )
    for (_, a), (_, b) in itertools.combinations(columns.items(), 2):
        table = np.zeros((a.max() + 1, b.max() + 1))
        np.add.at(table, (a, b), 1)
        assert (table > 0).all()
        expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
        statistic = ((table - expected) ** 2 / expected).sum()
        assert chi2.sf(statistic, (table.shape[0] - 1) * (table.shape[1] - 1)) > 1e-4


@pytest.mark.parametrize(
    "named", [(), (Factor.TEXTURE,), (Factor.PLACE, Factor.SHAPE), tuple(Factor)]
)
def test_a_caption_names_what_is_named_and_nothing_else(named):
    """kills: a factor said that should be silent, a value said of another picture."""
    records = Scenes(named=named).drawn(Split.TRAIN, 0, 2_000)
    values = values_of(records.labels)
    for i, caption in enumerate(records.captions):
        assert named_in(caption) == {factor: values[factor][i] for factor in named}


def test_what_is_said_changes_no_picture():
    """kills: pictures or labels that hang on the captions, so that monoliths could not share."""
    silent, loud = Scenes(named=()).drawn(Split.TRAIN, 0, 99), EVERY.drawn(Split.TRAIN, 0, 99)
    assert np.array_equal(silent.images, loud.images)
    assert np.array_equal(silent.labels, loud.labels)


def test_captions_are_english_and_short(many):
    """kills: "a orange", a caption longer than scale `scenes` has tokens for."""
    words = [caption.split() for caption in many.captions]
    after = {(a, b) for each in words for a, b in itertools.pairwise(each) if a in ("a", "an")}
    assert all((a == "an") == (b[0] in "aeiou") for a, b in after)
    assert ("an", "orange") not in after  # a size comes first
    unsized = Scenes(named=(Factor.COLOUR,)).drawn(Split.TRAIN, 0, 500)
    assert any("an orange" in caption for caption in unsized.captions)
    assert max(map(len, words)) == 13


def test_labels_count_every_scene_once():
    """kills: a radix of another factor, under which two scenes have one label."""
    values = {f: np.array([0, len(WORDS[f]) - 1]) for f in Factor}
    assert labels_of(values).tolist() == [0, 4 * 8 * 2 * 4 * 8 - 1]
    every = np.arange(4 * 8 * 2 * 4 * 8)
    assert np.array_equal(labels_of(values_of(every)), every)


@pytest.mark.parametrize(
    "given",
    [
        {"train": 1},
        {"heldout": 2**33},
        {"division": -1},
        {"named": (Factor.SHAPE, Factor.SHAPE)},
    ],
)
def test_what_has_no_sense_is_refused(given):
    """kills: a split that runs into the next one's range, a factor counted twice."""
    with pytest.raises(ValueError, match=r"scenes|division|twice"):
        Scenes(**given)
