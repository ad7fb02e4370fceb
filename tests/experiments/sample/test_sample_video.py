"""The script that draws clips, on a small folder of Paris 2.0 and of what lies beside it."""

import io
import json
import shutil

import av
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from datamodules.encoders import hunyuan
from experiments.sample import __main__ as sample
from experiments.sample import clips as sample_video
from modules.weights import paris2
from modules.weights.paris2 import Paris2Stage
from tests.helpers import paris2_hub as hub
from tests.helpers.checkpoints import lay_encoders, lay_t5


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Experts, router, VAE, T5, CLIP and DINOv2, all small, at 64 x 64 pixels."""
    folder = tmp_path_factory.mktemp("paris2")
    beside = lay_encoders(tmp_path_factory.mktemp("beside"))
    shutil.copytree(beside / "clip", folder / "clip")
    shutil.copytree(beside / "dino", folder / "dino")
    lay_t5(folder / "t5")
    width = json.loads((folder / "t5" / "config.json").read_text())["d_model"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hub, "TEXT", width)
        patch.setattr(hub, "POOLED", 24)
        patch.setattr(hub, "SIDE", 8)
        hub.lay(folder)
    hub.lay_vae(folder)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(hunyuan, "ORIGINAL", hub.VAE)
    monkeypatch.setattr(paris2, "STAGES", (Paris2Stage(2, 8), Paris2Stage(3, 24)))


def run(folder, out, *more):
    given = ["--weights", str(folder), "--prompt", "a red car", "--prompt", "two dogs"]
    return sample.main([*given, "--steps", "2", "--device", "cpu", "--out", str(out), *more])


def frames(path):
    with av.open(path) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def of_gif(path):
    with Image.open(path) as file:
        return file.n_frames, file.info["duration"]


def test_text_to_video_writes_both_files_of_every_prompt(whole, tmp_path, capsys):
    """kills: Paris 1.0's script asked instead, frames lost, channels turned, noise of the batch's
    first seed, a clip that hears neither seed, prompt nor steps."""
    out = tmp_path / "out"
    assert run(whole, out, "--fps", "10") == 0
    names = [f"000{i}-seed{i}.{kind}" for i in range(2) for kind in ("mp4", "gif")]
    assert capsys.readouterr().out.split() == [str(out / name) for name in names]
    clips = [frames(out / f"000{i}-seed{i}.mp4") for i in range(2)]
    assert [clip.shape for clip in clips] == [(5, 64, 64, 3)] * 2
    assert np.abs(clips[0].astype(int) - clips[1]).max() > 10
    assert of_gif(out / "0001-seed1.gif") == (5, 100)
    told = json.loads((out / "sample.json").read_text())
    assert (told["frames"], told["codec"], told["select"]) == (5, sample_video.codec(), "Top(k=2)")
    for more in (("--seed", "1"), ("--steps", "3"), ("--select", "full")):
        assert run(whole, tmp_path / more[1], *more) == 0
        found = frames(next((tmp_path / more[1]).glob("0000*.mp4")))
        assert np.abs(found.astype(int) - clips[0]).max() > 3, more
    assert sorted(path.name for path in out.iterdir()) == sorted([*names, "sample.json"])


def test_image_to_video_reads_the_frame(whole, tmp_path):
    """kills: a picture that no expert sees, the frame feature left out, frames not heard."""
    picture = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    dino = ("--dinov2", str(whole / "dino"))
    assert run(whole, tmp_path / "text", "--frames", "9") == 0
    assert (
        run(whole, tmp_path / "image", "--frames", "9", "--image", str(tmp_path / "a.png"), *dino)
        == 0
    )
    clips = [frames(tmp_path / name / "0000-seed0.mp4") for name in ("text", "image")]
    assert [clip.shape for clip in clips] == [(9, 64, 64, 3)] * 2
    assert of_gif(tmp_path / "image" / "0000-seed0.gif")[0] == 9
    assert np.abs(clips[0].astype(int) - clips[1]).max() > 3
    assert run(whole, tmp_path / "x", "--image", str(tmp_path / "a.png"), "--dinov2", "./no") == 1


def test_the_files_hold_the_frames_in_order():
    """kills: frames or channels turned, values lost beyond what the codec loses."""
    clip = np.zeros((3, 6, 32, 48), np.uint8)
    for i in range(6):
        clip[i % 3, i, :, : 8 * (i + 1)] = 220
    found = frames(io.BytesIO(sample_video.mp4(clip, 8)))
    assert np.abs(found.transpose(3, 0, 1, 2).astype(int) - clip).mean() < 12
    with Image.open(io.BytesIO(sample_video.gif(clip, 8))) as file:
        assert file.n_frames == 6
        for i in range(6):
            file.seek(i)
            same = np.asarray(file.convert("RGB")).transpose(2, 0, 1)
            assert np.abs(same.astype(int) - clip[:, i]).max() < 8


def change(folder, at, what):
    state = load_file(folder / at)
    what(state)
    save_file(state, folder / at)


EXPERT = "expert1/stage2/master.safetensors"


@pytest.mark.parametrize(
    ("lost", "more", "status", "said"),
    [
        ("vae.pt", (), 1, "vae.pt"),
        ("t5", (), 1, "t5"),
        ("clip/model.safetensors", (), 1, "clip"),
        ("expert2/stage2/model", (), 1, "must hold one file"),
        (lambda f: change(f, EXPERT, lambda s: s.pop("txt_in.bias")), (), 1, "missing: txt_in.b"),
        (lambda f: change(f, EXPERT, lambda s: s.update(a=torch.ones(1))), (), 1, "unused: a"),
        (None, ("--stage", "3"), 1, "stage3"),
        (None, ("--image", "no.png"), 1, "no.png"),
        (None, ("--frames", "6"), 2, "1 + 4 n, not 6"),
        (None, ("--steps", "0"), 2, "at least 1"),
    ],
)
def test_what_cannot_serve_is_one_line(whole, tmp_path, capsys, lost, more, status, said):
    """kills: a traceback, a download that hangs, clips of half an ensemble, a key unnamed."""
    folder = whole
    if lost is not None:
        folder = tmp_path / "copy"
        shutil.copytree(whole, folder)
        if callable(lost):
            lost(folder)
        else:
            (shutil.rmtree if (folder / lost).is_dir() else type(folder).unlink)(folder / lost)
    assert run(folder, tmp_path / "out", *more) == status
    found = capsys.readouterr().err
    assert found.startswith("sample: ")
    assert found.count("\n") == 1
    assert said in found
    assert not list(tmp_path.glob("out/*"))
