"""Pictures without classes have a judge; what nothing can judge is refused before it is made."""

import json
import os
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import squeezenet1_1

from datamodules.encoders.taef2 import TAEF2
from datamodules.sources.folder import Folder
from datamodules.sources.moving_digits import MovingDigits
from datamodules.sources.source import Split
from experiments.cli import main as cli
from experiments.hddm.table1 import TABLE
from experiments.pipeline.store import Context, Store
from experiments.recipes.images import SCALES
from experiments.recipes.judges import BySqueezeNet, OwnClassifier
from experiments.scores.classifier import ClassifierJudge
from experiments.scores.score import Score
from experiments.scores.squeezenet import COPIED, SqueezeNetJudge, looked_up, retrieved
from experiments.stages.samples import Pictures
from experiments.tables.columns import FID, KID, NEAREST
from metrics.networks import perceptual, squeezenet
from metrics.pixels import to_uint8
from tests.helpers.files import asset
from tests.helpers.networks import pictures

FOLDER = "datamodules.sources.folder.Folder"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """TORCH_HOME with a SqueezeNet of random weights."""
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    torch.manual_seed(0)
    name = perceptual.Backbone.SQUEEZE.value[1]
    torch.save(squeezenet1_1().state_dict(), tmp_path / "hub/checkpoints" / name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for cached in (squeezenet._squeezenet, perceptual._network):
        cached.cache_clear()
    return tmp_path


def lay(root, n, label=None, side=16):
    """n pictures of side x side, with their list."""
    root.mkdir()
    with open(root / "captions.jsonl", "w") as lines:
        for i, x in enumerate(pictures(n, side, side, seed=0)):
            Image.fromarray(x.transpose(1, 2, 0)).save(root / f"{i}.png")
            fields = {} if label is None else {"label": label(i)}
            lines.write(json.dumps({"file": f"{i}.png", "caption": f"{i}", **fields}) + "\n")
    return root


def test_a_judge_is_chosen_by_what_is_there(tmp_path):
    """kills: a classifier of no class, SqueezeNet's features where labels are, a judge of clips."""
    plain = Folder("a", str(lay(tmp_path / "plain", 4)), 16)
    labelled = Folder("a", str(lay(tmp_path / "labelled", 4, lambda i: f"k{i % 2}")), 16)
    own = OwnClassifier(3)
    assert own.stage(plain, 0) == SqueezeNetJudge(plain)
    assert BySqueezeNet().stage(labelled, 0) == SqueezeNetJudge(labelled)
    assert own.stage(labelled, 0) == ClassifierJudge(labelled, 3, 0)
    with pytest.raises(ValueError, match="side 8, 16, 32"):
        own.stage(Folder("a", labelled.root, 20), 0)
    for recipe in (own, BySqueezeNet()):
        with pytest.raises(ValueError, match="these are clips"):
            recipe.stage(MovingDigits(), 0)


def test_features_do_not_have_a_published_metrics_name():
    """kills: a bare FID of another network than Inception."""
    judge = SqueezeNetJudge(Folder("a"))
    titles = [column.title for each in (FID, KID, NEAREST) for column in judge.columns_for(each)]
    assert titles[:2] == ["FID (SqueezeNet features)", "KID (SqueezeNet features)"]
    assert all("SqueezeNet" in title or "in them" in title for title in titles)


def test_neighbours_and_copies_are_of_the_training_split(tmp_path, home):
    """kills: the nearest of another split or in another order, a copy beside another picture."""
    source = Folder("a", str(lay(tmp_path / "in", 60)), 16)
    store, judge = Store(tmp_path / "store"), SqueezeNetJudge(source)
    store.make(judge, Context(store, device="cpu"))
    train, held = source.read(Split.TRAIN), source.read(Split.HELDOUT)
    assert judge.keys(store, Split.TRAIN) == train.keys
    assert judge.keys(store) == held.keys
    rows = [5, 0, 5]
    shown = judge.neighbours(store, train.images[rows], torch.device("cpu"))
    assert np.array_equal(shown, train.images[rows])
    apart = np.load(store.file(judge, "apart.npy"))
    own, real = judge.reference(store), judge.reference(store, Split.TRAIN)
    pairs = np.linalg.norm(own[:, None].astype(float) - real[None], axis=2)
    np.testing.assert_allclose(apart, pairs.min(1), rtol=1e-3, atol=1e-5)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "error", "Matrix is singular"
        )  # of more features than pictures, hundreds of times a run
        judge.distances(own, real)
    assert f"{held_up(judge, store):.1%}" in judge.remarks(store)[-1]
    reading = judge.read(held.images, held.captions, held.labels, Context(store, device="cpu"))
    assert reading.numbers["retrieved"].tolist() == [1.0] * len(held)


@dataclass(frozen=True)
class Asked(Pictures):
    """The held-out pictures; a mark for each time that they are asked for."""

    source: Folder
    marks: str

    def make(self, folder, context):
        pass

    def prompts(self, store):
        held = self.source.read(Split.HELDOUT)
        return held.captions, held.labels

    def pictures(self, store, device=None):
        with open(self.marks, "a") as file:
            file.write("!")
        yield self.source.read(Split.HELDOUT).images

    def evaluations(self, store):
        return {}


def test_pictures_are_decoded_once_for_features_and_lpips(tmp_path, home):
    """kills: latents decoded again for LPIPS, a third of a score; LPIPS of other pictures."""
    source = Folder("a", str(lay(tmp_path / "in", 60, side=64)), 64)
    store, judge = Store(tmp_path / "store"), SqueezeNetJudge(source)
    context = Context(store, device="cpu")
    store.make(judge, context)
    numbers = Score(Asked(source, str(tmp_path / "marks")), judge).measure(tmp_path, context)
    assert (tmp_path / "marks").read_text() == "!"
    held = to_uint8(source.read(Split.HELDOUT).images)
    assert numbers["spread"] == pytest.approx(judge.lpips.diversity(held, torch.device("cpu")))


def held_up(judge, store):
    """What a look-up by caption retrieves, from the judge's own features."""
    train, held = judge.source.read(Split.TRAIN), judge.source.read(Split.HELDOUT)
    rows = judge.reference(store, Split.TRAIN), judge.reference(store)
    return looked_up(rows[0], train.captions, rows[1], held.captions)


def test_retrieval_counts_others_that_are_further():
    """kills: its own pictures among the others, the furthest of its own, nan where none is its."""
    held = np.array([[0.0], [1.0], [2.0], [5.0]])
    own = np.array([False, True, False, True])
    assert retrieved(np.array([0.9]), held, own) == 1.0
    assert retrieved(np.array([0.1]), held, own) == 0.5
    assert retrieved(np.array([1.5]), held, own) == 0.75  # as far as its own counts half
    assert np.isnan(retrieved(np.array([1.0]), held, np.zeros(4, bool)))


def test_a_look_up_takes_the_likest_caption():
    """kills: words in common counted, not their share; the furthest caption, a held-out picture's
    own features looked up."""
    held, asked = np.array([[0.0], [1.0], [9.0]]), ["red cat", "dog", "blue bird"]
    train = np.array([[0.1], [8.0], [1.2], [2.0]])
    named = ["cat, red", "a red cat and a dog and a bird", "dog", "bird"]
    assert looked_up(train, named, held, asked) == pytest.approx((1 + 1 + 0) / 3)


@pytest.mark.slow
def test_a_training_picture_through_the_autoencoder_is_mostly_a_near_copy(monkeypatch):
    """kills: a threshold that perfect copies do not come below, as an autoencoder moves them."""
    source = replace(SCALES["emoji"].data.source, root=str(asset("data/emoji")), alterations=None)
    weights = asset("torch-home/hub/checkpoints")
    monkeypatch.setenv("TORCH_HOME", os.fspath(weights.parents[1]))
    squeezenet._squeezenet.cache_clear()
    train, held = source.read(Split.TRAIN), source.read(Split.HELDOUT)
    codec, device = TAEF2(str(asset("weights/taef2"))), torch.device("cpu")
    copies = codec.decode(codec.encode(train.images[:24], device), device)
    rows = [
        squeezenet.SqueezeNetFeatures().encode(to_uint8(x), device).astype(float)
        for x in (copies, held.images[:120], train.images)
    ]
    squeezenet._squeezenet.cache_clear()
    copied, others = (np.linalg.norm(x[:, None] - rows[2], axis=2).min(1) for x in rows[:2])
    assert (copied < np.quantile(others, COPIED)).mean() >= 0.8


@pytest.mark.slow
def test_a_folder_is_refused_before_anything_is_made(tmp_path, monkeypatch, capsys):
    """kills: minutes of training before a traceback, an empty folder of results."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))
    named = ["--source", FOLDER, "--scale.data.source.name", "mine"]
    root = [
        "--scale.data.source.root",
        str(lay(tmp_path / "in", 40)),
        "--scale.data.source.image=16",
    ]
    places = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    assert cli.main(TABLE, arguments=["--scale", "smoke", *named, *root, *places]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "squeezenet1_1-b8a52dc0.pth: curl" in said
    assert not (tmp_path / "results").exists()
    assert not [*(tmp_path / "store").glob("*/*")]


@pytest.mark.slow
def test_what_fails_leaves_no_empty_folder(tmp_path):
    """kills: a folder of results without results, once a stage has failed."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/captions.jsonl").write_text('{"file": "x.png", "caption": "x", "label": 1}\n')
    named = ["--source", FOLDER, "--scale.data.source.name", "mine", "--workers", "1"]
    root = ["--scale.data.source.root", str(tmp_path / "in"), "--scale.data.source.image=16"]
    places = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    assert cli.main(TABLE, arguments=["--scale", "smoke", *named, *root, *places]) == 1
    assert [*(tmp_path / "results").iterdir()] == []


@pytest.mark.slow
def test_the_real_network_tells_emoji_apart(monkeypatch):
    """kills: pictures that are not normalised, or another layer: a face's nearest is mostly a
    face."""
    emoji = Folder("emoji", str(asset("data/emoji")), 64).read(Split.HELDOUT)
    weights = asset("torch-home/hub/checkpoints")
    monkeypatch.setenv("TORCH_HOME", os.fspath(weights.parents[1]))
    squeezenet._squeezenet.cache_clear()
    shown = ((emoji.images + 1) * 127.5).round().astype(np.uint8)
    rows = squeezenet.SqueezeNetFeatures().encode(shown, torch.device("cpu")).astype(float)
    squeezenet._squeezenet.cache_clear()
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2) + 1e9 * np.eye(len(rows))
    face = np.array(["face" in caption for caption in emoji.captions])
    assert face[apart.argmin(1)][face].mean() > 2 * face.mean()


def test_scale_small_takes_a_folder():
    """kills: a scale whose judge cannot be asked what it makes of a list that is not there yet."""
    assert isinstance(SCALES["small"].judge.stage(Folder("a", "nowhere"), 0), SqueezeNetJudge)
