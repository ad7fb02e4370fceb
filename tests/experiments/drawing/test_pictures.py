"""The grid of samples: what it shows, where, and which pictures it frames."""

import io
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments.drawing import pictures
from experiments.scores.score import Score
from experiments.tables.rows import Row
from tests.helpers.tables import BrightJudge, Given


def test_the_picture_shows_one_sample_a_class_and_row(store):
    """kills: another sample under a caption, rows swapped, a misread picture without its frame, a
    row for what has no samples, or a picture that differs run by run."""
    labels, captions = np.array([1, 0, 0, 1]), ["one a", "zero a", "zero b", "one b"]

    def draw(*changes, pixel=3):
        def row(i):
            images = np.full((4, 1, 8, 8), -1.0, dtype=np.float32)
            images[:, 0, 0, 0] = labels
            for which, j in changes:
                if which == i:
                    images[j, 0, pixel, pixel] = 1 - images[j, 0, pixel, pixel]
            sample = SimpleNamespace(prompts=lambda _: (captions, labels), images=lambda *_: images)
            return Row({"Strategy": f"row {i}", "Router": ""}, Score(sample, BrightJudge()))

        others = [Row({"Strategy": "no samples", "Router": ""}, m) for m in (None, Given(1.0, 1.0))]
        rows = [row(0), others[0], row(1), others[1]]
        return pictures.sample_grid(SimpleNamespace(rows=[rows], store=store))

    def red(picture):
        pixels = plt.imread(io.BytesIO(picture))[..., :3]
        return int((np.ptp(pixels, axis=2) > 0.5).sum())

    blank = draw()
    assert blank == draw() == draw((0, 2), (1, 3), pixel=0)
    shown = {draw(change) for change in [(0, 0), (0, 1), (1, 0), (1, 1)]}
    assert len(shown | {blank}) == 5
    assert [red(picture) for picture in (blank, *shown)] == [0] * 5
    assert red(draw((1, 0), (0, 1), pixel=0)) == 2 * red(draw((1, 0), pixel=0)) > 0


def cells(images, wrong=()):
    return [pictures.Cell(image, f"caption {i}", i in wrong) for i, image in enumerate(images)]


def shades(n, channels=1):
    """n flat pictures that differ."""
    values = np.linspace(-0.8, 0.8, n, dtype=np.float32)
    return [np.full((channels, 8, 8), value, dtype=np.float32) for value in values]


@pytest.fixture
def drawn(monkeypatch):
    """Calls what draws a sheet and gives the axes that it drew on."""
    kept = []
    monkeypatch.setattr(pictures, "png", lambda figure: kept.append(figure) or b"")

    def draw(function, *arguments, **options):
        function(*arguments, **options)
        return kept[-1].axes[0]

    yield draw
    plt.close("all")


def layout(axes):
    """{(line, column): mean shade} of a sheet, counted from its top left."""
    at = {tuple(image.get_extent()): float(image.get_array().mean()) for image in axes.images}
    lefts, tops = sorted({e[0] for e in at}), sorted({e[3] for e in at})
    return {(tops.index(e[3]), lefts.index(e[0])): round(shade, 3) for e, shade in at.items()}


def test_both_sides_show_the_same_rows_of_their_own_albums(drawn):
    """kills: sides swapped, another prompt or order on one side, lines broken elsewhere, panels
    exchanged, a panel's name before another's lines."""
    left, right = shades(8)[:4], shades(8)[4:]
    labels = np.zeros(4, dtype=np.int64)
    sides = {"l": pictures.Album(cells(left), labels, True)}
    sides["r"] = pictures.Album(cells(right), labels, True)
    panels = {"first": sides, "second": dict(zip("lr", reversed(sides.values()), strict=True))}
    axes = drawn(pictures.beside, panels, [2, 0, 3, 1], across=2, side=1.0)
    order = [[left[2], left[0], right[2], right[0]], [left[3], left[1], right[3], right[1]]]
    order += [line[2:] + line[:2] for line in order]
    wanted = {
        (i, j): round(float(image.mean()), 3)
        for i, line in enumerate(order)
        for j, image in enumerate(line)
    }
    assert layout(axes) == wanted
    words = [text.get_text() for text in axes.texts]
    heads = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert heads["l"] < heads["r"]
    assert words.count("caption 2") == 4
    below = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert below["first"] < below["second"]


def test_a_mosaic_has_one_album_below_the_other(drawn):
    """kills: an album left out or named twice, rows of one in another order."""
    shown = shades(8)
    labels = np.zeros(4, dtype=np.int64)
    albums = {
        name: pictures.Album(cells(images), labels, False)
        for name, images in (("upper", shown[:4]), ("lower", shown[4:]))
    }
    axes = drawn(pictures.mosaic, albums, [3, 1, 0, 2], across=2)
    order = [shown[i] for i in (3, 1, 0, 2, 7, 5, 4, 6)]
    wanted = {divmod(i, 2): round(float(image.mean()), 3) for i, image in enumerate(order)}
    assert layout(axes) == wanted
    words = [text.get_text() for text in axes.texts]
    assert (words.count("upper"), words.count("lower")) == (1, 1)


def test_red_frames_are_explained_where_there_are_any(drawn):
    """kills: a legend for red where nothing is red, a red frame that nothing explains."""
    for wrong in ((), (1,)):
        lines = [pictures.PictureRow("", [cells(shades(2), wrong)])]
        axes = drawn(pictures.sheet, lines, note="a note")
        below = [text.get_text() for text in axes.texts if "a note" in text.get_text()]
        assert below == ["\n".join(["a note", pictures.FRAMED][: 1 + len(wrong)])]


def test_groups_stand_apart_and_nothing_overlaps(drawn):
    """kills: a picture over another, groups run together, a caption over the next line."""
    lines = [pictures.PictureRow("name", [cells(shades(2)), cells(shades(3))]) for _ in range(2)]
    for where in pictures.CaptionPlace:
        axes = drawn(pictures.sheet, lines, ["one", "two"], where, side=0.5)
        boxes = [image.get_window_extent() for image in axes.images]
        texts = [text.get_window_extent() for text in axes.texts if text.get_text()]
        for i, a in enumerate(boxes):
            assert not any(a.overlaps(b) for b in [*boxes[i + 1 :], *texts])
        for i, a in enumerate(texts):
            assert not any(a.overlaps(b) for b in texts[i + 1 :])
        lefts = sorted({image.get_extent()[0] for image in axes.images})
        gaps = np.diff(lefts) - 0.5
        np.testing.assert_allclose(gaps, [0.06, 0.3, 0.06, 0.06])


def test_colours_are_shown_as_they_are_and_ink_is_dark(drawn):
    """kills: channels last taken for first, lines for columns, a picture in [0, 1] read as [-1, 1],
    grey inverted."""
    red = np.stack([np.full((8, 8), v, dtype=np.float32) for v in (1.0, -1.0, 0.0)])
    red[1, 3, 5] = 1.0
    axes = drawn(pictures.sheet, [pictures.PictureRow("", [cells([red])])])
    assert axes.images[0].get_array()[5, 3].tolist() == [1.0, 0.0, 0.5]
    assert axes.images[0].get_array()[3, 5].tolist() == [1.0, 1.0, 0.5]
    ink = np.ones((1, 8, 8), dtype=np.float32)
    axes = drawn(pictures.sheet, [pictures.PictureRow("", [cells([ink])])])
    assert axes.images[0].to_rgba(axes.images[0].get_array())[0, 0, :3].max() < 0.01
    with pytest.raises(ValueError, match="not 2"):
        pictures.sheet([pictures.PictureRow("", [cells([ink.repeat(2, 0)])])])


def test_rows_come_class_by_class_and_round_again():
    """kills: a class twice before another came once, rows lost, nameless prompts shuffled."""
    labels = np.array([2, 0, 0, 2, 1, 0])
    found = pictures.Album(cells(shades(6)), labels, True).by_class()
    assert found == [1, 4, 0, 2, 3, 5]
    nameless = pictures.Album(cells(shades(4)), np.full(4, -1), False)
    assert nameless.by_class() == [0, 1, 2, 3]
