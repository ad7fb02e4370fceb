"""ablation-guidance and ablation-solver: what is guided how and when, and who solves for it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from experiments.hddm import ablation_guidance, ablation_solver, table1
from experiments.recipes.beyond import Beyond
from experiments.recipes.images import SCALES
from modules.alignment import MatchSNR
from modules.guard import Guard
from modules.guidance import Within
from modules.multistep import DPMSolver, UniPC
from modules.selection import Only, Top
from modules.solvers import DDIM, Ancestral, Euler, Heun
from tests.helpers.rows import DDPM, EIGHT, FM, SEED, form, kind, rows_of

SCENES = SimpleNamespace(scale=SCALES["scenes"])
DIALS = SCALES["scenes"].study.beyond
MODELS = {  # who reads text, and whether the null half is routed by the caption
    "Monolithic": (None, False),
    "Top-2, text-free": ("text-free", False),
    "Top-2, text-aware, halves apart": ("text-aware", False),
    "Top-2, text-aware, halves together": ("text-aware", True),
}


def test_guidance_is_what_a_row_says():
    """kills: halves exchanged, a part of the times for its complement, one scale for all, rows of
    scale 1 that differ in nothing, an ensemble of other experts than Table 1's."""
    rows = rows_of(ablation_guidance, SCENES)
    scales, times = set(), set()
    for (model, guidance, at), row in rows.items():
        sample = row.measured.pictures
        router, together = MODELS[model]
        assert sample.setting.null_by_caption == together
        assert {kind(expert) for expert in sample.experts} == {FM}
        if router is None:
            assert (sample.router, sample.selection) == (None, Only(0))
            assert [expert.clusters for expert in sample.experts] == [EIGHT]
        else:
            assert (form(sample.router), sample.selection) == (router, Top(2))
            assert [expert.clusters for expert in sample.experts] == [(k,) for k in EIGHT]
        scale = float(guidance)
        if at == "all":
            assert sample.setting.guidance == scale
        else:
            low, high = map(float, at.split(" to "))
            assert sample.setting.guidance == Within(scale, low, high)
        scales.add((model, scale))
        times.add(at)
    assert times == {"all", "0 to 0.3", "0.3 to 0.7", "0.7 to 1"}
    wanted = {(model, x) for model in MODELS for x in (1, 1.5, 2, 3, 4, 6, 8)}
    assert scales == wanted - {("Top-2, text-aware, halves together", 1)}


def test_rows_that_table_1_has_are_its_own():
    """kills: an unguided row that is drawn, or trained, again."""
    guided, solved = (rows_of(script, SCENES) for script in (ablation_guidance, ablation_solver))
    of_table_1 = rows_of(table1, SCENES)
    scale = f"{SCALES['scenes'].draw.guidance:g}"
    for model, row in (
        ("Monolithic", ("Monolithic", "")),
        ("Top-2, text-free", ("Top-2", "text-free")),
        ("Top-2, text-aware, halves apart", ("Top-2", "text-aware")),
    ):
        assert guided[model, scale, "all"].measured == of_table_1[row].measured
    for model, row in (
        ("FM monolith", ("Monolithic", "")),
        ("Top-2 of FM experts", ("Top-2", "text-aware")),
    ):
        euler = solved[model, "Euler", f"{SCALES['scenes'].draw.steps}"].measured
        assert euler.pictures == of_table_1[row].measured.pictures
    assert solved["Real pictures", "", ""].measured == of_table_1["Real pictures", ""].measured


SOLVERS = {
    "Euler": Euler(),
    "Heun": Heun(),
    "DPM-Solver++ (2M)": DPMSolver(),
    "UniPC": UniPC(),
    "DDIM": DDIM(),
    "ancestral": Ancestral(),
}


def test_every_solver_pays_for_its_steps():
    """kills: Heun of twice the evaluations, an ensemble walked natively, a converted expert asked
    at equal time, a solver under another's name."""
    rows = rows_of(ablation_solver, SCENES)
    asked = {n: set() for n in ("Top-2 of FM experts", "FM monolith", "DDPM monolith")}
    for (model, solver, n), row in rows.items():
        if model == "Real pictures":
            continue
        sample, n = row.measured.pictures, int(n)
        how = sample.setting
        for solution in getattr(row.measured, "references", ()):
            far = replace(how, solver=Heun(), steps=200)
            assert solution == replace(sample, setting=far)
        assert how.solver == SOLVERS[solver]
        assert how.steps == (n // 2 + n % 2 if solver == "Heun" else n)
        assert {kind(e) for e in sample.experts} == {DDPM if model == "DDPM monolith" else FM}
        assert {expert.seed for expert in sample.experts} == {SEED}
        if model == "DDPM monolith":
            assert (how.alignment, how.guard) == (MatchSNR(), Guard(t_max=0.95))
        alone = len(sample.experts) == 1
        assert alone == (model != "Top-2 of FM experts")
        assert alone or (sample.selection, form(sample.router)) == (Top(2), "text-aware")
        asked[model].add((solver, n))
    fields, counts = [*SOLVERS][:4], (5, 10, 25, 50, 100)
    every = {(solver, n) for solver in fields for n in counts}
    native = {name: {(name, n) for n in counts} for name in ("DDIM", "ancestral")}
    assert asked == {
        "Top-2 of FM experts": every,
        "FM monolith": every | native["ancestral"],
        "DDPM monolith": every | native["DDIM"] | native["ancestral"],
    }


@pytest.mark.parametrize(
    "dials",
    [
        {"boundaries": (0.5, 0.2)},
        {"edges": (0.0, 0.5)},
        {"guidances": (2.0, 2.0)},
        {"evaluations": (0,)},
    ],
)
def test_what_makes_no_rows_is_refused(dials):
    """kills: intervals turned round, two rows of one name, no evaluation at all."""
    (name,) = dials
    with pytest.raises(ValueError, match=name):
        Beyond(**dials)
