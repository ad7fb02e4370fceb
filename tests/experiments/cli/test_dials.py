"""A scale's dials as a parser's type, and back: any source, any encoder, at any depth."""

import dataclasses
import re
from dataclasses import replace

import pytest

from datamodules.sources.classed import CIFAR10
from datamodules.sources.folder import Folder
from datamodules.sources.imagetext import ImageText
from experiments.cli import main as cli
from experiments.cli.dials import RENAMED
from experiments.cli.options import UsageError, parse
from experiments.hddm.table1 import TABLE
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.tables.dials import changed
from metrics.networks.perceptual import Backbone, Lpips
from modules.blocks import Size
from modules.training import Precision
from tests.helpers.files import ROOT
from tests.helpers.house import Tree

PAPER = SCALES["paper"]


def parsed(arguments):
    return parse("table1", "Table 1", arguments, SCALES)


def read(*arguments):
    return parsed(list(arguments)).scale


@pytest.mark.parametrize("name", list(SCALES))
def test_without_options_a_scale_comes_back_as_it_is(name):
    """kills: a dial lost on the way, or a value in place of one without options."""
    assert read("--scale", name) == SCALES[name]


def test_options_reach_whatever_a_dial_holds():
    """kills: the options of another source's class, a sibling reset, Table 1's source forgotten."""
    found = read(
        *("--scale", "paper", "--scale.data.source.root", "/data"),
        *("--scale.study.matched.source.root=/art", "--scale.study.matched.size.depth", "3"),
        *("--scale.judge.networks.lpips.backbone", "VGG"),
        *("--scale.train.precision", "SINGLE"),
    )
    assert isinstance(found.data.source, ImageText)
    assert found.data.source == replace(PAPER.data.source, root="/data")
    shape = Size(PAPER.study.matched.size.width, 3, PAPER.study.matched.size.heads)
    art = replace(PAPER.study.matched.source, root="/art")
    assert found.study.matched == replace(PAPER.study.matched, source=art, size=shape)
    lpips = Lpips(Backbone.VGG)
    networks = replace(PAPER.judge.networks, lpips=lpips)
    assert found.judge == replace(PAPER.judge, networks=networks)
    assert changed(PAPER, found) == {  # a root is no change
        "judge.networks.lpips.backbone": Backbone.VGG,
        "study.matched.size.depth": 3,
        "train.precision": Precision.SINGLE,
    }


def test_another_source_has_its_own_options_and_is_table_1s_too():
    """kills: --source that keeps the scale's own fields, or leaves LAION-Art to Table 1."""
    named = ("--scale.data.source.name", "mine", "--scale.data.source.root", "/pictures")
    found = read("--scale", "paper", "--source", "datamodules.sources.folder.Folder", *named)
    mine = Folder("mine", "/pictures")
    matched = replace(PAPER.study.matched, source=mine)
    assert found == turned(PAPER, {"data.source": mine, "study.matched": matched})
    medium = read("--scale", "medium", "--source", "datamodules.sources.classed.CIFAR10")
    assert medium == turned(SCALES["medium"], {"data.source": CIFAR10()})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--source", "datamodules.sources.folder.Nothing"],
            "no class datamodules.sources.folder.Nothing",
        ),
        (["--source", "Folder"], "package.module.Class is wanted"),
        (["--source", "modules.blocks.Size"], "is no source"),
        (["--source", "datamodules.sources.folder.Folder"], "scale.data.source.name"),
        (["--source", "datamodules.sources.digits.Digits", "--source", "x"], "given twice"),
        (["--scale.data.source.nothing", "3"], "scale.data.source.nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_no_dial_is_named(arguments, said):
    """kills: an option that is swallowed, a class that is no source taken for one."""
    with pytest.raises(UsageError, match=said):
        read(*arguments)


def test_where_data_lie_is_no_change():
    """kills: results of the same scale under another folder, since its data lie elsewhere."""
    moved = read("--scale", "medium", "--scale.data.source.data_root", "/elsewhere")
    assert moved != SCALES["medium"]
    assert changed(SCALES["medium"], moved) == {}
    fewer = read("--scale.data.source.train", "700")
    assert changed(SCALES["small"], fewer) == {"data.source.train": 700}


def dials(held, prefix=""):
    """The dotted names of all fields below a dataclass."""
    for field in dataclasses.fields(held) if dataclasses.is_dataclass(held) else ():
        yield f"{prefix}{field.name}"
        yield from dials(getattr(held, field.name), f"{prefix}{field.name}.")


EVERY = {name for scales in (SCALES, VIDEO_SCALES) for x in scales.values() for name in dials(x)}


def test_every_old_name_leads_to_a_dial():
    """kills: an old dial sent to a name that no scale has."""
    assert {*RENAMED.values()} <= EVERY


def test_hints_of_the_source_name_dials_that_are_there():
    """kills: a message or docstring that tells a reader to turn a dial by its old name."""
    tree = Tree(ROOT)
    sources = {*tree.source} - {"experiments.cli.dials"}  # which names an old one
    text = "\n".join(tree.places[name].read_text() for name in sorted(sources))
    named = set(re.findall(r"--scale\.([a-z0-9_]+(?:\.[a-z0-9_]+)*)", text))
    assert "data.source.download" in named
    assert named <= EVERY


def test_help_documents_the_dials_with_the_scales_defaults(capsys):
    """kills: a dial without help or with another scale's default; a status other than 0."""
    with pytest.raises(SystemExit) as caught:
        cli.main(TABLE, arguments=["--scale", "smoke", "--help"])
    assert caught.value.code in (0, None)
    text = " ".join(capsys.readouterr().out.split())
    for group, dials in vars(SCALES["smoke"]).items():
        for dial, value in vars(dials).items():
            optionless = dataclasses.is_dataclass(value) and not dataclasses.fields(value)
            assert (f"--scale.{group}.{dial}" in text) is not optionless, (group, dial)
    for option in ("--seeds", "--workers", "--store", "--results", "--device"):
        assert f"{option} " in text
    assert re.search(r"--scale.train.steps STEPS optimiser steps.{0,60}default: 12\)", text)
    assert "smoke,small,scenes,emoji,medium,paper" in text


def test_an_option_turns_its_own_dial_and_no_other():
    """kills: a dial that resets the others, or the named scale itself, to other defaults."""
    before = repr(SCALES)
    small, smoke = SCALES["small"], SCALES["smoke"]
    assert parsed([]).scale == small
    assert parsed(["--scale.train.steps", "3000"]).scale == turned(small, {"train.steps": 3000})
    found = parsed(
        ["--scale=smoke", "--scale.expert.size.width", "32", "--scale.train.final_lr=null"]
    )
    wide = turned(
        smoke, {"expert.size": replace(smoke.expert.size, width=32), "train.final_lr": None}
    )
    assert (found.scale_name, found.scale, found.seeds) == ("smoke", wide, 3)
    train = parsed(["--scale.data.source.train", "90", "--scale", "smoke"]).scale
    assert train == turned(smoke, {"data.source": replace(smoke.data.source, train=90)})
    assert repr(SCALES) == before
