"""Experts behind Ray actors: the same pictures, only the selected asked, less memory each."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.sample import pictures
from experiments.serve import drawers
from experiments.serve.actors import OBJECTS, Actors, ActorsError, ActorShare, _Server
from experiments.serve.engine import DrawingEngine
from metrics.pixels import to_uint8
from modules.sampling import starting_noise
from modules.selection import Full, Only, Top
from modules.solvers import Euler
from modules.weights.checkpoint import CheckpointError
from tests.helpers.files import ROOT

PROMPTS = ("the digit three", "a handwritten eight", "the digit zero")
CPU = torch.device("cpu")
LIMIT = 240
"""Megabytes: more than one expert's and what it computes, less than all of them."""
ALONE = f"""
from pathlib import Path
import sys
from experiments.serve.actors import limit_memory, _Server
from modules.selection import Full
from modules.weights.published import load_ensemble, load_expert
limit_memory({LIMIT} << 20)
load_expert(Path(sys.argv[1]) / "expert_0")
print("one fits", flush=True)
load_ensemble([Path(sys.argv[1])], Full())
"""


@pytest.fixture(scope="module")
def drawer(published):
    with drawers.behind_actors([published], Full(), ActorShare(LIMIT << 20)) as drawer:
        yield drawer


def served(drawer, selection, prompts=PROMPTS):
    """Pictures of one request each, drawn as one batch."""
    rule = replace(drawer.ensemble, selection=selection)
    engine = DrawingEngine(replace(drawer, ensemble=rule))
    requests = [engine.submit(p, i, 4, 2.0) for i, p in enumerate(prompts)]
    drawn = [request.done.result(200) for request in requests]
    engine.close()
    return np.stack([each.picture for each in drawn]), [each.asked for each in drawn]


def in_one_process(published, selection):
    model = pictures.load([str(published)], selection, CPU)
    text = pictures.read(model.text, PROMPTS)
    latents = pictures.draw(model.ensemble, text, range(3), model.shape, 4, 2.0, CPU)
    return latents, to_uint8(model.latents.decode(latents.numpy(), CPU))


@pytest.mark.slow
@pytest.mark.parametrize("selection", [Top(2), Full()], ids=str)
def test_pictures_are_those_of_one_process_to_the_bit(drawer, published, selection):
    """All in float32, before they are rounded to pixels.

    kills: captions of another row or drawing, an expert's own reading of them lost between steps,
    answers added in the order in which they come, more threads in an actor.
    """
    latents, expected = in_one_process(published, selection)
    rule = replace(drawer.ensemble, selection=selection)
    text = pictures.read(drawer.text, PROMPTS)
    noise = starting_noise(range(3), drawer.shape)
    for _ in range(2):  # the second remembers nothing of the first
        with drawer.drawing(), torch.inference_mode():
            found = Euler().draw(rule, text, 2.0, noise, 4, lambda _: torch.empty(0))
        assert torch.equal(found, latents)
    shown, _ = served(drawer, selection)
    assert np.abs(shown.astype(int) - expected).max() <= 1  # whatever company each had


@pytest.mark.slow
def test_only_selected_experts_are_called(drawer):
    """kills: every expert asked and its answer multiplied by zero; calls that nobody counts."""
    before = drawer.ensemble.ask.calls()
    _, asked = served(drawer, Only(1), PROMPTS[:1])
    after = drawer.ensemble.ask.calls()
    assert [b - a for a, b in zip(before, after, strict=True)] == [0, 4, 0, 4]
    assert asked == [1.0]
    _, asked = served(drawer, Top(1), PROMPTS[:1])
    spent = [b - a for a, b in zip(after, drawer.ensemble.ask.calls(), strict=True)]
    assert 4 <= sum(spent[:3]) <= 8  # the two halves of guidance may go to two experts
    assert asked == [sum(spent[:3]) / 4]


@pytest.mark.slow
def test_what_one_process_cannot_hold_is_drawn_by_actors(drawer, published):
    """Under the memory that each actor has, one expert fits into a process and all do not.

    kills: all experts in every actor; a limit that holds nobody.
    """
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(published)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "one fits\n"
    assert done.returncode != 0
    assert "memory" in done.stderr.lower()
    shown, _ = served(drawer, Full())
    assert shown.shape == (3, 1, 8, 8)


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [60, 100])
def test_an_actor_without_room_says_which(drawer, published, megabytes):
    """In 60 MB there is no room for 95, in 100 none to read them into a network.

    kills: a hang, or a traceback of another process, for an expert that does not fit.
    """
    folder = published / "expert_1"
    with pytest.raises(ActorsError, match=r"expert_1 does not fit") as caught:
        Actors([folder], published / "router", ActorShare(megabytes << 20))
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "said"),
    [
        (ActorShare(gpus=64), "64 GPU is needed on one node, and the most that any has is "),
        (ActorShare(1 << 50), "1,073,741,824 MB of memory is needed on one node, and the most"),
    ],
)
def test_what_no_node_can_hold_is_said_at_once(drawer, published, place, said):
    """kills: actors that Ray waits for, for ever and without a word."""
    with pytest.raises(ActorsError, match=f"^2 actors have no room: {said}") as caught:
        Actors([published / "expert_1"], published / "router", place)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_an_empty_address_is_none():
    """kills: a cluster looked for at no address, or one begun here as Ray begins its own."""
    code = (
        "from experiments.serve.actors import cluster\n"
        "with cluster() as ray: print(ray.cluster_resources()['object_store_memory'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
        env={**os.environ, "RAY_ADDRESS": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == OBJECTS


@pytest.mark.parametrize("error", [SystemError("no exception set"), RuntimeError("bad alloc")])
def test_want_of_memory_is_told_by_whatever_name_it_has(tmp_path, monkeypatch, error):
    """kills: "error return without exception set" for an expert that does not fit."""
    server, tries = _Server(str(tmp_path), False, None), iter([error])
    server.memory = 1 << 50

    def load():
        if (raised := next(tries, None)) is not None:
            raise raised

    monkeypatch.setattr(server, "_load", load)
    with pytest.raises(MemoryError, match=f"{tmp_path} does not fit"):
        server.load()


@pytest.mark.slow
def test_damage_is_not_taken_for_want_of_memory(drawer, published, tmp_path):
    """kills: any error under a limit told as one of memory."""
    shutil.copytree(published / "expert_1", folder := tmp_path / "expert_1")
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="expert_1"):
        Actors([folder], published / "router", ActorShare(LIMIT << 20))


def test_what_does_not_go_together_starts_no_actor(published, tmp_path):
    """kills: actors begun for cards that disagree."""
    for place in ("expert_0", "router"):
        (tmp_path / place).symlink_to(published / place)
    with pytest.raises(CheckpointError) as caught:
        drawers.folders([tmp_path])
    assert str(caught.value).splitlines() == [
        "clusters: no expert of cluster 1",
        "clusters: no expert of cluster 2",
    ]
