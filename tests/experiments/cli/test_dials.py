"""A scale's dials as a parser's type, and back: any source, any encoder, at any depth."""

from dataclasses import replace

import pytest

from datamodules.sources.classed import CIFAR10
from datamodules.sources.digits import Digits
from datamodules.sources.folder import Folder
from datamodules.sources.imagetext import ImageText
from experiments.cli.dials import changed
from experiments.cli.options import UsageError, parse
from experiments.recipes.images import SCALES
from metrics.networks.perceptual import Backbone, Lpips
from modules.blocks import Size

PAPER = SCALES["paper"]


def read(*arguments):
    return parse("table1", "Table 1", list(arguments)).scale


@pytest.mark.parametrize("name", list(SCALES))
def test_without_options_a_scale_comes_back_as_it_is(name):
    """kills: a dial lost on the way, or a value in place of one without options."""
    assert read("--scale", name) == SCALES[name]


def test_options_reach_whatever_a_dial_holds():
    """kills: the options of another source's class, a sibling reset, Table 1's source forgotten."""
    found = read(
        *("--scale", "paper", "--scale.source.root", "/data", "--scale.matched.source.root=/art"),
        *("--scale.judge.lpips.backbone", "VGG", "--scale.matched.size.depth", "3"),
        *("--scale.precision", "SINGLE"),
    )
    assert isinstance(found.source, ImageText)
    assert found.source == replace(PAPER.source, root="/data")
    shape = Size(PAPER.matched.size.width, 3, PAPER.matched.size.heads)
    art = replace(PAPER.matched.source, root="/art")
    assert found.matched == replace(PAPER.matched, source=art, size=shape)
    assert found.judge == replace(PAPER.judge, lpips=Lpips(Backbone.VGG))
    assert set(changed(PAPER, found)) == {"matched", "judge", "precision"}  # a root is no change


def test_another_source_has_its_own_options_and_is_table_1s_too():
    """kills: --source that keeps the scale's own fields, or leaves LAION-Art to Table 1."""
    named = ("--scale.source.name", "mine", "--scale.source.root", "/pictures")
    found = read("--scale", "paper", "--source", "datamodules.sources.folder.Folder", *named)
    assert found.source == Folder("mine", "/pictures")
    assert found.matched == replace(PAPER.matched, source=found.source)
    assert found == replace(PAPER, source=found.source, matched=found.matched)
    medium = read("--scale", "medium", "--source", "datamodules.sources.classed.CIFAR10")
    assert medium == replace(SCALES["medium"], source=CIFAR10())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--source", "datamodules.sources.folder.Nothing"],
            "no class datamodules.sources.folder.Nothing",
        ),
        (["--source", "Folder"], "package.module.Class is wanted"),
        (["--source", "modules.blocks.Size"], "is no source"),
        (["--source", "datamodules.sources.folder.Folder"], "scale.source.name"),
        (["--source", "datamodules.sources.digits.Digits", "--source", "x"], "given twice"),
        (["--scale.source.nothing", "3"], "scale.source.nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_no_dial_is_named(arguments, said):
    """kills: an option that is swallowed, a class that is no source taken for one."""
    with pytest.raises(UsageError, match=said):
        read(*arguments)


def test_where_data_lie_is_no_change():
    """kills: results of the same scale under another folder, since its data lie elsewhere."""
    moved = read("--scale", "medium", "--scale.source.data_root", "/elsewhere")
    assert moved != SCALES["medium"]
    assert changed(SCALES["medium"], moved) == {}
    fewer = read("--scale.source.train", "700")
    assert changed(SCALES["small"], fewer) == {"source": Digits(700)}
