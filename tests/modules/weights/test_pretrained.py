"""Weights taken over from another network: exactly those that Eq. 20 names, and no others."""

from dataclasses import replace

import pytest
import torch

from experiments.hddm import settings
from experiments.pipeline.store import Context
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages import experts as stages
from experiments.stages.experts import Start
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.dit import DiT, DiTNetwork, TextShape
from modules.text import Text
from modules.weights.checkpoint import CheckpointError
from modules.weights.pretrained import Transfer, transfer
from tests.helpers.stages import make

SHAPE = DiT(Size(8, 1, 2), 4, 2, 2, text=TextShape(3, 6, 5), text_std=0.02, head_std=0.02)
BLOCK = "trunk.blocks.0."
BODY = {
    *("trunk.patches.weight", "trunk.patches.bias", "trunk.positions"),
    *(f"trunk.time.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")),
    *("trunk.global_mlp.weight", "trunk.global_mlp.bias", f"{BLOCK}modulation.table"),
    *(f"{BLOCK}attention.{x}" for x in ("query.weight", "query.bias", "out.weight", "out.bias")),
    *(f"{BLOCK}attention.key_value.weight", f"{BLOCK}attention.key_value.bias"),
    *(f"{BLOCK}mlp.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")),
}
CAPTIONS = {
    *("text.weight", "text.bias", "null"),
    *(f"{BLOCK}cross.{x}" for x in ("query.weight", "query.bias", "out.weight", "out.bias")),
    *(f"{BLOCK}cross.key_value.weight", f"{BLOCK}cross.key_value.bias"),
}
HEAD = {"final.linear.weight", "final.linear.bias", "final.table"}
SMOKE = turned(SCALES["smoke"], {"expert.size": Size(8, 1, 2)})


def network(seed, shape=SHAPE):
    """A network whose every tensor differs from another seed's, positions included."""
    torch.manual_seed(seed)
    found = DiTNetwork(shape)
    for x in found.state_dict().values():
        x.add_(torch.randn(x.shape))
    return found


@pytest.mark.parametrize(
    ("what", "taken"),
    [
        (Transfer(), BODY),
        (Transfer(captions=True), BODY | CAPTIONS),
        (Transfer(head=True), BODY | HEAD),
        (Transfer(True, True), BODY | CAPTIONS | HEAD),
    ],
)
def test_exactly_the_named_tensors_are_taken(what, taken):
    """kills: a layer forgotten, as the time embedding or a table; the head or the text projection
    taken by default; cross-attention taken for a block's own; a tensor shared, not copied."""
    source, target = network(0), network(1)
    drawn = {name: x.clone() for name, x in target.state_dict().items()}
    assert set(drawn) == BODY | CAPTIONS | HEAD
    transfer(source, target, what)
    for name, x in target.state_dict().items():
        theirs = source.state_dict()[name]
        assert torch.equal(x, theirs if name in taken else drawn[name]), name
        assert x.data_ptr() != theirs.data_ptr()


@pytest.mark.parametrize(
    ("shape", "what", "said"),
    [
        (replace(SHAPE, patch=1), Transfer(), "trunk.patches.weight"),
        (replace(SHAPE, text=None), Transfer(captions=True), "cross.query.weight"),
        (replace(SHAPE, size=Size(8, 2, 2)), None, ""),
        (replace(SHAPE, text=None), Transfer(), ""),
    ],
)
def test_a_source_that_lacks_a_tensor_is_refused_before_any_is_copied(shape, what, said):
    """kills: half a transfer, a silent skip of a block, or a refusal of what is not asked for."""
    source, target = network(0, shape), network(1)
    before = {name: x.clone() for name, x in target.state_dict().items()}
    if said:
        with pytest.raises(CheckpointError, match=said):
            transfer(source, target, what)
        assert all(torch.equal(x, before[name]) for name, x in target.state_dict().items())
    else:
        transfer(source, target, Transfer() if what is None else what)
        assert torch.equal(
            target.state_dict()["trunk.patches.weight"], source.state_dict()["trunk.patches.weight"]
        )


@pytest.mark.parametrize(("text_std", "alive"), [(0.02, True), (0.0, False)])
def test_a_zero_text_projection_never_learns(text_std, alive):
    """kills: the table's statement that a projection at zero leaves the captions unread."""
    torch.manual_seed(0)
    target = DiTNetwork(replace(SHAPE, text_std=text_std))
    transfer(network(0), target)
    optimiser = torch.optim.AdamW(target.parameters(), 1e-2, weight_decay=0.0)
    x, t, tokens = torch.randn(4, 2, 4, 4), torch.rand(4), torch.randn(4, 3, 6)
    c = Text.of(tokens, torch.zeros(4, 5))
    first = target.text.weight.clone()
    for _ in range(4):
        optimiser.zero_grad()
        (target(x, t, c) - tokens.mean((1, 2))[:, None, None, None]).square().mean().backward()
        optimiser.step()
    assert torch.equal(target.text.weight, first) != alive
    other = Text.of(torch.randn(4, 3, 6), torch.zeros(4, 5))
    assert torch.equal(target(x, t, c), target(x, t, other)) != alive


def test_an_expert_begins_with_the_trained_weights_of_its_source(store, monkeypatch):
    """kills: a start from the untrained source, a transfer undone by drawing again, a head taken,
    deviations of the recipe in place of Eq. 20's; a source that is no input or not in the key."""
    source = replace(settings.paired(SMOKE, DDPMExpert, 0), clusters=(1, 2))
    plain = experts.expert(SMOKE, FlowMatchingExpert, 0, 0)
    new = replace(plain.network, text_std=0.02, head_std=0.02)
    stage = replace(plain, network=new, start=Start(source))
    make(store, source)
    begun = []

    def watched(stages, folders, context, *rest):
        state = stages[0].begun(context.store).network.state_dict()
        begun.append({name: x.clone() for name, x in state.items()})

    monkeypatch.setattr(stages, "train", watched)
    stage.make(store.root, Context(store, device="cpu"))
    theirs, drawn = source.load(store).network.state_dict(), stage.build().network.state_dict()
    for name, x in begun[0].items():
        assert torch.equal(x, theirs[name] if Transfer().takes(name) else drawn[name]), name
    assert not torch.equal(
        begun[0]["trunk.patches.weight"], source.build().network.trunk.patches.weight
    )
    for name in ("final.linear.weight", "text.weight"):
        assert 0.01 < begun[0][name].std() < 0.03
    assert source in stage.inputs()
    assert stage.shards in stage.inputs()
    keys = {
        plain.key,
        stage.key,
        replace(stage, start=Start(source, Transfer(head=True))).key,
        replace(stage, start=Start(replace(source, seed=1))).key,
    }
    assert len(keys) == 4
