"""From a trained stage to published folders, and from several places to the same pictures."""

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from experiments import publish
from experiments.hddm import readings as conversions
from experiments.pipeline import build
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.sample import __main__ as sample
from experiments.sample import pictures, selections
from experiments.stages.prompts import Given
from experiments.stages.samples import Sample
from experiments.stages.seeds import SAMPLING, run_seed
from experiments.stages.setting import Setting
from metrics.pixels import to_uint8
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.selection import Full, Only, Top
from modules.text import Text
from tests.helpers.stages import make

SMOKE = turned(
    SCALES["smoke"], {"expert.size": Size(8, 1, 2), "data.clusters": 2, "train.batch": 8}
)
DIALS = [
    f"--scale.{dial}"
    for dial in ("expert.size.width=8", "expert.size.depth=1", "data.clusters=2", "train.batch=8")
]
PROMPTS = ("the digit three", "a handwritten eight", "the digit zero")
EXPERTS = (
    experts.expert(SMOKE, FlowMatchingExpert, 0, 0),
    experts.expert(SMOKE, DDPMExpert, 1, 0),
)
ROUTER = experts.calibrated(SMOKE, True, 0)
SETTING = conversions.corrected(Setting(4, 2.0))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two experts of two objectives and a calibrated router."""
    store = Store(tmp_path_factory.mktemp("publish") / "store")
    for stage in (*EXPERTS, ROUTER):
        make(store, stage)
    return store


def published(store, out, *more):
    where = ["--scale", "smoke", *DIALS, "--store", str(store.root), "--out", str(out)]
    return publish.main([*where, "--licence", "CC-BY-4.0", *more])


@pytest.fixture
def places(store, tmp_path, capsys):
    """Two contributors' folders, the first with the router."""
    one, two = tmp_path / "one", tmp_path / "two"
    assert published(store, one, "--clusters", "0", "--router=text-aware", "--calibrated=true") == 0
    said = capsys.readouterr().out.split()
    assert said == [str(one / name) for name in ("expert_0", "router")]
    assert published(store, two, "--clusters", "1", "--objective", "ddpm", "--data", "digits") == 0
    return one, two


def drawn(store, tmp_path, experts, router, selection):
    """The latents of the stage that draws from the store."""
    asked = Given(PROMPTS)
    stage = Sample(tuple(experts), router, selection, asked, 3, 5, SETTING)
    folder = tmp_path / f"drawn-{selection}"
    folder.mkdir()
    make(store, stage.shards.heldout) if not store.has(stage.shards.heldout) else None
    stage.make(folder, Context(store, device="cpu"))
    with np.load(folder / "00000.npz") as found:
        return found["latents"]


def from_folders(folders, selection):
    model = pictures.load([str(folder) for folder in folders], selection, CPU)
    text = Text.of(*map(torch.from_numpy, model.text.encode(list(PROMPTS))))
    seeds = [run_seed(5, SAMPLING, i) for i in range(3)]
    return pictures.draw(model.ensemble, text, seeds, model.shape, 4, 2.0, CPU).numpy()


@pytest.mark.parametrize("selection", [Top(1), Full()], ids=str)
def test_pictures_from_several_places_are_those_of_the_store(store, places, tmp_path, selection):
    """kills: weights as drawn, not as trained; an objective, schedule or temperature lost; another
    encoder; no guard, under which a DDPM expert cannot be asked at t = 1; experts in the order of
    their places."""
    expected = drawn(store, tmp_path, EXPERTS, ROUTER, selection)
    assert np.array_equal(from_folders(places[::-1], selection), expected)
    assert np.array_equal(from_folders([*places[0].iterdir(), places[1]], selection), expected)


def test_one_expert_draws_alone_and_as_part(store, places, tmp_path):
    """kills: a router asked for where there is nothing to route; expert1 taken for the first."""
    expected = drawn(store, tmp_path, EXPERTS[1:], None, Only(0))
    assert np.array_equal(from_folders([places[1]], Top(2)), expected)
    assert np.array_equal(from_folders(places, selections.selection("expert1")), expected)


def test_the_command_draws_pictures_that_can_be_seen(store, places, tmp_path, capsys):
    """kills: pictures of one channel refused, smoothed in enlarging, or not enlarged."""
    out = tmp_path / "out"
    where = ["--weights", *map(str, places), "--steps", "4", "--cfg", "2", "--out", str(out)]
    prompts = [x for prompt in PROMPTS for x in ("--prompt", prompt)]
    assert sample.main([*where, *prompts, "--select", "top1"]) == 0
    model = pictures.load([str(place) for place in places], Top(1), CPU)
    text = Text.of(*map(torch.from_numpy, model.text.encode(list(PROMPTS))))
    latents = pictures.draw(model.ensemble, text, range(3), model.shape, 4, 2.0, CPU).numpy()
    for i, path in enumerate(sorted(out.glob("*.png"))):
        shown = np.asarray(Image.open(path))
        assert shown.shape == (64, 64)
        squares = shown.reshape(8, 8, 8, 8)
        assert (squares == squares[:, :1, :, :1]).all()
        assert np.array_equal(squares[:, 0, :, 0], to_uint8(latents[i, 0].clip(-1, 1)))
    told = json.loads((out / "sample.json").read_text())
    assert (told["select"], told["side"], told["weights"]) == ("Top(k=1)", 8, where[1:3])


def test_a_prompt_too_long_is_said_in_eighty_letters(places, tmp_path, capsys):
    """kills: a line as long as the prompt; all prompts refused without saying which."""
    where = ["--weights", *map(str, places), "--out", str(tmp_path / "o"), "--prompt", "a three"]
    line = refused(capsys, 1, lambda: sample.main([*where, "--prompt", "word " * 900]))
    assert line.startswith("sample: caption longer than 8 tokens: 'word word")
    assert len(line) == len("sample: ") + 80 + 1


def test_the_card_tells_a_stranger_all(store, places):
    """kills: a licence, data, partition or encoder that is another's; samples of all clusters."""
    one, two = (
        json.loads((places[i] / f"expert_{i}" / "card.json").read_text())["card"] for i in (0, 1)
    )
    assert (one["objective"], two["objective"]) == ({"is": "Velocity"}, {"is": "Epsilon"})
    assert (one["schedule"], two["schedule"]) == ({"is": "Linear"}, {"is": "Cosine"})
    assert one["origin"]["partition"] == f"clusters/{EXPERTS[0].shards.clusters.key}"
    assert one["origin"]["latents"] == {"is": "PixelLatents"}
    assert one["origin"]["captions"] == {"is": "TinyClipText", "length": 10, "width": 64, "seed": 0}
    splits = {"train": 64, "judge": 64, "heldout": 32, "set_apart": 200}
    assert one["origin"]["data"] == {"is": "Digits", **splits, "division": 0, "tunes": False}
    assert two["origin"] == {**one["origin"], "data": "digits"}
    assert one["origin"]["licence"] == "CC-BY-4.0"
    assert one["samples"] + two["samples"] == SMOKE.data.source.train
    router = json.loads((places[0] / "router" / "card.json").read_text())["card"]
    assert router["temperature"] == ROUTER.temperature(store) != 1
    assert router["pooled"] == 64


def refused(capsys, status, run):
    capsys.readouterr()
    assert run() == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--clusters", "0", "1"], 1, "lacks the FlowMatchingExpert expert 1, seed 0.*--train"),
        (["--clusters", "0", "--seed", "7"], 1, "lacks the .* seed 7"),
        (["--clusters", "2"], 2, "between 0 and 1"),
        ([], 2, "nothing to publish"),
        (["--clusters", "0", "--objective", "gan"], 2, "objective"),
        (["--clusters", "0", "--licence", " "], 2, "licence"),
        (["--clusters", "0", "--sede", "0"], 2, "sede"),
    ],
)
def test_what_cannot_be_published_is_one_line(store, tmp_path, capsys, arguments, status, said):
    """kills: untrained weights published, a training that nobody asked for, half of it."""
    line = refused(capsys, status, lambda: published(store, tmp_path / "out", *arguments))
    assert line.startswith("publish: ")
    assert re.search(said, line)
    assert not (tmp_path / "out").exists()


def test_nothing_is_published_over_nor_half(store, places, capsys, monkeypatch):
    """kills: a folder replaced behind its name; others written before the one that is there is
    found; a folder left without its card."""
    before = {p: p.read_bytes() for p in places[0].rglob("*") if p.is_file()}
    again = ["--clusters", "0", "--router", "text-aware", "--calibrated=true"]
    assert "there already" in refused(capsys, 1, lambda: published(store, places[0], *again))
    assert {p: p.read_bytes() for p in places[0].rglob("*") if p.is_file()} == before

    def full(folder, *_):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"")
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(publish, "save_expert", full)
    new = places[0].parent / "new"
    assert "No space" in refused(capsys, 1, lambda: published(store, new, "--clusters", "0"))
    assert list(new.iterdir()) == []


def test_tampered_weights_are_refused_on_both_sides(store, places, tmp_path, capsys):
    """kills: other weights than were trained published, or others than the card's drawn with."""
    for path in (places[1] / "expert_1" / "model.safetensors",
                 store.path(EXPERTS[0]) / "weights.safetensors"):  # fmt: skip
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        if path.is_relative_to(places[1]):
            where = ["--weights", *map(str, places), "--prompt", "x", "--out", str(tmp_path / "o")]
            line = refused(capsys, 1, lambda where=where: sample.main(where))
        else:
            out = tmp_path / "new"
            line = refused(capsys, 1, lambda out=out: published(store, out, "--clusters", "0"))
        assert str(path) in line
        path.write_bytes(content)


def test_train_makes_what_is_missing_and_no_more(store, tmp_path, monkeypatch):
    """kills: --train not heard, or the whole table trained for one expert."""
    asked = []

    def ensure(wanted, context, workers):
        asked.append([stage.label for stage in wanted])
        for stage in wanted:
            make(store, stage)

    monkeypatch.setattr(build, "ensure", ensure)
    for k in ("1", "0"):
        where = ["--seed", "3", "--train=true", "--clusters", *sorted({"1", k})]
        assert published(store, tmp_path / k, *where) == 0
    assert asked == [[f"FlowMatchingExpert expert {k}, seed 3"] for k in (1, 0)]
    assert sorted(p.name for p in (tmp_path / "0").iterdir()) == ["expert_0", "expert_1"]


def test_places_that_do_not_serve_are_one_line(places, tmp_path, capsys):
    """kills: a folder passed over in silence, Paris's layout asked of ours, or K - 1 experts."""
    for weights, said in (
        ([places[0]], "2 clusters"),
        ([*places, tmp_path / "lost"], "lost"),
        ([places[0], places[1].parent], "parent|no network"),
    ):
        where = ["--weights", *map(str, weights), "--prompt", "the digit one", "--out"]
        line = refused(capsys, 1, lambda where=where: sample.main([*where, str(tmp_path / "o")]))
        assert re.search(said, line)
    assert not (tmp_path / "o").exists()
