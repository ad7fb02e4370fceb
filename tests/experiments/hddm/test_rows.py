"""The rows of the tables name the experts, the sampling and the numbers that the paper names."""

import itertools
import re
from dataclasses import replace

import pytest

from experiments.hddm import (
    ablation_ordering,
    ablation_schedules,
    ablation_threshold,
    table3,
    table4,
)
from experiments.stages.prompts import Repeated
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.schedules import Cosine, Linear, NicholDhariwal
from modules.selection import Top
from modules.solvers import DDIM, Ancestral, Euler
from tests.helpers.rows import (
    BEGUN,
    CASES,
    DDPM,
    FM,
    FM_COSINE,
    FURTHER,
    READINGS,
    TABLE_3,
    TABLE_4,
    THREE,
    asked,
    converted,
    form,
    pair,
    rows_of,
    sampled,
)

NULL_HALF = "null half routed by the caption"
IMPROVED = ", trained on Nichol and Dhariwal's cosine"
EACH = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
"""A scale, and what the paper says of it."""


@EACH
def test_table_3_has_the_papers_five_samplings(case):
    """kills: DDPM first at high noise, FM of the same schedule trained on linear, DDPM on it, the
    native samplers swapped, a reading's guard or steps under another's name, another cosine, a
    number beside its row."""
    solvers, rows = {"DDIM": DDIM(), "ancestral": Ancestral()}, rows_of(table3, case)
    for (name, how), row in rows.items():
        path = Cosine() if name == "Combined, same schedule" else Linear()
        counted = re.fullmatch(r"(.*), (\d+) steps", how)
        base, steps = (counted[1], int(counted[2])) if counted else (how, None)
        early, late, *numbers = TABLE_3[name]
        if base.endswith(IMPROVED):
            base, early = base.removesuffix(IMPROVED), (DDPMExpert, NicholDhariwal())
            late = early
        sampler, begun = re.fullmatch(r"(DDIM|ancestral|)(.*)", base).groups()
        reading = BEGUN[begun] if sampler else (READINGS | FURTHER)[base] if base else None
        sample = pair(row, case, path, solvers.get(sampler, Euler()), reading, steps)
        assert [asked(sample, t) for t in (0.9, 0.51)] == [[early]] * 2
        assert [asked(sample, t) for t in (0.5, 0.1)] == [[late]] * 2
        columns = ("LPIPS (paper)", "FID-5K (paper)", "CLIP (paper)")
        ours = ("corrected", "equal ", " alone", " without ", "300 steps", "75 steps", "25 steps")
        printed = {} if any(x in how for x in ours) else dict(zip(columns, numbers, strict=True))
        assert row.paper == ({} if "trained on" in how else printed)
    counts = [f", {n} steps" for n in (25, 75, 300) if n != case.settings["conversion"][0]]
    begun = list(BEGUN)[: 3 if case.scale.data.latents.pixels else 2]
    native = {s + end for s in solvers for end in (*begun, *counts)} | {"DDIM" + IMPROVED}
    converted = {*READINGS, *FURTHER, *("corrected" + end for end in (*counts, IMPROVED))}
    wanted = {("FM", ""), *(("Native DDPM", how) for how in native)}
    wanted |= {("DDPM→FM", how) for how in converted}
    assert set(rows) == wanted | {(name, how) for name in list(TABLE_3)[3:] for how in THREE}


@EACH
def test_table_4_has_the_papers_mixes_and_numbers(case):
    """kills: 1DDPM:7FM swapped with 2DDPM:6FM, 8FM's number at the conversion setting, a number on
    a neighbour or on another pipeline than the paper's, DDPM on other clusters, the other router,
    Top-1, a diversity of other samples."""
    settings, rows = case.settings, rows_of(table4, case)
    clusters = {"8FM": [], "1DDPM:7FM": [0], "2DDPM:6FM": [0, 3]}
    for (router, mix, setting, how, cfg, steps), row in rows.items():
        by_caption = how.endswith(NULL_HALF)
        base = how.removesuffix(NULL_HALF).removesuffix(", ")
        sample = sampled(row, case, setting, reading=base or None)
        assert sample.setting.null_by_caption == by_caption
        ddpm = converted(sample)
        assert (int(steps), float(cfg)) == settings[setting]
        assert ddpm == clusters[mix]
        assert (form(sample.router), sample.selection) == (router, Top(2))
        again = row.measured.repeated
        assert again == replace(sample, asked=Repeated(*case.repeated))
        known = (len(ddpm), setting)
        literal = ("literal §6.2", "literal §8.3.4")  # which of them is not said
        printed = router == "text-free" and how in (literal if ddpm else ("",))
        printed &= known in TABLE_4  # Eq. 2: the paper's pipeline alone
        assert row.paper == ({"FID-50K (paper)": TABLE_4[known]} if printed else {})
    by_caption = f"corrected, {NULL_HALF}"
    readings = {"text-aware": [*list(READINGS)[:5], by_caption], "text-free": THREE}
    native = {"text-aware": ["", NULL_HALF], "text-free": [""]}
    assert {names[:4] for names in rows} == {
        (router, mix, setting, how)
        for router, mix, setting in itertools.product(readings, clusters, ("aligned", "conversion"))
        for how in (readings if clusters[mix] else native)[router]
    }


@EACH
@pytest.mark.parametrize("script", [ablation_threshold, ablation_ordering])
def test_switches_have_the_right_expert_on_either_side(script, case):
    """kills: the two experts of a switch or the two orders exchanged, FM of the same schedule on
    linear, a threshold beside its name, the printed FID on another threshold or reading."""
    threshold, rows = script is ablation_threshold, rows_of(script, case)
    for names, row in rows.items():
        reading, tau, order = names[0], float(names[-1]), "FM→DDPM" if threshold else names[1]
        same = reading.startswith(("same", "unified"))
        how = "corrected" if reading.endswith("corrected") else "literal §8.3.4"
        sample = pair(row, case, Cosine() if same else Linear(), reading=how)
        fm = FM_COSINE if same else FM
        early, late = {"FM→DDPM": (fm, DDPM), "DDPM→FM": (DDPM, fm)}[order]
        assert asked(sample, tau + 0.01) == asked(sample, 1.0) == [early]
        assert asked(sample, tau) == asked(sample, 0.01) == [late]  # §3.3.3: where t' <= t
        printed = threshold and names == ("same, §8.3.4", "0.2")
        assert row.paper == ({"FID-1K (paper)": 38.28} if printed else {})
    taus = {float(names[-1]) for names in rows}
    assert taus == ({i / 10 for i in range(1, 10)} if threshold else {0.3, 0.5, 0.7})
    assert len({names[0] for names in rows}) == 4
    assert len(rows) == 4 * len(taus) * (1 if threshold else 2)


@EACH
def test_schedules_are_those_trained_and_sampled_on(case):
    """kills: linear and cosine exchanged, FM's schedule for the DDPM expert of a mixture, the
    switch reversed, an average that leaves one out, a path that is not the row's."""
    paths, rows = {"linear": Linear(), "cosine": Cosine()}, rows_of(ablation_schedules, case)
    for (name, trained, path, reading), row in rows.items():
        sample = pair(row, case, paths[path], reading=reading)
        fm, ddpm = ((module, paths[trained]) for module in (FlowMatchingExpert, DDPMExpert))
        early, late = {
            "FM alone": ([fm], [fm]),
            "DDPM alone": ([ddpm], [ddpm]),
            "FM→DDPM at 0.5": ([fm], [DDPM]),
            "average": ([fm, DDPM], [fm, DDPM]),
        }[name]
        assert (asked(sample, 0.51), asked(sample, 0.5)) == (early, late)
    alone = itertools.product(("FM alone", "DDPM alone"), paths, paths, ["corrected"])
    mixtures = itertools.product(("FM→DDPM at 0.5", "average"), paths, THREE)
    assert set(rows) == {*alone, *((name, on, on, how) for name, on, how in mixtures)}
