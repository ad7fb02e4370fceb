"""ablation-assignment: which experts a set of clusters has, what a rule sees, and what it loses."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from datamodules.sources.source import Split
from experiments.drawing import forest
from experiments.hddm import ablation_assignment, ablation_ratio
from experiments.hddm.ablation_assignment import _by_choice, fixed, regret
from experiments.measures.assignment import ErrorOf
from experiments.recipes.images import SCALES
from modules.selection import Top
from tests.helpers.rows import DDPM, EIGHT, FM, SEED, converted, form, kind, rows_of

SCENES = SimpleNamespace(scale=SCALES["scenes"])


@pytest.fixture(scope="module")
def rows():
    return rows_of(ablation_assignment, SCENES)


def test_fixed_sets_have_their_experts(rows):
    """kills: a cluster beside the one that is named, drawn sets that repeat another, sets of one
    seed for all."""
    tried = fixed(SCENES.scale, SEED)
    fixed_rows = [row for (name, _), row in rows.items() if "least" not in name]
    assert [tuple(converted(row.measured.pictures)) for row in fixed_rows] == [*tried]
    names = [*tried.values()]
    assert names.count("one") == 8
    assert names.count("drawn") == 16
    assert (tried[()], tried[EIGHT], tried[0, 3]) == ("none", "all", "the paper's")
    assert {*fixed(SCENES.scale, SEED + 1)} != {*tried}
    for row in rows.values():
        assert row.measured.pictures.selection == Top(2)


def test_a_rule_looks_at_brief_trainings_and_no_scored_picture(rows):
    """kills: experts of the whole training compared, held-out pictures looked at, kinds in another
    order than their errors, both rules by one error."""
    for name, judged in (("x0", ErrorOf.X0), ("velocity", ErrorOf.VELOCITY)):
        sample = rows[f"least error of {name}", ""].measured.pictures
        assert [kind(e) for e in sample.experts] == [FM] * 8 + [DDPM] * 8
        assert [e.clusters for e in sample.experts] == [(k,) for k in EIGHT] * 2
        router = sample.router
        assert (form(router.router), router.judged) == ("text-aware", judged)
        errors = router.errors
        assert errors.encoded.split == Split.JUDGE != sample.shards.heldout.split
        for own, whole in zip((*errors.first, *errors.second), sample.experts, strict=True):
            steps = own.optim.steps
            assert steps == whole.optim.steps // 4
            assert own == replace(whole, optim=own.optim)
            assert own.optim.warmup < steps > own.optim.ema_start


def test_sets_that_ablation_ratio_has_are_its_own(rows):
    """kills: samples drawn twice for two tables, another setting."""
    of_ratio = rows_of(ablation_ratio, SCENES)
    assert rows["none", ""].measured == of_ratio["nested", "0", ""].measured
    assert rows["all", ""].measured == of_ratio["nested", "8", ", ".join(map(str, EIGHT))].measured
    assert rows["the paper's", ""].measured == of_ratio["nested", "2", "0, 3"].measured
    assert rows["one", "5"].measured == of_ratio["one by one", "1", "5"].measured


def chosen():
    """FID by two seeds of four rows, as results have it."""
    fid = {
        ("none", ""): (10.0, 12.0),
        ("drawn", "1"): (8.0, 14.0),
        ("drawn", "2"): (12.0, 9.0),
        ("least error of x0", ""): (7.0, 11.0),
    }
    names = [{"DDPM experts": a, "No.": b} for a, b in fid]
    return SimpleNamespace(
        seeds=2,
        rows=[[SimpleNamespace(names=each) for each in names]],
        values=lambda row, column: [*fid.values()][row],
        shown=lambda column: column,
    )


def test_regret_is_against_the_best_of_each_seed():
    """kills: the best of all seeds together, the rule among those it is compared with, a drawn
    set's own regret for that of all drawn, the sign."""
    results = chosen()
    found = {name: regret(results, values) for name, values in _by_choice(results)}
    assert found["none"].mean == pytest.approx((10 - 8 + 12 - 9) / 2)
    assert found["drawn"].mean == pytest.approx((10 - 8 + 11.5 - 9) / 2)
    assert found["least error of x0"].mean == pytest.approx((7 - 8 + 11 - 9) / 2)
    assert found["none"].n == 2


def test_the_figure_has_the_regret_of_every_choice(monkeypatch):
    """kills: a set's FID drawn for its regret, a rule's whisker cut at 0 though it may beat every
    fixed set, a fixed set's below it, a choice left out or under another's name."""
    kept = []
    monkeypatch.setattr(forest, "chart", lambda figure: kept.append(figure) or b"")
    ablation_assignment.figure(chosen())
    (axes,) = kept[0].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["least error of x0", "none (all FM)", "drawn at random"]
    means = [bars[0].get_xdata()[0] for bars in axes.containers]
    assert means == pytest.approx([0.5, 2.5, 2.25])
    lows = [bar.get_segments()[0][0, 0] for bar in axes.collections]
    assert lows[0] < 0 == lows[1] == lows[2]
    assert "above the least of all fixed sets" in axes.get_xlabel()
