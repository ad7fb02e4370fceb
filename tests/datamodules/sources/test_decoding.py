"""Decoding: pictures whose pixels are known from a formula, in every mode that a file may have."""

import io

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.pictures import Filter, decode, scaled, square
from datamodules.sources.source import BadRecordError, LeftOutError

every_filter = pytest.mark.parametrize("resize", Filter)


def encoded(picture, form="PNG", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def ramp(width, height):
    """Red is the column, green the row, blue 7."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns, rows, np.full_like(rows, 7)], -1).astype(np.uint8)
    return Image.fromarray(pixels)


def pixels(picture):
    assert picture.mode == "RGB"
    return np.asarray(picture).astype(int)


def test_the_scale_is_exact_at_its_ends_and_its_inverse():
    """kills: x / 255, x / 128 - 1, or a level that does not come back."""
    levels = np.arange(256, dtype=np.uint8)
    found = scaled(levels)
    assert found.dtype == np.float32
    assert (found[0], found[255]) == (-1, 1)
    assert np.allclose(found, levels / 127.5 - 1, atol=1e-7)
    assert np.array_equal(np.rint((found + 1) * 127.5).astype(np.uint8), levels)


def test_a_picture_of_the_side_is_untouched():
    """kills: channels or axes in another order, a flip, or a needless resampling."""
    found = square(ramp(8, 8), 8, Filter.LANCZOS)
    rows, columns = np.mgrid[:8, :8]
    assert np.allclose(found, np.stack([columns, rows, 0 * rows + 7]) / 127.5 - 1, atol=1e-7)
    assert found.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize(
    ("width", "height", "left", "top"), [(14, 8, 3, 0), (8, 14, 0, 3), (13, 8, 2, 0)]
)
def test_the_crop_is_the_centre(width, height, left, top):
    """kills: a crop from a corner, or of the shorter axis."""
    found = np.rint((square(ramp(width, height), 8, Filter.BOX) + 1) * 127.5)
    assert (found[0, 0, 0], found[1, 0, 0]) == (left, top)
    assert (found[0, -1, -1], found[1, -1, -1]) == (left + 7, top + 7)


def test_a_box_is_the_mean_of_its_block():
    """kills: a filter ignored, subsampling, or a resize of the longer side: closed form."""
    values = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    found = (square(Image.fromarray(values), 4, Filter.BOX) + 1) * 127.5  # [3, 4, 4]
    means = values.reshape(4, 2, 6, 2, 3).mean((1, 3)).transpose(2, 0, 1)[:, :, 1:5]
    assert np.abs(found - means).max() <= 1  # PIL rounds after each axis


@every_filter
def test_every_filter_antialiases(resize):
    """kills: a filter of fixed width, by which a fine chequerboard turns black or white."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    found = square(Image.fromarray(board).convert("RGB"), 8, resize)
    assert np.abs(found[:, 2:-2, 2:-2]).max() < 0.05


def test_filters_are_five_different_ones():
    """kills: names that stand for the same filter, or nearest neighbour among them."""
    picture = ramp(64, 64).rotate(30)
    found = [square(picture, 9, resize).tobytes() for resize in Filter]
    assert len(set(found)) == 5
    assert Image.Resampling.NEAREST not in {resize.value for resize in Filter}


@pytest.mark.parametrize("size", [(7, 20), (20, 7), (7, 7)])
def test_nothing_is_enlarged(size):
    """kills: a small picture blown up without a word."""
    with pytest.raises(ValueError, match="enlarged"):
        square(ramp(*size), 8, Filter.LANCZOS)
    with pytest.raises(LeftOutError, match=r"shorter side under 8 \(source.image"):
        decode(encoded(ramp(*size)), 8)
    assert decode(encoded(ramp(8, 9)), 8).size == (8, 9)


@pytest.mark.parametrize("size", [(257, 256), (1000, 333), (333, 1000), (769, 512)])
def test_any_shape_makes_a_square(size):
    """kills: a rounding by which the longer side falls under the crop."""
    assert square(ramp(*size), 256, Filter.BICUBIC).shape == (3, 256, 256)


TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_the_camera_is_held_upright(orientation):
    """kills: EXIF orientation ignored, or turned the other way: the eight cases of the standard."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels(decode(encoded(ramp(5, 3), exif=exif)))
    assert np.array_equal(found, TURNS[orientation](pixels(ramp(5, 3))))


def flat(mode, colour, **info):
    picture = Image.new(mode, (4, 4), colour)
    picture.info.update(info)
    return picture


def palette(transparent=None):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([9, 9, 9, 200, 100, 50])
    return encoded(picture) if transparent is None else encoded(picture, transparency=transparent)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encoded(flat("RGB", (200, 100, 50))), (200, 100, 50)),
        (encoded(flat("RGBA", (200, 100, 50, 255))), (200, 100, 50)),
        (encoded(flat("RGBA", (200, 100, 50, 0))), (255, 255, 255)),
        (encoded(flat("RGBA", (200, 100, 50, 51))), (244, 224, 214)),
        (encoded(flat("LA", (100, 51))), (224, 224, 224)),
        (encoded(flat("RGB", (200, 100, 50)), transparency=(200, 100, 50)), (255, 255, 255)),
        (encoded(flat("RGB", (200, 100, 50)), transparency=(0, 0, 0)), (200, 100, 50)),
        (encoded(flat("L", 100), transparency=100), (255, 255, 255)),
        (palette(), (200, 100, 50)),
        (palette(0), (200, 100, 50)),
        (palette(1), (255, 255, 255)),
        (encoded(flat("L", 100)), (100, 100, 100)),
        (encoded(flat("1", 1)), (255, 255, 255)),
        (encoded(Image.fromarray(np.full((4, 4), 100 * 257 + 40, np.uint16))), (100, 100, 100)),
        (encoded(Image.fromarray(np.full((4, 4), 65535, np.uint16))), (255, 255, 255)),
        (encoded(flat("RGB", (200, 100, 50)), "BMP"), (200, 100, 50)),
        (encoded(flat("RGB", (200, 100, 50)), "WEBP", lossless=True), (200, 100, 50)),
        (encoded(flat("RGB", (200, 100, 50)), "GIF"), (200, 100, 50)),
        (encoded(flat("CMYK", (55, 155, 205, 0)), "TIFF"), (200, 100, 50)),
    ],
)
def test_every_mode_becomes_rgb_over_white(data, expected):
    """kills: transparency over black, a palette's numbers as grey levels, 16 bits clipped."""
    found = pixels(decode(data))
    assert np.abs(found - np.array(expected)).max() <= 1
    assert found.shape == (4, 4, 3)


def test_a_jpeg_is_near_what_was_saved():
    """kills: a decoder's draft mode, or YCbCr taken for RGB."""
    data = encoded(flat("RGB", (200, 100, 50)).resize((40, 40)), "JPEG", quality=95)
    assert np.abs(pixels(decode(data)) - [200, 100, 50]).max() <= 4


def test_an_animation_is_its_first_frame():
    """kills: the last frame, or an error."""
    frames = [flat("RGB", (200, 100, 50)), flat("RGB", (0, 0, 255))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels(decode(data))[0, 0].tolist() == [200, 100, 50]


NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8))
PNG, JPEG, WEBP = encoded(NOISE), encoded(NOISE, "JPEG"), encoded(NOISE, "WEBP", lossless=True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>not found</html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        encoded(NOISE, "PPM"),
        *(data[:cut] for data in (PNG, JPEG, WEBP) for cut in (10, 60, len(data) // 2)),
        PNG[:400] + b"\0" * 50 + PNG[450:],
        encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"),
    ],
)
def test_damaged_bytes_are_a_bad_record(data):
    """kills: half a picture padded with grey, another exception, or a format not listed."""
    with pytest.raises(BadRecordError) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_a_bad_record(monkeypatch):
    """kills: a small file that decodes to all of memory."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 700)
    with pytest.raises(BadRecordError, match="decompression bomb"):
        decode(PNG)


def test_no_memory_is_not_a_bad_record(monkeypatch):
    """kills: sound pictures skipped by the thousand on a machine that is full."""

    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Image, "open", full)
    with pytest.raises(MemoryError):
        decode(PNG)
