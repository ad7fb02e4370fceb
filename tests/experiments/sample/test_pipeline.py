"""diffusers' interface: the pictures of `experiments.sample`, walked by diffusers' scheduler."""

import json

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from datamodules.encoders.encoder import PixelLatents, TinyClipText
from experiments.sample import __main__ as sample
from experiments.sample import pipeline
from experiments.sample.pipeline import EnsemblePipeline
from experiments.stages.publishable import written
from modules.blocks import AdaLN, Size
from modules.dit import DiT, DiTNetwork, TextShape
from modules.objectives import Epsilon, Velocity
from modules.routing import RouterNetwork
from modules.sampling import starting_noise
from modules.schedules import Cosine, Linear
from modules.weights.cards import ExpertCard, Origin, RouterCard
from modules.weights.published import save_expert, save_router

FILE = str(pipeline.__file__)
PROMPTS = ["a red", "b"]


ORIGIN = Origin("clusters/0", 2, written(PixelLatents()), written(TinyClipText()), "digits", "MIT")


@pytest.fixture
def published(tmp_path):
    """Two experts of two objectives and a router of ours, small, in one folder."""
    torch.manual_seed(0)
    place, text = tmp_path / "published", TextShape(10, 64, 64)
    shape = DiT(Size(8, 1, 2), 8, 1, 4, text=text, head_std=0.1)
    for k, (objective, schedule) in enumerate([(Velocity(), Linear()), (Epsilon(), Cosine())]):
        card = ExpertCard(objective, schedule, (k,), 10, ORIGIN)
        network = DiTNetwork(shape)
        for drawn in network.parameters():  # or captions would make no difference
            drawn.data += 0.02 * torch.randn(drawn.shape)
        save_expert(place / f"expert_{k}", network, card)
    router = RouterNetwork(DiT(Size(8, 1, 2), 8, 1, 4, AdaLN.ZERO, text=None), 2, 64)
    save_router(place / "router", router, RouterCard(Linear(), 64, 1.0, ORIGIN))
    return place


def command(folder, out, *more):
    """The status of the command that draws PROMPTS in three steps."""
    prompts = [x for prompt in PROMPTS for x in ("--prompt", prompt)]
    where = ["--weights", str(folder), "--out", str(out), "--steps", "3"]
    return sample.main([*where, *prompts, *more])


def opened(place):
    return DiffusionPipeline.from_pretrained(
        str(place), custom_pipeline=FILE, trust_remote_code=True
    )


def test_pariss_own_folder_opens_and_draws_what_the_command_draws(folder, tmp_path):
    """kills: diffusers' own grid of sigmas, which ends at 1/1000; a shift; guidance or the
    selection not heard; times in thousandths given to experts."""
    (folder / "model_index.json").write_text(
        '{"_class_name": "DDMPipeline", "_diffusers_version": "0.21.0",'
        ' "vae": ["diffusers", "AutoencoderKL"]}'
    )
    pipe = opened(folder)
    for select in ("top2", "full"):
        out = tmp_path / select
        assert command(folder, out, "--seed", "4", "--cfg", "2.5", "--select", select) == 0
        noise = starting_noise((4, 5), pipe.model.shape)
        shown = pipe(PROMPTS, 3, 2.5, select, latents=noise).images
        for path, picture in zip(sorted(out.glob("*.png")), shown, strict=True):
            theirs, ours = (np.asarray(x).astype(int) for x in (Image.open(path), picture))
            assert np.abs(theirs - ours).max() <= 1


def test_an_ensemble_of_ours_is_saved_and_opened_as_diffusers_does(published, tmp_path):
    """kills: a DDPM expert asked at t = 1, noise of another seed, weights sought elsewhere."""
    EnsemblePipeline.of(str(published)).save_pretrained(published)
    pipe = opened(published)
    noise = starting_noise((0, 1), pipe.model.shape)
    out = tmp_path / "out"
    assert command(published, out, "--cfg", "2", "--select", "top1") == 0
    shown = pipe(PROMPTS, 3, 2.0, "top1", latents=noise, output_type="np").images
    assert shown.shape == (2, 8, 8, 1)
    for path, picture in zip(sorted(out.glob("*.png")), shown, strict=True):
        theirs = np.asarray(Image.open(path))[::8, ::8] / 255  # enlarged eightfold
        assert np.abs(theirs - picture[..., 0]).max() <= 1.01 / 255


def test_networks_of_ours_have_their_own_guidance_everywhere(published, tmp_path):
    """kills: Paris 1.0's 7.5 for digits, by the command or by diffusers' interface."""
    assert command(published, tmp_path / "out") == 0
    told = json.loads((tmp_path / "out" / "sample.json").read_text())
    assert told["cfg"] == 2
    pipe = EnsemblePipeline.of(str(published))
    noise = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    asked = {"num_inference_steps": 2, "output_type": "latent", "latents": noise}
    default, two, paris = (
        pipe("b", **asked, **more).images
        for more in ({}, {"guidance_scale": 2.0}, {"guidance_scale": 7.5})
    )
    assert torch.equal(default, two)
    assert not torch.equal(default, paris)


def test_a_generator_decides_the_noise(published):
    pipe = EnsemblePipeline.of(str(published))
    asked = {"num_inference_steps": 2, "guidance_scale": 1.0, "output_type": "latent"}
    first, again, other = (
        pipe("b", generator=torch.Generator().manual_seed(seed), **asked).images
        for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    noise = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    assert torch.equal(pipe("b", latents=noise, **asked).images, first)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"selection": "best"}, "no selection: top1"),
        ({"output_type": "pt"}, "output_type"),
        ({"latents": torch.zeros(1, 1, 4, 4)}, r"latents of \(1, 1, 4, 4\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(published, asked, said):
    with pytest.raises(ValueError, match=said):
        EnsemblePipeline.of(str(published))("b", **asked)
