"""ImageNet DiT -> expert, against a DiT written out with the original's names."""

import argparse
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from modules.blocks import AdaLN, Size
from modules.dit import DiT, DiTNetwork, TextShape
from modules.timesteps import Index
from modules.weights.checkpoint import CheckpointError
from modules.weights.facebook_dit import CLASSES, convert, dit_positions, layout, read_checkpoint
from modules.weights.layouts import source_shapes
from modules.weights.pretrained import Transfer
from tests.helpers.originals.dit import Original, sincos

ZERO = DiT(Size(24, 2, 3), 8, 4, 2, AdaLN.ZERO, None, 16, time=Index())
SINGLE = replace(ZERO, adaln=AdaLN.SINGLE, text=TextShape(3, 6, 5), text_std=0.02, head_std=0.02)
HEAD = Transfer(head=True)


def original(seed=0):
    """Random in every parameter; the class embeddings are 0, as for an expert without classes."""
    torch.manual_seed(seed)
    model = Original()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name != "pos_embed":
                parameter.normal_(std=0.3)
        model.y_embedder.embedding_table.weight.zero_()
    return model


def target(shape, seed=1):
    torch.manual_seed(seed)
    network = DiTNetwork(shape)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    return network


def test_with_adaln_zero_the_whole_forward_is_the_originals(tmp_path):
    """kills: shift taken for scale, q for k, sines for cosines, rows for columns, 1000 t for the
    index, the variance's channels for the noise's, or a gate of the MLP for one of attention."""
    model, expert = original(), target(ZERO)
    torch.save(model.state_dict(), tmp_path / "DiT.pt")
    convert(read_checkpoint(tmp_path / "DiT.pt"), expert, HEAD)
    x, index = torch.randn(4, 4, 8, 8), torch.tensor([0, 17, 500, 999])
    eps, variance = model(x, index, torch.tensor([3, 1000, 0, 5]))
    torch.testing.assert_close(expert(x, index / 999), eps, rtol=1e-4, atol=1e-4)
    assert (eps - variance).abs().max() > 0.1


def test_with_adaln_single_what_the_two_share_is_the_originals():
    """kills: patches, positions, time, attention or MLP left as drawn, or taken wrongly."""
    model, expert = original(), target(SINGLE)
    convert(model.state_dict(), expert)
    x, index = torch.randn(3, 4, 8, 8), torch.tensor([0, 421, 999])
    h = model.x_embedder.proj(x).flatten(2).mT + model.pos_embed
    torch.testing.assert_close(expert.trunk.embed(x), h)
    torch.testing.assert_close(
        expert.trunk.embed_time(index / 999), model.time(index), rtol=1e-4, atol=1e-4
    )
    for ours, theirs in zip(expert.trunk.blocks, model.blocks, strict=True):
        torch.testing.assert_close(ours.attention(h, h), model.attend(theirs.attn, h))
        inner = F.gelu(theirs.mlp.fc1(h), approximate="tanh")
        torch.testing.assert_close(ours.mlp(h), theirs.mlp.fc2(inner))


BLOCK_NEW = {"modulation.table"} | {
    f"cross.{layer}.{kind}"
    for layer in ("query", "key_value", "out")
    for kind in ("weight", "bias")
}


@pytest.mark.parametrize(
    ("shape", "what", "new", "gone"),
    [
        (
            SINGLE,
            Transfer(),
            {"text.weight", "text.bias", "null", "trunk.global_mlp.weight", "trunk.global_mlp.bias"}
            | {"final.linear.weight", "final.linear.bias", "final.table"}
            | {f"trunk.blocks.{i}.{name}" for i in (0, 1) for name in BLOCK_NEW},
            {CLASSES}
            | {f"final_layer.linear.{kind}" for kind in ("weight", "bias")}
            | {f"final_layer.adaLN_modulation.1.{kind}" for kind in ("weight", "bias")}
            | {f"blocks.{i}.adaLN_modulation.1.{k}" for i in (0, 1) for k in ("weight", "bias")},
        ),
        (
            ZERO,
            HEAD,
            set(),
            {CLASSES}
            | {f"final_layer.linear.{k}, parts [1, 3, 5, 7] of 8" for k in ("weight", "bias")},
        ),
    ],
    ids=["Eq. 20", "everything that fits"],
)
def test_the_report_accounts_for_every_tensor(shape, what, new, gone):
    """kills: a tensor changed and not reported, reported and not changed, or dropped in silence."""
    model, expert = original(), target(shape)
    before = {name: x.clone() for name, x in expert.state_dict().items()}
    theirs = model.state_dict()
    report = convert(theirs, expert, what)
    assert set(report.reinitialised) == new
    assert set(report.dropped) == gone
    transferred = {ours for ours, _ in report.transferred}
    assert transferred == before.keys() - new
    assert {name for _, name in report.transferred} | {n.split(",")[0] for n in gone} == {*theirs}
    for name, x in expert.state_dict().items():
        assert torch.equal(x, before[name]) == (name in new), name
    said = str(report).splitlines()
    assert len(said) == len(transferred) + len(new) + len(gone)
    assert f"dropped        {CLASSES}" in said


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda t: t.pop("blocks.1.attn.qkv.bias"), r"missing: blocks\.1\.attn\.qkv\.bias"),
        (lambda t: t.pop(CLASSES), "missing: y_embedder"),
        (lambda t: t.update({"blocks.2.mlp.fc1.bias": torch.zeros(96)}), "unused: blocks.2.mlp"),
        (lambda t: t.update({"final_layer.linear.bias": torch.zeros(16)}), r"\[16\] for \[32\]"),
        (lambda t: t["pos_embed"].copy_(DiTNetwork(ZERO).trunk.positions), "not DiT's table"),
        (lambda t: t["pos_embed"].mul_(math.nan), "not DiT's table"),
    ],
)
def test_another_checkpoint_is_refused_before_anything_is_copied(spoil, said):
    """kills: strict=False by another name; a table in our own order, or of no formula, let by."""
    tensors, expert = original().state_dict(), target(SINGLE)
    before = {name: x.clone() for name, x in expert.state_dict().items()}
    spoil(tensors)
    with pytest.raises(CheckpointError, match=said):
        convert(tensors, expert)
    assert all(torch.equal(x, before[name]) for name, x in expert.state_dict().items())


def test_captions_cannot_come_from_imagenet():
    """kills: Transfer(captions=True) that silently leaves the text layers as drawn."""
    with pytest.raises(CheckpointError, match="no text projection"):
        convert(original().state_dict(), target(SINGLE), Transfer(captions=True))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"ema": {}, "args": argparse.Namespace(model="DiT-XL/2")}, "cannot read"),
        ({"ema": {"pos_embed": torch.zeros(1)}}, "more than tensors: ema"),
        ([torch.zeros(1)], "holds a list"),
        (b"no archive", "cannot read"),
        (None, "cannot read"),
    ],
)
def test_a_file_that_is_no_state_dict_is_refused(tmp_path, content, said):
    """kills: a pickle executed on loading, or a training checkpoint taken for the weights."""
    path = tmp_path / "DiT.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=said):
        read_checkpoint(path)


def test_the_published_checkpoints_layout_and_size():
    """kills: a key of the real file that the layout lacks, or another shape: 675.1M parameters, of
    which 1.15M are class embeddings and 0.29M positions."""
    xl = DiT(adaln=AdaLN.ZERO, text=None)
    with torch.device("meta"):
        shapes = source_shapes(layout(xl), DiTNetwork(xl).state_dict())
    assert shapes["final_layer.linear.weight"] == (32, 1152)
    assert shapes["blocks.27.adaLN_modulation.1.weight"] == (6912, 1152)
    assert shapes["pos_embed"] == (1, 256, 1152)
    assert len(shapes) == 1 + 2 * (1 + 2 + 2) + 28 * 10
    count = sum(math.prod(shape) for shape in shapes.values()) + 1001 * 1152
    assert count == 675_129_632


def test_positions_differ_from_ours_in_the_order_of_sines_alone():
    """kills: a formula that is right for width 4 or for one axis only."""
    torch.testing.assert_close(
        dit_positions(5, 24)[0], torch.tensor(sincos(5, 24)), rtol=1e-5, atol=1e-5
    )
    ours = DiTNetwork(replace(ZERO, image=10)).trunk.positions
    assert (ours - dit_positions(5, 24)).abs().max() > 0.5
    assert torch.equal(ours.sort(-1).values, dit_positions(5, 24).sort(-1).values)
