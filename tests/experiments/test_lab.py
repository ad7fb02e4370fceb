"""The notebook's interface: the tables' own networks, noise and samples, to the bit."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import torch

from datamodules.sources.source import record_shape
from experiments.lab import NO_WORKER, Lab
from experiments.pipeline import build
from experiments.pipeline.files import StoreError
from experiments.recipes import experts, scores, video
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.ensemble import Ensemble
from modules.selection import Full, Only, Top
from modules.solvers import Euler, Heun
from tests.helpers.files import ROOT, blocks
from tests.helpers.stages import made_here, make

DIALS = {"expert.size": Size(8, 1, 2), "data.clusters": 2, "train.batch": 8, "draw.samples": 4}
SEED = 1
SMOKE = turned(SCALES["smoke"], DIALS).of_seed(SEED)
CAPTIONS = ["the digit three", "a handwritten eight", "the digit zero"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A lab whose store has two experts, a router and a table's samples of them."""
    lab = Lab("smoke", DIALS, SEED, tmp_path_factory.mktemp("lab") / "store")
    router = experts.router(SMOKE, True, SEED)
    each = [experts.expert(SMOKE, FlowMatchingExpert, k, SEED) for k in range(2)]
    drawn = scores.score(SMOKE, each, router, Top(2), SEED).pictures
    for stage in (*each, experts.expert(SMOKE, DDPMExpert, 1, SEED), router, drawn):
        make(lab.store, stage)
    return lab


def test_what_is_drawn_is_a_tables_own_samples(lab, monkeypatch):
    """Kills: other noise, another setting than the scale's, the expert of another seed; sums in as
    many threads as a notebook has, whose last digits differ; a notebook that is left with one."""
    threads, asked = torch.get_num_threads(), list[int]()
    torch.set_num_threads(3)
    monkeypatch.setattr(Euler, "draw", counted(Euler.draw, asked))
    try:
        mine = lab.draw(lab.ensemble(Top(2)), lab.captions(4))
        assert (asked, torch.get_num_threads()) == ([1], 3)
    finally:
        torch.set_num_threads(threads)
    np.testing.assert_array_equal(mine, lab.samples(Top(2)))


def counted(draw, asked):
    def counting(*arguments):
        asked.append(torch.get_num_threads())
        return draw(*arguments)

    return counting


def test_an_experts_objective_and_schedule_are_what_it_was_asked_for_by_name(lab):
    mixed = lab.ensemble(Full(), {1: "ddpm"})
    trained = (FlowMatchingExpert, DDPMExpert)
    assert [(e.objective, e.schedule) for e in mixed.experts] == [
        (module.objective, module.default_schedule) for module in trained
    ]


def test_routing_along_a_trajectory_is_what_the_ensemble_says_at_each_point(lab):
    """Kills: rows of the null half of guidance, weights in the place of probabilities."""
    ensemble, points = lab.ensemble(Top(1)), []

    def spied(x, t, c):
        points.append((x[: len(CAPTIONS)], t[: len(CAPTIONS)]))
        return ensemble.router(x, t, c)

    watched = Ensemble(ensemble.experts, spied, Top(1), ensemble.path, ensemble.alignment)
    frame = lab.routing(watched, CAPTIONS, steps=3, guidance=2.0)
    assert len(frame) == 3 * len(CAPTIONS) * 2
    c = lab.text(CAPTIONS)
    for (x, t), (at, rows) in zip(points, frame.groupby("t", sort=False), strict=True):
        assert at == pytest.approx(float(t[0]))
        with torch.inference_mode():
            p = ensemble.router(x, t, c)
        np.testing.assert_allclose(rows["p"].to_numpy().reshape(3, 2), p, rtol=1e-5)
        np.testing.assert_array_equal(rows["w"].to_numpy().reshape(3, 2), p == p.amax(1)[:, None])
    assert frame["caption"].tolist()[:4] == [CAPTIONS[0]] * 2 + [CAPTIONS[1]] * 2


def test_one_expert_alone_is_the_ensemble_that_asks_only_it(lab):
    alone = lab.draw(lab.alone(lab.expert(1)), CAPTIONS, 2, 1.0, Heun())
    only = lab.draw(lab.ensemble(Only(1)), CAPTIONS, 2, 1.0, Heun())
    np.testing.assert_allclose(alone, only, atol=1e-6)


def test_what_the_store_lacks_is_named_and_made_only_if_asked(lab):
    with pytest.raises(StoreError, match=r"FlowMatchingExpert monolith, seed 1 .* train=True"):
        lab.monolith()
    trains = Lab("smoke", DIALS, SEED, lab.store.root, train=True)
    assert trains.monolith().objective == FlowMatchingExpert.objective
    assert lab.monolith().schedule == FlowMatchingExpert.default_schedule


def test_a_program_that_workers_cannot_import_is_told_so(tmp_path):
    """kills: a traceback of the pool, which says nothing of what to do."""
    program = (
        "from experiments.lab import Lab\n"
        f"Lab('smoke', store={str(tmp_path / 'store')!r}, train=True).monolith()\n"
    )
    command = [sys.executable, "-"]
    run = subprocess.run(command, input=program, capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].endswith(NO_WORKER)
    assert "BrokenProcessPool" not in run.stderr


def test_the_page_on_notebooks_runs_as_it_stands(tmp_path, monkeypatch):
    """kills: an example of docs/lab.md that is no longer so."""
    monkeypatch.setattr(build, "ensure", made_here)
    dials = {**DIALS, "data.clusters": 4}
    whole = functools.partial(Lab, "smoke", dials, store=tmp_path)
    monkeypatch.setattr("experiments.lab.Lab", lambda name, train: whole(train=train))
    names = {}
    first, heat = blocks((ROOT / "docs" / "lab.md").read_text(), "python")
    exec(first, names)
    assert names["pictures"].shape == (1, 1, 8, 8)
    shown = eval(heat, names)
    assert shown.shape == (4, SMOKE.draw.steps)
    np.testing.assert_allclose(shown.sum(), 1, rtol=1e-6)
    assert ((shown > 0).sum() == 2).all()


def test_clips_are_drawn_as_pictures_are(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "ensure", made_here)
    lab = Lab(video.VIDEO_SCALES["smoke"], store=tmp_path, train=True)
    ensemble = lab.ensemble(Top(1))
    clips = lab.draw(ensemble, lab.captions(2), steps=2)
    assert clips.shape == (2, *record_shape(lab.scale.data.source))
    assert lab.routing(ensemble, lab.captions(2), steps=2)["w"].sum() == pytest.approx(4)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda lab: Lab("smal"), "there is no 'smal': smoke, small"),
        (lambda lab: Lab(seed=-1), "seed must not be negative"),
        (lambda lab: lab.expert(2), "cluster 2 must lie between 0 and 1"),
        (lambda lab: lab.expert(0, "flow"), "no 'flow': fm, ddpm, x0, v"),
        (lambda lab: lab.router("blind"), "no 'blind': text-free, text-aware"),
        (lambda lab: lab.draw(lab.alone(lab.expert(0)), "the digit three"), "captions are a list"),
        (lambda lab: lab.draw(lab.alone(lab.expert(0)), []), "captions are a list"),
        (lambda lab: lab.ensemble(Top(1), {7: "ddpm"}), r"clusters \[7\]: there are \[0, 1\]"),
    ],
)
def test_a_wrong_name_is_answered_with_those_that_there_are(lab, asked, said):
    with pytest.raises(ValueError, match=said):
        asked(lab)
