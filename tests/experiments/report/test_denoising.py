"""The strips of the page's slider: tables' own samples, at moments of their denoising."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.pipeline import build
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.report import __main__ as script
from experiments.report import denoising, strips
from experiments.report.denoising import Watched, inked, turns
from experiments.report.gallery import Noting
from experiments.report.strips import Turn, View
from modules.blocks import Size
from modules.ensemble import Ensemble, Uniform
from modules.expert import Expert
from modules.objectives import Velocity
from modules.schedules import Linear
from modules.selection import Full, Top
from modules.solvers import Euler
from tests.helpers.files import ROOT
from tests.helpers.stages import made_here

DIALS = {"expert.size": Size(8, 1, 2), "data.clusters": 4, "train.batch": 8, "draw.samples": 40}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A lab of the smallest scale, its results folder and what was drawn into it."""
    folder = tmp_path_factory.mktemp("denoising")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "ensure", made_here)
        lab = Noting(turned(SCALES["smoke"], DIALS), store=folder / "store", train=True)
        shown, files = denoising.drawn(lab, "smoke")
    shown.write(folder, files)
    return lab, folder, shown


def lines(folder, name, shown):
    """The lines of a strip's file, as it lies on the disk: [moments, height, width]."""
    with Image.open(folder / strips.FOLDER / name) as image:
        assert image.size == (shown.width, shown.height * len(shown.moments))
        pixels = np.asarray(image.convert("L"))
    return pixels.reshape(len(shown.moments), shown.height, shown.width)


def test_watched_steps_are_eulers_and_the_estimate_is_the_end_of_a_straight_line():
    """kills: a step left out, the velocity shown as the estimate, states after in the place of
    states before; on the linear path x0 = x - t u."""
    asked = []

    def network(x, t, c):
        asked.append((x, t, torch.sin(3 * x) + t[:, None]))
        return asked[-1][2]

    field = Ensemble([Expert(network, Velocity(), Linear())], Uniform(1), Full())
    noise, watched = torch.randn(3, 5), Watched(moments=4)
    end = watched.draw(field, None, 1.0, noise, 6, None)
    walked, asked = list(asked), []
    torch.testing.assert_close(end, Euler().draw(field, None, 1.0, noise, 6, None), rtol=0, atol=0)
    assert [(round(t, 6), i) for t, i, _, _ in watched.seen] == [
        (1.0, 0), (round(4 / 6, 6), 2), (round(2 / 6, 6), 4), (0.0, 6),
    ]  # fmt: skip
    for _, i, x, x0 in watched.seen[:-1]:
        before, t, u = walked[i]
        torch.testing.assert_close(x, before, rtol=0, atol=0)
        torch.testing.assert_close(x0, before - t[:, None] * u)
    torch.testing.assert_close(watched.seen[-1][3], end, rtol=0, atol=0)


def test_the_last_line_is_a_tables_own_sample(drawn):
    """kills: other noise or prompts than the tables', strips of methods exchanged."""
    lab, folder, shown = drawn
    row = lab.captions(40).index(shown.captions[0])
    strip = next(s for s in shown.strips if s.name == "Top-2, text-free")
    image = lab.samples(Top(2), "text-free")[row]
    own = np.round((image[0].clip(-1, 1) + 1) * 127.5)
    last = lines(folder, strip.shown(View.STATE), shown)[-1]
    np.testing.assert_allclose(last[:, : own.shape[1]], own, atol=1)


def test_methods_share_noise_and_differ_later(drawn):
    """kills: noise of its own for a method, one method drawn under every name."""
    _, folder, shown = drawn
    states = [lines(folder, s.shown(View.STATE), shown) for s in shown.strips]
    assert len(states) == 8
    assert all((state[0] == states[0][0]).all() for state in states)
    assert len({state[-1].tobytes() for state in states}) > 5


def test_what_is_read_is_what_was_written(drawn, tmp_path):
    """kills: obeyed prompts or keys lost on the way; a damaged file that is shown."""
    _, folder, shown = drawn
    back = strips.denoising(folder)
    assert (back.captions, back.moments) == (shown.captions, shown.moments)
    for ours, theirs in zip(back.strips, shown.strips, strict=True):
        assert (ours.name, ours.obeyed, ours.keys) == (theirs.name, theirs.obeyed, theirs.keys)
        assert ours.keys
        assert (ours.routing is None) == (theirs.routing is None) == (ours.name == "Monolith")
        if ours.routing is not None:
            assert ours.routing.leaders == theirs.routing.leaders
            assert ours.routing.file.startswith("data:image/webp;base64,")
        assert ours.shown(View.STATE).startswith("data:image/webp;base64,")
    assert strips.denoising(tmp_path) is None


def no_picture(record, folder):
    (folder / record["strips"][3]["files"]["x0"]).unlink()


def half_a_picture(record, folder):
    path = folder / record["strips"][3]["files"]["xt"]
    path.write_bytes(path.read_bytes()[:100])


def other_width(record, _):
    record["width"] += 1


def files_as_list(record, _):
    record["strips"][0]["files"] = ["0-x0.webp"]


def view_lost(record, _):
    del record["strips"][0]["files"]["xt"]


def nobody_leads(record, _):
    record["strips"][1]["routing"]["leaders"][0] = []


def no_strips(record, _):
    record["strips"] = []


def captions_are_numbers(record, _):
    record["captions"] = [1, 2]


@pytest.mark.parametrize(
    "damage",
    [no_picture, half_a_picture, other_width, files_as_list, view_lost, nobody_leads, no_strips,
     captions_are_numbers],
)  # fmt: skip
def test_what_is_damaged_is_told_in_one_line(drawn, tmp_path, capsys, damage):
    """kills: a page with a broken picture; a traceback of the template's."""
    _, folder, _ = drawn
    place = tmp_path / "small" / strips.FOLDER
    shutil.copytree(folder / strips.FOLDER, place)
    for path in (ROOT / "results" / "small").glob("table1.*"):
        shutil.copy(path, place.parent)
    record = json.loads((place / "denoising.json").read_text())
    damage(record, place)
    (place / "denoising.json").write_text(json.dumps(record))
    assert script.main(["--scale", "small", "--results", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "denoising.json" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "small" / script.PAGE).exists()


def test_an_interrupted_draw_leaves_no_record_of_other_pictures(drawn, tmp_path, monkeypatch):
    """kills: the old record kept beside new pictures, which a page would show as one."""
    _, folder, shown = drawn
    shutil.copytree(folder / strips.FOLDER, tmp_path / strips.FOLDER)
    written = []

    def interrupted(path, content):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)

    monkeypatch.setattr(strips, "write_whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        shown.write(tmp_path, {f"{i}.webp": b"" for i in range(4)})
    assert strips.denoising(tmp_path) is None


@pytest.mark.parametrize("scale", ["small", "scenes"])
def test_the_committed_page_shows_what_lies_beside_it(scale):
    """kills: a page that was not drawn again when tables or pictures were."""
    folder = ROOT / "results" / scale
    html = (folder / script.PAGE).read_text()
    for name in (strips.FOLDER, strips.CLIPS):
        for path in (folder / name).glob("*.webp"):
            assert strips.data_uri("image/webp", path.read_bytes()) in html, path
        for path in (folder / name).glob("*.json"):
            assert json.loads(path.read_text())["commit"] in html, path
    for path in folder.glob("*.json"):
        assert path.stem == "claims" or f'id="{path.stem}"' in html, path


def test_the_map_of_weights_is_what_the_ensemble_answers(drawn):
    """kills: the half of guidance without a caption, prompts or experts in another order, times
    backwards, weights of another method."""
    lab, folder, shown = drawn
    strip = next(s for s in shown.strips if s.name == "Full, text-aware")
    table = lab.routing(lab.ensemble(Full()), lab.captions(40))
    rows = [lab.captions(40).index(caption) for caption in shown.captions]
    with Image.open(folder / strips.FOLDER / strip.routing.file) as image:
        ink = np.asarray(image.convert("RGBA"))[..., 3].reshape(4, len(rows), -1)
    for n, row in enumerate(rows):
        own = table[table.picture == row].pivot(index="expert", columns="t", values="w")
        backwards = own.to_numpy()[:, ::-1]  # columns ascend in t, pictures begin at noise
        np.testing.assert_allclose(ink[:, n] / 255, backwards, atol=1 / 255)
        begins = [(turn.t, turn.expert) for turn in strip.routing.leaders[n]]
        leads = own.idxmax()[::-1]
        told = leads[leads.ne(leads.shift())]
        assert begins == [(pytest.approx(t), k) for t, k in told.items()]


def test_ink_and_turns_of_weights_by_hand():
    """kills: experts for prompts, evaluations for experts; a turn told where it ends, one told
    though nobody else leads."""
    w = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.4], [0.2, 0.8]], [[0.2, 0.8], [0.0, 1.0]]])
    ink = inked(w)
    assert ink.shape == (2, 6, 4)
    assert ink[..., 3].tolist() == [[255, 153, 51, 0, 51, 0], [0, 102, 204, 255, 204, 255]]
    assert turns([1.0, 0.5, 0.25], w[:, 0]) == [Turn(1.0, 0), Turn(0.25, 1)]
    assert turns([1.0, 0.5, 0.25], w[:, 1]) == [Turn(1.0, 1)]


def test_a_store_without_networks_is_named_in_one_line(tmp_path, capsys):
    where = ["--store", str(tmp_path / "store"), "--results", str(tmp_path)]
    assert denoising.main(["--scale", "smoke", *where]) == 1
    said = capsys.readouterr().err
    assert said.startswith("denoising: ")
    assert said.count("\n") == 1
    assert said.endswith("--train makes what is missing\n")
    assert not (tmp_path / "smoke").exists()


@pytest.mark.parametrize("scale", ["small", "scenes"])
def test_the_committed_strips_are_of_the_networks_of_the_committed_tables(scale):
    """kills: strips of an older recipe beside newer tables. Scenes have no Table 4 yet."""
    folder = ROOT / "results" / scale
    tables = [*folder.glob("table[14].json")]
    made = {key for p in tables for key in json.loads(p.read_text())["seconds"]}
    strips_of_tables = strips.denoising(folder).strips[: 8 if len(tables) == 2 else 7]
    assert {key for strip in strips_of_tables for key in strip.keys} <= made
