"""Dials by name: what is wrong with one is said in a line, before anything is built of it."""

from operator import attrgetter

import pytest

from datamodules.sources.folder import Folder
from experiments.recipes.images import SCALES
from experiments.recipes.named import every, turned_by_name
from experiments.recipes.video import VIDEO_SCALES
from modules.blocks import Size
from modules.guidance import Within

SMALL = SCALES["small"]


@pytest.mark.parametrize("scale", [*SCALES.values(), *VIDEO_SCALES.values()])
def test_every_dial_takes_the_value_that_it_has(scale):
    """kills: a type that is read too narrowly, a dial of a group that is not found."""
    dials = every(scale)
    assert {"train.steps", "data.source", "router.train.lr"} <= {*dials}
    for name in dials:
        assert turned_by_name(scale, {name: attrgetter(name)(scale)}) == scale


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data.source", Folder("mine")),
        ("expert.size", Size(8, 1, 2)),
        ("study.pair", (1, 2)),
        ("draw.guidance", 2),
        ("train.ema", None),
    ],
)
def test_another_value_of_its_kind_is_taken(name, value):
    """kills: a whole number refused where a fraction may stand, another source refused."""
    assert attrgetter(name)(turned_by_name(SMALL, {name: value})) == value


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("steps", 3, r"'steps': a scale has data, .*mean train.steps or router.train.steps"),
        ("train.stps", 3, r"'train.stps': train has steps, .*mean train.steps"),
        ("train.steps.more", 3, "train.steps is one value"),
        ("train.steps", "300", "train.steps cannot be '300': it is 600, and takes int"),
        ("train.steps", 2.5, "takes int"),
        ("train.lr", True, "takes float"),
        ("train", 3, "it is Optim, and takes Optim"),
        ("expert.size", (8, 1, 2), "takes Size"),
        ("data.source", "digits", "it is Digits, and takes Source"),
        ("draw.guidance", Within(2.0, 0.1, 0.9), "takes float"),
        ("study.pair", "1", r"takes tuple\[int"),
    ],
)
def test_a_wrong_name_or_type_is_said_in_one_line(name, value, said):
    """kills: a traceback from deep inside for a misspelt dial, a text taken for a number."""
    with pytest.raises(TypeError, match=said) as raised:
        turned_by_name(SMALL, {name: value})
    assert "\n" not in str(raised.value)
