"""The clips of the page: a table's own samples, frame by frame."""

import json

import numpy as np
import pytest
from PIL import Image

from datamodules.encoders.encoder import CPU
from experiments.paris2.table1 import STRATEGIES
from experiments.pipeline import build
from experiments.recipes import experts
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.report import clips, strips
from experiments.report.gallery import Noting
from experiments.report.strips import View
from tests.helpers.files import ROOT
from tests.helpers.stages import made_here


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A lab of the smallest video scale, its results folder and what was drawn into it."""
    folder = tmp_path_factory.mktemp("clips")
    scale = turned(VIDEO_SCALES["smoke"], {"draw.samples": 40})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "ensure", made_here)
        lab = Noting(scale, store=folder / "store", train=True)
        shown, files = clips.drawn(lab, "smoke")
    shown.write(folder, files)
    return lab, folder, shown


def frames(folder, name, shown):
    """A strip as it lies on the disk: [prompts, frames, height, width]."""
    with Image.open(folder / strips.CLIPS / name) as image:
        assert image.size == (shown.width, shown.height * shown.frames)
        pixels = np.asarray(image.convert("L"))
    lines = pixels.reshape(shown.frames, shown.height, len(shown.captions), -1)
    return lines.transpose(2, 0, 1, 3)


def test_the_clips_are_a_tables_own_samples(drawn):
    """kills: other noise or prompts than the tables', models exchanged, frames for prompts, a
    held-out clip of another prompt."""
    lab, folder, shown = drawn
    heldout = lab.made(experts.corpus(lab.scale, lab.scale.data.source).heldout)
    rows = [lab.captions(40).index(caption) for caption in shown.captions]
    own = {f"DDM, {name}": lab.samples(choice)[rows] for name, choice in STRATEGIES.items()}
    latents = heldout.array(lab.store, "latents")[[row % 40 for row in rows]]
    own["Held-out clips"] = lab.scale.data.latents.decode(latents, CPU)
    for strip in shown.strips:
        if strip.name in own:
            played = frames(folder, strip.shown(View.SAMPLE), shown)
            pixels = (own.pop(strip.name)[:, 0].clip(-1, 1) + 1) * 127.5
            np.testing.assert_allclose(played, pixels, atol=1)
    assert not own


def test_models_differ_and_the_heldout_clips_move(drawn):
    """kills: one model drawn under every name, the same frame all along."""
    _, folder, shown = drawn
    names = [strip.name for strip in shown.strips]
    assert names == ["Held-out clips", "Monolith", "DDM, Top-1", "DDM, Top-2", "DDM, Full"]
    made = {s.name: frames(folder, s.shown(View.SAMPLE), shown) for s in shown.strips}
    assert len({each.tobytes() for each in made.values()}) == 5
    held = made["Held-out clips"]
    assert (held != held[:, :1]).any(axis=(1, 2, 3)).all()


def test_what_is_read_is_what_was_written(drawn, tmp_path):
    _, folder, shown = drawn
    back = strips.clips(folder)
    assert (back.captions, back.frames, back.width) == (shown.captions, shown.frames, shown.width)
    assert [(s.name, s.keys) for s in back.strips] == [(s.name, s.keys) for s in shown.strips]
    assert all(s.shown(View.SAMPLE).startswith("data:image/webp") for s in back.strips)
    assert strips.clips(tmp_path) is None


def test_the_committed_clips_are_of_the_networks_of_the_committed_table():
    """kills: clips of an older recipe beside a newer table."""
    small = ROOT / "results" / "small"
    made = json.loads((small / "paris2-table1.json").read_text())["seconds"]
    shown = strips.clips(small)
    networks = {key for s in shown.strips for key in s.keys if key.startswith("train")}
    assert len(networks) == 5  # three experts, a monolith and a router
    assert networks <= set(made)
