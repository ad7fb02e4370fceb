"""The figures' sets: shared with the tables, the paper's prompts where pictures can show them."""

from dataclasses import dataclass

import numpy as np
import pytest

from experiments.cli.main import main
from experiments.hddm import ablation_ordering, ablation_schedules, figures, table4
from experiments.hddm.prompts import CAPTIONS, PRINTED, SHOWN, places
from experiments.pipeline.launch import local
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.scores.score import Drawn
from experiments.stages.prompts import Given
from tests.helpers.stages import serial

PICTURES = (1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)


@dataclass(frozen=True)
class Other:
    """A source that is not the digits; nothing reads it."""

    train: int = 4000
    image: int = 64
    channels: int = 3
    classes: int = 10


@dataclass(frozen=True)
class Named:
    """An album that knows which set it is."""

    names: tuple

    def by_class(self):
        return range(200)


def named(rows):
    """{names: key of the pictures} of rows."""
    return {tuple(row.names.values()): row.measured.pictures.key for row in rows}


@pytest.mark.parametrize("seed", [0, 1])
def test_the_sets_are_those_of_the_tables(seed):
    """kills: a setting, an order of experts, a path or a router that differs from the table's, so
    that a figure shows other pictures than those whose numbers stand there, and costs them again.
    """
    scale = SCALES["small"]
    own = named(figures.rows(scale, seed))
    ordering = named(ablation_ordering.TABLE.rows(scale, seed))
    for (reading, order, tau), key in ordering.items():
        schedules = "one schedule" if reading.startswith("unified") else "own schedules"
        how = "corrected" if reading.endswith("corrected") else "literal §8.3.4"
        if reading != "unified, corrected":  # of which Fig 14 has one set, and Fig 13 none
            assert own.pop((f"{order} at {tau}", schedules, how)) == key
    schedules = named(ablation_schedules.rows(scale, seed))
    same = schedules["FM→DDPM at 0.5", "cosine", "cosine", "corrected"]
    assert own.pop(("FM→DDPM at 0.5", "one schedule", "corrected")) == same
    table_4 = named(table4.rows(scale, seed))
    pipelines = {"text-free": "literal §8.3.4", "text-aware": "corrected"}
    for form, how in pipelines.items():
        for mix in ("8FM", "1DDPM:7FM", "2DDPM:6FM"):
            read = "" if mix == "8FM" else how
            (key,) = (
                key
                for names, key in table_4.items()
                if names[:4] == (form, mix, "conversion", read)
            )
            assert own.pop((mix, "Top-2", f"{form}, {how}")) == key
    assert {names[0] for names in own} == {figures.HETEROGENEOUS}
    assert len(own) == len(set(own.values())) == 4


@pytest.mark.parametrize("figure", ["fig01", "fig05", *(f"fig{i:02d}" for i in range(7, 13))])
def test_the_papers_pipeline_comes_first(figure, monkeypatch):
    """kills: ours where the paper's should stand, one pipeline shown twice or under the other's
    name, a figure of one alone, the two mixes of Figs 5, 11 and 12 exchanged."""
    shown = []
    monkeypatch.setattr(figures, "_album", lambda results, *names: Named(names))
    monkeypatch.setattr(figures, "mosaic", lambda albums, rows, across: shown.append({"": albums}))
    monkeypatch.setattr(figures, "beside", lambda panels, rows, across, side: shown.append(panels))
    figures.FIGURES[figure](None)
    albums = [
        (f"{panel} {head}", album.names)
        for panel, x in shown[0].items()
        for head, album in x.items()
    ]
    for said, (_, strategy, pipeline) in albums:
        assert strategy == "Top-2"
        assert pipeline in said
        assert ("the paper's" in said) == (pipeline == "text-free, literal §8.3.4")
    paper, ours = (
        [names[0] for _, names in albums if names[2].startswith(form)]
        for form in ("text-free", "text-aware")
    )
    mixes = {"fig05": ["8FM", "2DDPM:6FM"], "fig08": ["1DDPM:7FM"], "fig09": ["8FM"]}
    mixes |= {turned: ["2DDPM:6FM", "8FM"] for turned in ("fig11", "fig12")}
    assert paper == ours == mixes.get(figure, ["2DDPM:6FM"])
    assert albums[0][1][2].startswith("text-free")


def test_every_figure_shows_prompts_of_its_own_place():
    """kills: a figure that shows another's prompts, a printed prompt lost, prompts of Figs 7-10 and
    12 in another order than the paper's."""
    taken = [i for figure in SHOWN for i in places(figure)]
    assert taken == list(range(len(CAPTIONS)))
    for figure in (7, 8, 9, 10, 12):
        assert tuple(CAPTIONS[i] for i in places(figure)) == PRINTED[figure]
    assert [len(PRINTED[figure]) for figure in (7, 8, 9, 10, 12)] == [16, 16, 16, 16, 4]
    assert len({prompt for prompts in PRINTED.values() for prompt in prompts}) == 69
    assert len({CAPTIONS[i] for i in places(13)}) == 1


def test_a_source_that_can_show_them_gets_the_papers_prompts():
    """kills: held-out captions at paper scale."""
    scale = turned(SCALES["paper"], {"data.source": Other()})
    for row in figures.rows(scale, 0):
        assert isinstance(row.measured, Drawn)
        assert row.measured.pictures.asked == Given(CAPTIONS)
    digits = {type(row.measured) for row in figures.rows(SCALES["small"], 0)}
    assert Drawn not in digits


@pytest.mark.slow
def test_all_figures_are_drawn_from_nothing_and_again_the_same(tmp_path, monkeypatch):
    """kills: a figure that fails, that needs what `rows` does not make, or that differs by run."""
    monkeypatch.setattr(local, "map", serial)
    dials = ["--scale.train.steps=4", "--scale.router.train.steps=2", "--scale.judge.steps=2"]
    arguments = ["--scale", "smoke", "--seeds", "1", *dials]
    places = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    found = []
    for _ in range(2):
        assert main(figures.TABLE, arguments=[*arguments, *places]) == 0
        pngs = sorted(tmp_path.glob("results/*/figures/*.png"))
        assert [png.stem for png in pngs] == [f"fig{i:02d}" for i in PICTURES]
        found.append([png.read_bytes() for png in pngs])
    assert found[0] == found[1]
    assert len(set(found[0])) == len(PICTURES)
    assert np.all([png.startswith(b"\x89PNG") for png in found[0]])
