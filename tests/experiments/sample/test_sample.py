"""The script that draws with published weights, on a small folder of Paris 1.0's layout."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from experiments.sample import __main__ as sample
from experiments.sample import pictures, selections
from modules.selection import Full, Top
from modules.text import Text
from modules.weights import paris
from tests.helpers.hub import ROUTER


def run(folder, out, *more):
    arguments = ["--weights", str(folder), "--prompt", "a red", "--prompt", "b", "--steps", "3"]
    return sample.main([*arguments, "--out", str(out), *more])


def pixels(path):
    return np.asarray(Image.open(path)).astype(int)


def test_the_picture_is_the_ensembles_own_euler_path(folder, tmp_path, capsys):
    """kills: another guidance, null caption, noise, grid, scale of latents or order of prompts."""
    assert run(folder, tmp_path / "out", "--seed", "4", "--cfg", "2.5") == 0
    _, clip = pictures.encoders(folder)
    tokens, pooled = (torch.from_numpy(x).float() for x in clip.encode(["a red", "b"]))
    null = torch.from_numpy(clip.encode([""])[0][0]).float()
    ensemble = paris.load(folder, null, Top(2), ROUTER)
    blank = Text.of(null.expand(2, -1, -1), pooled)
    noise = [torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(s)) for s in (4, 5)]
    x = torch.stack(noise)
    with torch.no_grad():
        for t in (1.0, 2 / 3, 1 / 3):
            times = torch.full((2,), t)
            u, u_null = ensemble(x, times, Text.of(tokens, pooled)), ensemble(x, times, blank)
            x = x - (u_null + 2.5 * (u - u_null)) / 3
        vae = AutoencoderKL.from_pretrained(folder / "vae")
        expected = vae.decode(x / 0.18215).sample.clamp(-1, 1).permute(0, 2, 3, 1)
    paths = [tmp_path / "out" / name for name in ("0000-seed4.png", "0001-seed5.png")]
    assert capsys.readouterr().out.split() == [str(path) for path in paths]
    for path, picture in zip(paths, expected, strict=True):
        assert np.abs(pixels(path) - ((picture.numpy() + 1) * 127.5)).max() < 1.5
    told = json.loads((tmp_path / "out" / "sample.json").read_text())
    assert (told["cfg"], told["steps"], told["prompt"]) == (2.5, 3, ["a red", "b"])


def test_a_picture_depends_on_its_own_seed_and_prompt(folder, tmp_path):
    """kills: noise of the batch's first seed, the selection or the steps not heard."""
    names = {}
    for more in ((), ("--select", "full"), ("--seed", "1"), ("--steps", "4")):
        out = tmp_path / "-".join(("out", *more))
        assert run(folder, out, *more) == 0
        names[more] = sorted(out.glob("*.png"))
    first = pixels(names[()][1])
    assert np.array_equal(pixels(tmp_path / "out" / "0001-seed1.png"), first)
    for more in list(names)[1:]:
        assert not np.array_equal(pixels(names[more][1]), first)


@pytest.mark.parametrize(
    ("text", "found"), [("top1", Top(1)), ("top12", Top(12)), ("full", Full())]
)
def test_selections_have_names(text, found):
    """kills: top-1 for all, a name that is not heard."""
    assert selections.selection(text) == found


@pytest.mark.parametrize("text", ["top", "top0", "top-1", "best", ""])
def test_other_selections_are_refused(folder, tmp_path, capsys, text):
    """kills: a misspelt selection that draws with another."""
    with pytest.raises(SystemExit, match="2"):
        run(folder, tmp_path / "out", "--select", text)
    assert "--select" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "lost", ["config.json", "vae", "text_encoder", "tokenizer/vocab.json", "expert_1", "router"]
)
def test_what_is_missing_is_one_line(folder, tmp_path, capsys, lost):
    """kills: a traceback, a download that hangs, or pictures of half an ensemble."""
    target = folder / lost
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert run(folder, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.startswith("sample: ")
    assert said.count("\n") == 1
    assert lost.split("/")[-1].split("_")[0] in said
    assert not (tmp_path / "out").exists()


def test_nothing_is_drawn_over(folder, tmp_path, capsys):
    """kills: an earlier command's pictures lost, of one that was ended too; a --out that is a file,
    or the current folder."""
    out = tmp_path / "out"
    assert run(folder, out) == 0
    there = {path: path.read_bytes() for path in out.iterdir()}
    assert run(folder, out, "--seed", "7") == 2
    assert {path: path.read_bytes() for path in out.iterdir()} == there
    assert "nothing is drawn over" in capsys.readouterr().err
    (out / "sample.json").unlink()
    assert run(folder, out, "--seed", "7") == 2
    assert run(folder, next(out.iterdir())) == 2
    assert "is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        run(folder, "")
    assert "--out: the name of a folder is empty" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere", "/nowhere/at/all", "a/b/c", ""])
def test_a_folder_that_is_not_there_is_not_sought_on_the_hub(tmp_path, capsys, name):
    """kills: `hf download nowhere`, which no hub has."""
    assert run(name, tmp_path / "out") == 1
    assert f"there is no folder {name!r}" in capsys.readouterr().err


def test_a_misspelt_folder_is_told_from_a_name_of_the_hub(tmp_path, capsys):
    """kills: `hf download store/publishd` as the only advice."""
    assert run("store/publishd", tmp_path / "out") == 1
    assert "no folder here is store/publishd; " in capsys.readouterr().err


def test_pariss_guidance_is_the_default_for_paris(folder, tmp_path):
    """kills: no guidance, where its card has 7.5."""
    assert run(folder, tmp_path / "out") == 0
    told = json.loads((tmp_path / "out" / "sample.json").read_text())
    assert told["cfg"] == paris.GUIDANCE == 7.5
