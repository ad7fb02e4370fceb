"""The rows of the ablations of eight experts, of objectives and of training name what they say."""

import itertools
from dataclasses import replace

import pytest
import torch

from datamodules.sources.source import Split
from experiments.hddm import (
    ablation_objectives,
    ablation_ratio,
    ablation_router,
    ablation_sampling,
    ablation_selection,
    ablation_weights,
)
from experiments.stages.routers import Calibrated, Known
from experiments.stages.setting import Setting
from modules.codec import encode
from modules.guidance import Within
from modules.schedules import Cosine, Linear
from modules.selection import Full, Top
from tests.helpers.rows import (
    CASES,
    DDPM,
    EIGHT,
    FM,
    FM_COSINE,
    SEED,
    X0,
    V,
    asked,
    converted,
    form,
    kind,
    pair,
    rows_of,
    sampled,
    weights,
)

EACH = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
"""A scale, and what the paper says of it."""


@EACH
def test_each_row_of_sampling_spares_one_thing(case):
    """kills: n for 1 / n, an interval's ends exchanged, a row that spares two things or none."""
    steps, scale = case.settings["aligned"]
    plain = Setting(steps, scale, precision=case.scale.train.precision)
    spared = {"nothing spared": plain, "no guidance": replace(plain, guidance=1.0)}
    spared |= {f"router every {n} steps": replace(plain, router_every=n) for n in (2, 5, 25)}
    for low, high in ((0, 0.9), (0, 0.7), (0, 0.5)):
        spared[f"guidance at t <= {high}"] = replace(plain, guidance=Within(scale, low, high))
    for low, high in ((0.1, 1), (0.3, 1), (0.5, 1)):
        spared[f"guidance at t >= {low}"] = replace(plain, guidance=Within(scale, low, high))
    rows = rows_of(ablation_sampling, case)
    assert len(rows) == 2 * len(spared)
    for (name, router), row in rows.items():
        sample = row.measured.samples
        assert sample.setting == spared[name]
        assert (sample.selection, sample.router.reads_text) == (Top(2), router == "text-aware")
        assert {kind(expert) for expert in sample.experts} == {FM}


def test_what_spares_nothing_has_the_key_of_before():
    """kills: a dial at its default that is part of a sample's key, and makes all samples anew."""
    before = {"is": "Setting", "steps": 25, "guidance": 2.0}
    assert encode(Setting(25, 2.0), defaults=False) == before
    assert encode(Setting(25, 2.0, router_every=4), defaults=False) == before | {"router_every": 4}


@EACH
def test_selections_ask_as_many_as_they_say(case):
    """kills: k of Top-k off by one, Full cut short, a threshold for a nucleus, the other router,
    a draw that is Top-1 or the same at every step, the oracle asked for two, a monolith that sees
    fewer samples than the eight together."""
    p, n = torch.tensor([0.02, 0.31, 0.06, 0.22, 0.16, 0.03, 0.12, 0.08]), {"Full": 8}
    n |= {f"Top-{k}": k for k in range(1, 8)} | {"nucleus 0.5": 2, "nucleus 0.9": 6}
    n |= {"threshold 0.05": 6, "threshold 0.1": 4, "threshold 0.3": 1}
    rows = rows_of(ablation_selection, case)
    whole, known = (
        sampled(rows.pop((x, "")), case, "table 1") for x in ("Monolithic", "oracle cluster")
    )
    for router in ("text-free", "text-aware"):
        drawn = sampled(rows.pop(("Sample-1", router)), case, "table 1")
        assert (converted(drawn), form(drawn.router)) == ([], router)
        each = torch.stack([weights(drawn, t, p) for t in torch.rand(4000).tolist()])
        assert {*each.unique().tolist()} == {0.0, 1.0}
        torch.testing.assert_close(each.mean(0), p, atol=0.03, rtol=0)  # 4 deviations
    for (name, router), row in rows.items():
        sample = sampled(row, case, "table 1")
        best = p.where(p >= p.sort(descending=True).values[n[name] - 1], torch.tensor(0.0))
        torch.testing.assert_close(weights(sample, 0.5, p), best / best.sum())
        assert (converted(sample), form(sample.router)) == ([], router)
    (monolith,) = whole.experts
    assert (kind(monolith), monolith.clusters) == (FM, EIGHT)
    assert (monolith.optim.batch, sample.experts[0].optim.batch) == (256, 32)  # §3.2: equal FLOPs
    assert {replace(expert.optim, batch=256) for expert in sample.experts} == {monolith.optim}
    assert (converted(known), known.selection) == ([], Top(1))
    assert isinstance(known.router, Known)
    assert known.router.heldout.split is Split.HELDOUT
    assert set(rows) == {*itertools.product(n, ("text-free", "text-aware"))}


@EACH
def test_ratios_convert_the_clusters_they_name(case):
    """kills: K - m experts converted for m, the paper's clusters not first, a set that is not part
    of the next, a cluster left out or named twice."""
    rows, nested = rows_of(ablation_ratio, case), []
    for (which, count, clusters), row in rows.items():
        sample = sampled(row, case, "aligned", reading="corrected")
        assert (form(sample.router), sample.selection) == ("text-aware", Top(2))
        ddpm = converted(sample)
        assert (len(ddpm), ", ".join(map(str, ddpm))) == (int(count), clusters)
        nested += [set(ddpm)] if which == "nested" else []
    assert nested[:3] == [set(), {0}, {0, 3}]  # §3.1
    assert len(nested) == 9  # each part of the next, so they grow by one
    assert all(a < b for a, b in itertools.pairwise(nested))
    single = {clusters for which, count, clusters in rows if which != "nested"}
    assert single == {str(k) for k in EIGHT if k != 0}


@EACH
def test_objectives_are_those_of_the_pair(case):
    """kills: the objectives of a pair swapped, x0 taken for v, an average that switches or leaves
    one out, a pair left out, the other clusters converted among eight."""
    kinds = {"FM, linear": FM, "FM, cosine": FM_COSINE}
    kinds |= {"DDPM, cosine": DDPM, "x0, cosine": X0, "v, cosine": V}
    eight, rows = {"FM": FM, "DDPM": DDPM, "x0": X0, "v": V}, rows_of(ablation_objectives, case)
    for (how, a, b), row in rows.items():
        if how == "among eight":
            sample, name = sampled(row, case, "aligned", reading="corrected"), a.removeprefix("2 ")
            assert converted(sample, eight[name]) == (list(EIGHT) if name == "FM" else [0, 3])
            assert (form(sample.router), sample.selection) == ("text-aware", Top(2))
            continue
        sample = pair(row, case, reading="corrected")
        first, second = [kinds[a]], [kinds[b]] if b else []
        whole = {"alone": first, "average": first + second}.get(how)
        assert asked(sample, 0.51) == asked(sample, 0.9) == (whole or first)
        assert asked(sample, 0.5) == asked(sample, 0.1) == (whole or second)
    wanted = {("alone", a, "") for a in kinds} | {("among eight", f"2 {x}", "6 FM") for x in eight}
    wanted |= {("average", *two) for two in itertools.combinations(kinds, 2)}
    switched = [two for two in itertools.permutations(kinds, 2) if "FM, linear" in two]
    assert set(rows) == wanted | {("high noise, then low", *two) for two in switched}


@EACH
def test_weights_are_of_the_expert_and_level_named(case):
    """kills: two objectives' losses exchanged, one on another schedule, a level beside its name,
    losses of the pictures trained on."""
    kinds = {"noise (DDPM), cosine": DDPM, "velocity (FM), linear": FM, "x0, cosine": X0}
    kinds |= {"velocity (FM), cosine": FM_COSINE, "v, cosine": V}
    rows = rows_of(ablation_weights, case)
    for (name, level), row in rows.items():
        found = row.measured
        assert (kind(found.expert), found.expert.clusters) == (kinds[name], case.pair)
        assert (found.expert.seed, found.encoded.split) == (SEED, Split.HELDOUT)
        assert row.at == level
    levels = {f"{level:g}" for level in found.levels}
    assert {level for _, level in rows if not level.startswith("t in")} == levels
    assert len(rows) == len(kinds) * (len(levels) + 3)


@EACH
def test_routers_are_the_form_and_state_named(case):
    """kills: text-free and text-aware exchanged, calibrated rows of the router as trained, a
    temperature fitted on what it is judged on, a time or a strategy beside its name; states noised
    on another cluster's schedule, by the other pipeline, or of a router that differs elsewhere."""
    strategies, rows = {"Top-1": Top(1), "Top-2": Top(2), "Full": Full()}, {}
    routers, mixed = {}, "Top-2, 2DDPM:6FM"
    pipelines = {"text-free": "literal §8.3.4", "text-aware": "corrected"}
    for (name, state, t, strategy), row in rows_of(ablation_router, case).items():
        if strategy == mixed:
            sample = sampled(row, case, "table 1", reading=pipelines[name])
            assert (converted(sample), sample.selection) == ([0, 3], Top(2))
            router = sample.router
        elif t:
            router, split = row.measured.router, row.measured.pictures.split
            assert (row.at, row.measured.seed, split) == (str(float(t)), SEED, Split.HELDOUT)
        else:
            sample = sampled(row, case, "table 1")
            assert (converted(sample), sample.selection) == ([], strategies[strategy])
            router = sample.router
        if state == "calibrated":
            assert isinstance(router, Calibrated)
            assert router.pictures.split is Split.JUDGE
            router = router.router
        if name != "oracle":
            own = tuple(Cosine() if k in (0, 3) else Linear() for k in EIGHT)
            assert router.noised_on == (own if state == "noised per objective" else ())
            assert replace(router, noised_on=()) == routers.setdefault(name, router)
        assert isinstance(router, Known) if name == "oracle" else form(router) == name
        rows.setdefault((name, state), []).append(t or strategy)
    assert rows.pop(("oracle", "")) == ["Full"]
    for name in pipelines:
        assert rows[name, "as trained"].pop() == mixed
        times = [x for x in rows[name, "as trained"] if x not in strategies]
        assert rows.pop((name, "noised per objective")) == [*times, mixed]
    assert set(rows) == {
        *itertools.product(("text-free", "text-aware"), ("as trained", "calibrated"))
    }
    assert len({tuple(found) for found in rows.values()}) == 1
