"""FLUX.1-dev as what a training stage begins with, on small checkpoints of its layouts."""

import hashlib
import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from datamodules.encoders.hub import HubWeightsError
from experiments.recipes import experts
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.stages.experts import Start
from experiments.stages.starts import PretrainedFlux
from modules.denoising import FlowMatchingExpert
from modules.dit import DiT
from modules.mmdit import MMDiT, MMDiTNetwork, MMSize
from modules.weights.bfl import renamed
from modules.weights.checkpoint import CheckpointError
from tests.helpers.originals.flux import Original, drawn
from tests.helpers.paris2_hub import contiguous, sharded
from tests.helpers.stages import make

SCALE = turned(
    VIDEO_SCALES["smoke"],
    {
        "expert.size": MMSize(32, 2, 2, 2),
        "train.steps": 1,
        "train.warmup": 0,
        "train.ema_start": 0,
        "train.batch": 3,
    },
)


def begun(source, first=False):
    plain = experts.mixed(SCALE, FlowMatchingExpert, {}, 0)[0]
    shape = experts.network(SCALE, SCALE.data.source, first)
    return replace(plain, network=shape, start=Start(source))


@pytest.fixture
def model():
    shape = begun(PretrainedFlux()).network
    return drawn(
        Original(x=shape.width, text=shape.text.width, pooled=shape.text.pooled, guidance=True)
    )


@pytest.fixture
def file(model, tmp_path):
    """As its authors lay it: one file, with a guidance embedder."""
    save_file(contiguous(model.state_dict()), tmp_path / "flux1-dev.safetensors")
    return tmp_path / "flux1-dev.safetensors"


def named(model, shape):
    """The same by diffusers' names, the guidance embedder among them."""
    mine = MMDiTNetwork(shape).transformer.state_dict()
    return contiguous(dict(renamed(model.state_dict(), shape.size, mine, "it")))


def test_training_from_it_tells_of_every_tensor(store, file, model):
    """kills: weights left as drawn, a guidance embedder concealed, a report without the hash."""
    source = PretrainedFlux("flux", str(file))
    stage = begun(source, first=True)
    make(store, stage)
    lines = store.file(stage, "transfer.txt").read_text().splitlines()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert lines[:2] == ["file      flux", f"SHA-256   {digest}"]
    network = stage.begun(store).network
    state = network.transformer.state_dict()
    told = {name: what for what, name in (line.rsplit(maxsplit=1) for line in lines[2:])}
    left = {name for name, what in told.items() if what == "left out"}
    assert len(left) == 4
    assert all("guidance_embedder" in name for name in left)
    assert told.keys() - left == state.keys()
    assert [name for name, what in told.items() if what == "widened"] == ["x_embedder.weight"]
    for name, x in named(model, begun(source).network).items():
        if name not in left:
            assert torch.equal(state[name][:, : x.shape[1]] if x.ndim > 1 else state[name], x)
    assert state["x_embedder.weight"][:, model.img_in.in_features :].abs().max() == 0
    assert stage.inputs()[-1] == source


def test_both_layouts_begin_the_same(store, file, model, tmp_path):
    """kills: a folder of parts read otherwise than its authors' file, or not found below it."""
    shape = begun(PretrainedFlux()).network
    sharded(named(model, shape), tmp_path / "dev" / "transformer")
    (tmp_path / "dev" / "transformer" / "config.json").write_text(json.dumps({}))
    states = []
    for i, place in enumerate((file, tmp_path / "dev", tmp_path / "dev" / "transformer")):
        source = PretrainedFlux(f"flux {i}", str(place))
        make(store, source)
        states.append(begun(source).begun(store).network.state_dict())
    for name, x in states[0].items():
        assert all(torch.equal(x, other[name]) for other in states[1:])


def test_weights_that_cannot_serve_are_one_line(store, file, tmp_path, monkeypatch):
    """kills: training from scratch under another's name, other weights under one key, a network of
    pictures begun with it, a search of the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        HubWeightsError, match=r"no .*FLUX.1-dev at .*: hf download black-forest-labs"
    ):
        PretrainedFlux().locate()
    with pytest.raises(HubWeightsError, match=r"has SHA-256 .*, not 000"):
        make(store, PretrainedFlux("a", str(file), "0" * 64))
    source = PretrainedFlux("b", str(file))
    make(store, source)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(HubWeightsError, match="has SHA-256"):
        begun(source).begun(store)
    save_file({"a": torch.zeros(1)}, file)
    other = PretrainedFlux("c", str(file))
    make(store, other)
    with pytest.raises(CheckpointError, match="is no FLUX"):
        begun(other).begun(store)
    with pytest.raises(ValueError, match="begins an MM-DiT, not DiT"):
        replace(begun(source), network=DiT())
    assert isinstance(begun(source).network, MMDiT)


def test_the_key_says_which_weights_not_where():
    """kills: one key for two hashes or two models, a key that is a path."""
    one = begun(PretrainedFlux("a", "here"))
    assert one.key == begun(PretrainedFlux("a", "there")).key
    others = [begun(PretrainedFlux(*x)) for x in (("b", "here"), ("a", "here", "0" * 64))]
    assert len({stage.key for stage in (one, *others, replace(one, start=None))}) == 4
