"""Paris 2.0's folder on a small copy of it, against networks written out and the router's own."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from modules.dit import TextShape
from modules.mmdit import pack, token_ids
from modules.text import Text
from modules.weights import paris2
from modules.weights.checkpoint import CheckpointError
from modules.weights.paris2 import STAGES, Paris2Stage
from modules.weights.tensors import checkpoint_files, open_tensors
from tests.helpers import paris2_hub as hub
from tests.helpers.hub import Mha, mlp, norm
from tests.helpers.originals.flux import Original, drawn

NULL = torch.ones(5, hub.TEXT), torch.ones(hub.POOLED)


@pytest.fixture(scope="module")
def laid(tmp_path_factory):
    return hub.lay(tmp_path_factory.mktemp("paris2"))


@torch.no_grad()
def test_the_folder_is_its_experts_in_order_under_its_router(laid):
    """kills: experts in another order or of another stage, parts forgotten, another objective, a
    null that is not the encoders', the router's p of other rows."""
    ensemble = paris2.load(laid, STAGES[0], NULL)
    assert [e.network.shape.latent for e in ensemble.experts] == [(16, hub.FRAMES, 32, 32)] * 3
    assert all(e.network.shape.first for e in ensemble.experts)
    g = torch.Generator().manual_seed(1)
    x, t = torch.randn(1, 16, hub.FRAMES, 32, 32, generator=g), torch.tensor([0.7])
    c = Text.of(torch.randn(1, 5, hub.TEXT, generator=g), torch.randn(1, hub.POOLED, generator=g))
    p = hub.router()(x, t, c).softmax(1)
    assert torch.allclose(ensemble.router(x, t, c), p, atol=1e-6)
    ids, none = token_ids(hub.FRAMES, 16, 16), torch.zeros(1, hub.FRAMES * 256, 68)
    for c_, tokens, pooled in ((c, c.tokens, c.pooled), (c.null(), NULL[0][None], NULL[1][None])):
        theirs = [hub.expert(k)(pack(x, 2), t, tokens, pooled, ids, none) for k in range(3)]
        w = ensemble.weights(x, t, c_)
        assert (w > 0).sum() == 2
        expected = sum(w[0, k] * theirs[k] for k in range(3))
        assert (pack(ensemble(x, t, c_), 2) - expected).abs().max() < 2e-5 * expected.abs().max()


class Router(nn.Module):
    """One by Paris 1.0's names, which also reads a caption and a first frame."""

    def __init__(self, tokens, d=64):
        super().__init__()
        self.patch_embed, self.pos_embed = (
            nn.Conv2d(16, d, 2, 2),
            nn.Parameter(torch.zeros(1, tokens, d)),
        )
        time = nn.Sequential(nn.Linear(256, d), nn.SiLU(), nn.Linear(d, d))
        self.time_embed, self.cls_token = (
            nn.ModuleDict({"mlp": time}),
            nn.Parameter(torch.zeros(1, 1, d)),
        )
        six = nn.Sequential(nn.SiLU(), nn.Linear(d, 6 * d))
        layer = {"adaLN_modulation": six, "attn": Mha(d, 1), "mlp": mlp(d)}
        self.layers = nn.ModuleList([nn.ModuleDict(layer)])
        self.text_proj, self.image_proj = nn.Linear(hub.POOLED, d), nn.Linear(hub.LOOK, d)
        self.head = nn.Sequential(
            nn.Linear(d, d), nn.SiLU(), nn.LayerNorm(d), nn.Dropout(), nn.Linear(d, 3)
        )

    def forward(self, x, t, pooled):
        angles = 1000 * t[:, None] * torch.exp(-math.log(10_000) * torch.arange(128.0) / 128)
        tau = self.time_embed.mlp(torch.cat([angles.cos(), angles.sin()], 1))
        tau = tau + self.text_proj(pooled) + self.image_proj(torch.zeros(len(x), hub.LOOK))
        h = torch.cat([self.patch_embed(f).flatten(2).mT for f in x.unbind(2)], 1) + self.pos_embed
        h = torch.cat([self.cls_token.expand(len(x), -1, -1), h], 1)
        for layer in self.layers:
            six = layer.adaLN_modulation(tau).unsqueeze(1).chunk(6, dim=2)
            a = norm(h, six[0], six[1])
            h = h + six[2] * layer.attn(a, a)
            h = h + six[5] * layer.mlp(norm(h, six[3], six[4]))
        return self.head(h[:, 0])


@torch.no_grad()
def test_a_router_by_the_names_of_paris_1():
    """kills: its order of modulations kept, caption or frame unread, a null that is not CLIP's."""
    model, stage = drawn(Router(2 * 16), 3), Paris2Stage(2, 8)
    found = paris2.load_router(model.state_dict(), stage, None, NULL[1], "it")
    assert found.trunk.shape.frames == 2
    g = torch.Generator().manual_seed(1)
    x, t = torch.randn(2, 16, 2, 8, 8, generator=g), torch.tensor([0.2, 0.9])
    c = Text.of(torch.zeros(2, 1, 1), torch.randn(2, hub.POOLED, generator=g))
    for c_, pooled in ((c, c.pooled), (c.null(), NULL[1].expand(2, -1))):
        assert torch.allclose(found(x, t, c_), model(x, t, pooled), atol=2e-5)
    with pytest.raises(CheckpointError, match="32 tokens, which are not 3 frames of 8 x 8 lat"):
        paris2.load_router(model.state_dict(), stage, 3, NULL[1], "it")


def test_a_routers_formula_serves_other_sizes():
    """kills: the table of one size for another, nine frames of stage 2 taken for one of stage 3."""
    state = hub.router(side=32, frames=9).state_dict()
    for stage, frames in (
        (STAGES[0], 3),
        (Paris2Stage(3, 48), 2),
        (STAGES[1], None),
        (STAGES[0], None),
    ):
        found = paris2.load_router(state, stage, frames, NULL[1], "it")
        same = hub.router(stage.side, frames or 9).state_dict()["trunk.positions"]
        assert torch.equal(found.trunk.positions, same)


def test_the_stage_is_the_folder_of_its_number(tmp_path):
    """kills: stage 2 asked and 3 read, stage 12 taken for 1 or 2, another's name refused."""
    for name in ("Stage_2_256px", "stage12", "STAGE 3", "logs"):
        (tmp_path / name).mkdir()
    assert [paris2.stage_folder(tmp_path, s).name for s in STAGES] == ["Stage_2_256px", "STAGE 3"]
    (tmp_path / "stage2").mkdir()
    with pytest.raises(
        CheckpointError, match="no one folder of stage 2; there is: Stage_2_256px, "
    ):
        paris2.stage_folder(tmp_path, STAGES[0])


@pytest.fixture
def folder(tmp_path):
    return hub.lay(tmp_path / "paris2")


def rewritten(path, change):
    state = load_file(path)
    change(state)
    save_file(state, path)


EXPERT, ROUTER = "expert1/stage2/master.safetensors", "Router/model.safetensors"


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        (EXPERT, lambda s: s.pop("txt_in.bias"), "missing: txt_in.bias$"),
        (EXPERT, lambda s: s.update(ema=torch.ones(1)), "unused: ema$"),
        (EXPERT, lambda s: s.pop("img_in.weight"), "is no FLUX"),
        (ROUTER, lambda s: s.pop("class_token"), "missing: class_token$"),
        (ROUTER, lambda s: s.update(ema=torch.ones(1)), "unused: ema$"),
        (ROUTER, lambda s: s.pop("head.3.weight"), "no router of clips: 'head.3.weight'"),
    ],
)
def test_a_difference_of_keys_is_named(folder, file, change, said):
    """kills: half an expert or a router loaded without a word."""
    rewritten(folder / file, change)
    with pytest.raises(CheckpointError, match=said):
        paris2.load(folder, STAGES[0], NULL)


def test_experts_that_do_not_match_are_named(folder):
    """kills: a router asked about experts it never saw, captions of another encoder."""
    with pytest.raises(CheckpointError, match=r"expert1.stage3 must hold .* there is: none"):
        paris2.load(folder, STAGES[1], NULL)
    with pytest.raises(CheckpointError, match=r"txt_in.weight \[32, 24\] for \[32, 9\]"):
        paris2.load(folder, STAGES[0], (torch.ones(5, 9), NULL[1]))
    (folder / "expert3").rename(folder / "spare")
    with pytest.raises(CheckpointError, match="knows 3 experts, not 2"):
        paris2.load(folder, STAGES[0], NULL)


def test_guidance_of_a_distilled_expert_is_no_silent_loss():
    """kills: an expert that reads a guidance of its own, loaded without it."""
    model = Original(x=64, guidance=True)
    shape = paris2.expert_shape(model.state_dict(), STAGES[0], 2, TextShape(5, 24, 12), "it")
    with pytest.raises(
        CheckpointError, match=r"unused: time_text_embed.guidance_embedder.linear_1"
    ):
        paris2.load_expert(model.state_dict(), shape, NULL, "it")


def test_checkpoints_in_parts(laid, tmp_path):
    """kills: a part missing or damaged passed over, a name of two parts, a wrapper's prefix."""
    names = Original(x=64, split=True, cond=68).state_dict().keys()
    for k in (1, 2, 3):
        found = paris2.open_weights(laid / f"expert{k}" / "stage2")
        assert found.keys() == names
        assert len(found) == len(names)
    state = {f"module.{name}": torch.ones(1) for name in ("a.b", "c")}
    hub.sharded(state, tmp_path / "model")
    assert dict(open_tensors(tmp_path / "model")) == {"a.b": torch.ones(1), "c": torch.ones(1)}
    last = checkpoint_files(tmp_path / "model")[-1]
    save_file(state, last)
    with pytest.raises(CheckpointError, match=f"{last.name} holds again module.a.b"):
        open_tensors(tmp_path / "model")
    last.write_bytes(b"x")
    with pytest.raises(CheckpointError, match=f"cannot read the weights .*{last.name}"):
        open_tensors(tmp_path / "model")
    last.unlink()
    with pytest.raises(CheckpointError, match=f"has no {last.name}, which its index names"):
        open_tensors(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps({}))
    with pytest.raises(CheckpointError, match=r"cannot read .*index.json"):
        open_tensors(tmp_path / "model")
