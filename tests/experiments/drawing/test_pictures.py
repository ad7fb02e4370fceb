"""The grid of samples: what it shows, where, and which pictures it frames."""

import io
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments.drawing import pictures, sheet
from experiments.drawing.sheet import CaptionPlace, Cell, PictureRow
from experiments.drawing.style import PAGE
from experiments.drawing.words import inches, wrapped
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
    return [Cell(image, f"caption {i}", i in wrong) for i, image in enumerate(images)]


def shades(n, channels=1):
    """n flat pictures that differ."""
    values = np.linspace(-0.8, 0.8, n, dtype=np.float32)
    return [np.full((channels, 8, 8), value, dtype=np.float32) for value in values]


@pytest.fixture
def drawn(monkeypatch):
    """Calls what draws a sheet and gives the axes that it drew on."""
    kept = []
    monkeypatch.setattr(sheet, "png", lambda figure: kept.append(figure) or b"")

    def draw(function, *arguments, **options):
        plt.close("all")
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


def test_a_mosaic_has_the_albums_of_a_prompt_below_each_other(drawn):
    """kills: an album left out, rows of one in another order, captions between what shares them,
    a note that names the lower album first."""
    shown = shades(8)
    labels = np.zeros(4, dtype=np.int64)
    albums = {
        name: pictures.Album(cells(images), labels, False)
        for name, images in (("upper", shown[:4]), ("lower", shown[4:]))
    }
    axes = drawn(pictures.mosaic, albums, [3, 1, 0, 2], across=2)
    order = [shown[i] for i in (3, 1, 7, 5, 0, 2, 4, 6)]
    wanted = {divmod(i, 2): round(float(image.mean()), 3) for i, image in enumerate(order)}
    assert layout(axes) == wanted
    words = {text.get_text(): text.get_position()[1] for text in axes.texts}
    tops = sorted({image.get_extent()[3] for image in axes.images})
    assert tops[1] < words["caption 3"] == words["caption 1"] < tops[2]
    assert tops[3] < words["caption 0"]
    assert "from the top: upper; lower" in " ".join(words)


def test_red_frames_are_explained_where_there_are_any(drawn):
    """kills: a legend for red where nothing is red, a red frame that nothing explains."""
    for wrong in ((), (1,)):
        lines = [PictureRow("", [cells(shades(2), wrong)])]
        axes = drawn(sheet.sheet, lines, note="a note")
        (below,) = [text.get_text() for text in axes.texts if "a note" in text.get_text()]
        assert below.split() == " ".join(["a note", sheet.FRAMED][: 1 + len(wrong)]).split()


def test_groups_stand_apart_and_nothing_overlaps(drawn):
    """kills: a picture over another, groups run together, a caption over the next line."""
    lines = [PictureRow("name", [cells(shades(2)), cells(shades(3))]) for _ in range(2)]
    for where in CaptionPlace:
        axes = drawn(sheet.sheet, lines, ["one", "two"], where, side=0.5)
        boxes = [image.get_window_extent() for image in axes.images]
        texts = [text.get_window_extent() for text in axes.texts if text.get_text()]
        for i, a in enumerate(boxes):
            assert not any(a.overlaps(b) for b in [*boxes[i + 1 :], *texts])
        for i, a in enumerate(texts):
            assert not any(a.overlaps(b) for b in texts[i + 1 :])
        lefts = sorted({image.get_extent()[0] for image in axes.images})
        gaps = np.diff(lefts) - 0.5
        np.testing.assert_allclose(gaps, [0.06, 0.3, 0.06, 0.06])


@pytest.mark.parametrize("where", CaptionPlace)
@pytest.mark.parametrize(("lines", "across"), [(17, (8,)), (6, (5, 5, 5)), (12, (4, 4))])
def test_a_sheet_fits_a_page_and_breaks_no_word(drawn, where, lines, across):
    """kills: a sheet that is wider or higher than a page, a caption broken within a word, captions,
    names, heads or pictures over each other, letters that shrink with the pictures."""
    group = [Cell(image, f"a handwritten digit of {i}") for i, image in enumerate(shades(8))]
    rows = [
        PictureRow("Combined, different schedules, literal §8.3.4", [group[:n] for n in across])
        for _ in range(lines)
    ]
    heads = ["Different schedules: FM linear, DDPM cosine"] * len(across)
    axes = drawn(sheet.sheet, rows, heads, where, note="a note " * 40)
    size = axes.figure.get_size_inches()
    if where is CaptionPlace.NONE or sum(across) <= 8:
        assert size[0] <= PAGE[0]
    if where is not CaptionPlace.BELOW:
        assert size[1] <= PAGE[1]
    texts = [text for text in axes.texts if text.get_text()]
    assert min(text.get_fontsize() for text in texts) >= 7
    words = " ".join(text.get_text() for text in texts).split()
    assert not any(word.endswith("-") for word in words)
    axes.figure.canvas.draw()
    boxes = [each.get_window_extent() for each in (*texts, *axes.images)]
    frame = axes.figure.bbox.padded(4)  # letters are hinted to whole pixels
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])
        assert frame.x0 <= a.x0 < a.x1 <= frame.x1
        assert frame.y0 <= a.y0 < a.y1 <= frame.y1


def test_only_a_word_that_is_too_wide_is_broken():
    """kills: a word broken though it fits a line of its own, a piece that does not fit, a letter
    lost."""
    words, width = "a handwritten zero", 0.8
    assert wrapped(words, width, 7) == ["a handwritten", "zero"]
    assert wrapped(words, inches("handwritten", 7), 7) == ["a", "handwritten", "zero"]
    parts = wrapped("a handwritten zero", inches("handwri-", 7), 7)
    assert parts == ["a", "handwri-", "tten", "zero"]


def test_colours_are_shown_as_they_are_and_ink_is_dark(drawn):
    """kills: channels last taken for first, lines for columns, a picture in [0, 1] read as [-1, 1],
    grey inverted."""
    red = np.stack([np.full((8, 8), v, dtype=np.float32) for v in (1.0, -1.0, 0.0)])
    red[1, 3, 5] = 1.0
    axes = drawn(sheet.sheet, [PictureRow("", [cells([red])])])
    assert axes.images[0].get_array()[5, 3].tolist() == [1.0, 0.0, 0.5]
    assert axes.images[0].get_array()[3, 5].tolist() == [1.0, 1.0, 0.5]
    ink = np.ones((1, 8, 8), dtype=np.float32)
    axes = drawn(sheet.sheet, [PictureRow("", [cells([ink])])])
    assert axes.images[0].to_rgba(axes.images[0].get_array())[0, 0, :3].max() < 0.01
    with pytest.raises(ValueError, match="not 2"):
        sheet.sheet([PictureRow("", [cells([ink.repeat(2, 0)])])])


def test_rows_come_class_by_class_and_round_again():
    """kills: a class twice before another came once, rows lost, nameless prompts shuffled."""
    labels = np.array([2, 0, 0, 2, 1, 0])
    found = pictures.Album(cells(shades(6)), labels, True).by_class()
    assert found == [1, 4, 0, 2, 3, 5]
    nameless = pictures.Album(cells(shades(4)), np.full(4, -1), False)
    assert nameless.by_class() == [0, 1, 2, 3]


def test_a_line_of_other_captions_is_last_and_has_them_above_it(drawn):
    """kills: real pictures under captions that are not theirs; captions again above every line."""
    own = [Cell(image, f"own {i}") for i, image in enumerate(shades(2))]
    lines = [PictureRow(name, [cells(shades(2))]) for name in ("first", "last")]
    shown = pictures.others_last([lines[0], PictureRow("real", [own]), lines[1]])
    assert [line.name for line in shown] == ["first", "last", "real"]
    axes = drawn(sheet.sheet, shown)
    words = [(text.get_text(), text.get_position()[1]) for text in axes.texts]
    tops = sorted({image.get_extent()[3] for image in axes.images})
    height = {name: [y for word, y in words if word == name] for name in ("caption 1", "own 1")}
    assert [len(places) for places in height.values()] == [1, 1]
    assert height["caption 1"][0] < tops[0]
    assert tops[1] < height["own 1"][0] < tops[2]


def test_of_many_classes_those_are_shown_that_lie_evenly_among_all(store, drawn):
    """kills: eight pictures of the first shape and colour where there are hundreds of scenes."""
    labels = np.repeat(np.arange(40), 2)
    images = np.linspace(-0.8, 0.8, 80, dtype=np.float32)[:, None, None, None].repeat(8, 2)
    sample = SimpleNamespace(
        prompts=lambda _: ([f"class {k}" for k in labels], labels),
        images=lambda *_: images.repeat(8, 3),
    )
    axes = drawn(pictures.grid, {"row": Score(sample, BrightJudge())}, store)
    words = [text.get_text() for text in axes.texts if text.get_text().startswith("class")]
    assert words == [f"class {k}" for k in range(0, 40, 5)]
