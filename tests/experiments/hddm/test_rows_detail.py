"""Rows of real pictures, and those of the ablations of sharpness and of AdaLN: what they name."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from datamodules.sources.source import Split
from experiments.hddm import ablation_adaln, ablation_sharpness, figures, table1
from experiments.hddm.statements import STATEMENTS
from experiments.measures.costs import cost
from experiments.measures.resources import parameters
from experiments.recipes.images import SCALES
from experiments.scores.score import Score
from modules.blocks import AdaLN
from modules.selection import Full, Top
from modules.solvers import Euler
from tests.helpers.rows import (
    CASES,
    EIGHT,
    FM,
    SEED,
    converted,
    form,
    kind,
    rows_of,
    sampled,
    within,
)

EACH = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
"""A scale, and what the paper says of it."""


@pytest.mark.parametrize("name", SCALES)
def test_real_pictures_are_decoded_too_where_samples_are(name):
    """kills: the row left out at a scale of latents, made where pictures are latents, or of other
    pictures than the row above it; a plan of the paper without its encoding."""
    rows = rows_of(table1, SimpleNamespace(scale=SCALES[name]))
    back = rows.get(("Real pictures, encoded and decoded", ""))
    assert (back is not None) == (name in ("emoji", "paper"))
    if back is not None:
        pictures = back.measured.pictures
        assert pictures.real == rows["Real pictures", ""].measured.pictures
        assert name != "paper" or cost(pictures).flops > 0


@EACH
def test_sharpness_is_of_the_sets_that_it_names(case):
    """kills: one pipeline for the other, a mix or a strategy beside its name, 8FM converted,
    samples for the real pictures."""
    rows = rows_of(ablation_sharpness, case)
    real = rows.pop(("real pictures", "", ""))
    assert type(real.measured.score.pictures).__name__ == "Real"
    strategies = {"Top-1": Top(1), "Top-2": Top(2), "Full": Full()}
    sets = [("8FM", "Top-2"), *(("2DDPM:6FM", name) for name in strategies)]
    pipelines = {"text-free": "literal §8.3.4", "text-aware": "corrected"}
    for (pipeline, mix, name), row in rows.items():
        router, how = pipeline.split(", ")
        reading = "corrected" if mix == "8FM" else how
        sample = sampled(
            replace(row, measured=row.measured.score), case, "conversion", reading=reading
        )
        assert converted(sample) == ([] if mix == "8FM" else [0, 3])
        assert (form(sample.router), sample.selection) == (router, strategies[name])
        assert pipelines[router] == how
    assert {*rows} == {(f"{f}, {how}", *each) for f, how in pipelines.items() for each in sets}


def test_sharpness_costs_no_samples_beyond_the_figures():
    """kills: a setting or a seed of its own, so that what is measured isn't what is shown."""
    scale = CASES["small"].scale
    shown = {row.measured.pictures for row in figures.rows(scale, SEED) if row.measured}
    own = [row.measured.score.pictures for row in ablation_sharpness.rows(scale, SEED)]
    assert {*own[1:]} < shown


@EACH
def test_adaln_alone_differs_between_the_networks(case):
    """kills: a row's network under another's name, other data, recipe or start, an equal number of
    parameters that a neighbouring width is nearer to, errors of the pictures trained on."""
    rows, paired = rows_of(ablation_adaln, case), set()
    for (name,), row in rows.items():
        error = row.measured.error
        (expert,) = error.experts
        sample = sampled(replace(row, measured=error.score), case, "conversion", solver=Euler())
        assert sample.experts == error.experts
        within(error.score, case)
        assert (kind(expert), expert.clusters, expert.start) == (FM, case.pair, None)
        assert (error.encoded.split, isinstance(error.score, Score)) == (Split.HELDOUT, True)
        assert (expert.network.adaln is AdaLN.SINGLE) == (name == "Single")
        size = replace(expert.network.size, width=1 << 10)
        paired.add(replace(expert, network=replace(expert.network, size=size, adaln=AdaLN.ZERO)))
    assert len(paired) == 1
    single, wide, equal = (row.measured.error.experts[0].network for row in rows.values())
    assert wide == replace(single, adaln=AdaLN.ZERO)
    assert equal.size.width < wide.size.width

    def off(width):
        size = replace(equal.size, width=width)
        return abs(parameters(replace(equal, size=size)) - parameters(single))

    width, step = equal.size.width, max(4, equal.size.heads)
    assert off(width) == min(off(width - step), off(width), off(width + step))
    assert [*rows] == [("Single",), ("Zero, as wide",), ("Zero, as many parameters",)]


def test_a_chosen_cluster_is_held_against_every_other():
    """kills: a chosen cluster among the others, one left out, the other chosen one's row."""
    (claim,) = [c for c in STATEMENTS if c.statement.startswith("Epsilon prediction excels")]
    found = [test.contrast for test in claim.tests]
    names = {"0": ("nested", "1", "0"), **{f"{k}": ("one by one", "1", f"{k}") for k in EIGHT[1:]}}
    for chosen, none, others in zip("03", found[::2], found[1::2], strict=True):
        assert (none.a, none.b) == (names[chosen], ("nested", "0", ""))
        assert [(pair.a, pair.b) for pair in others.contrasts] == [
            (names[chosen], names[k]) for k in "124567"
        ]
