"""FLOPs, bytes and days against sums by hand; what trained stages cost; Table 2 at smoke."""

import csv
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from experiments.hddm import table2, table4
from experiments.measures.resources import (
    DAY,
    HDDM_XL,
    Computed,
    NumberFormat,
    Recipe,
    Spent,
    checkpointed_bytes,
    expert_flops,
    largest_batch,
    router_flops,
    saved_bytes,
    static_bytes,
    training_flops,
    utilisation,
)
from experiments.pipeline.launch import local
from experiments.recipes.images import SCALES
from modules.blocks import AdaLN, Size
from modules.dit import XL, DiT, DiTNetwork, TextShape
from tests.helpers.stages import make, serial

TEXT = TextShape(length=5, width=12, pooled=3)
TINY = DiT(Size(16, 2, 2), image=8, channels=3, patch=2, text=TEXT, frequencies=32)
SMOKE = SCALES["smoke"]


def forward_products(shape, pooled=None, classes=None, context=True):
    """Multiply-adds of one forward pass, matrix by matrix, and those whose input needs no
    gradient."""
    d, n, text = shape.size.width, shape.tokens, shape.text
    patches = n * shape.channels * shape.patch**2 * d
    first = patches + shape.frequencies * d  # data; the null embedding, in the text, is learned
    total = first + d * d
    if shape.adaln is AdaLN.SINGLE:
        total += 6 * d * d
    if text is not None:
        total += text.length * text.width * d
    rows = n + (classes is not None)
    block = 4 * rows * d * d + 2 * rows * rows * d + 8 * rows * d * d
    if shape.adaln is AdaLN.ZERO:
        block += 6 * d * d
    if text is not None:
        block += 2 * rows * d * d + 2 * text.length * d * d + 2 * rows * text.length * d
    total += shape.size.depth * block
    if classes is not None:
        return total + d * d + d * classes, first
    total += n * d * shape.patch**2 * shape.channels
    return total + (2 * d * d if shape.adaln is AdaLN.ZERO else 0), first


@pytest.mark.parametrize("adaln", list(AdaLN))
def test_expert_flops_are_the_sum_by_hand(adaln):
    """kills: a multiply-add as 1, the forward pass alone, a batch of 2, attention left out."""
    total, first = forward_products(replace(TINY, adaln=adaln))
    assert expert_flops(replace(TINY, adaln=adaln)) == 2 * (3 * total - first)


def test_router_flops_are_the_sum_by_hand():
    """kills: the expert's network counted for the router, its class token or head left out."""
    shape = replace(TINY, adaln=AdaLN.ZERO, text=None)
    total, first = forward_products(shape, classes=8)
    assert router_flops(shape, 8, None) == 2 * (3 * total - first)


def test_flops_of_xl_are_near_six_times_its_parameters_a_token():
    """kills: a count off by a factor: 6 N D, of the parameters that all 256 tokens pass."""
    d, depth = XL.width, XL.depth
    passed = depth * (12 + 2) * d * d  # attention, MLP, and cross-attention's query and output
    assert expert_flops(DiT(XL)) == pytest.approx(6 * 256 * passed, rel=0.2)


class Chain(nn.Module):
    """Two linear layers and a GELU: what autograd keeps is the input, and both sides of GELU."""

    def __init__(self, shape):
        super().__init__()
        self.first, self.second = nn.Linear(192, 32), nn.Linear(32, 8)

    def forward(self, x, t, c):
        return self.second(nn.functional.gelu(self.first(x.flatten(1))))


def test_saved_bytes_are_what_autograd_keeps(monkeypatch):
    """kills: a tensor that two operations keep counted twice, weights counted, or elements for
    bytes."""
    monkeypatch.setattr(DiT, "build", lambda shape: Chain(shape))
    shape = replace(TINY, frequencies=30)  # not in the cache
    # x, both sides of the GELU, and the answer, which the square keeps.
    kept = 192 + 32 + 32 + 8
    assert saved_bytes(shape, 7, NumberFormat.SINGLE) == 4 * 7 * kept
    half = 7 * (2 * (192 + 32 + 32) + 4 * 8) + 2 * 32 * 8  # the first weight is not needed again
    assert saved_bytes(shape, 7, NumberFormat.MIXED) == half


def test_saved_bytes_hold_no_scores_and_grow_with_the_batch():
    """kills: a matrix of attention scores kept, or the batch ignored."""
    short, long = (replace(TINY, image=side, text=None) for side in (16, 64))
    tokens = long.tokens / short.tokens
    one, many = (saved_bytes(s, 4, NumberFormat.SINGLE) for s in (short, long))
    assert many < 1.01 * tokens * one
    a, b, c = (saved_bytes(TINY, batch, NumberFormat.SINGLE) for batch in (1, 2, 5))
    assert c - b == 3 * (b - a) > 0


def test_checkpointing_keeps_one_state_a_block():
    """kills: a state of half the tokens, or all blocks' activations kept."""
    deep = replace(TINY, size=Size(16, 9, 2))
    shallow = replace(TINY, size=Size(16, 1, 2))
    kept = [checkpointed_bytes(shape, 6, NumberFormat.SINGLE) for shape in (shallow, deep)]
    assert kept[0] == saved_bytes(shallow, 6, NumberFormat.SINGLE)
    assert kept[1] - kept[0] == 8 * 4 * 6 * 16 * 16
    assert kept[1] < saved_bytes(deep, 6, NumberFormat.SINGLE)


def test_static_bytes_count_five_copies():
    """kills: gradients or one moment left out, or the average kept where there is none."""
    trained = sum(p.numel() for p in DiTNetwork(TINY).parameters())
    assert static_bytes(TINY) == 20 * trained
    assert static_bytes(TINY, averaged=False) == 16 * trained


def test_the_largest_batch_is_the_largest():
    """kills: off by one, or the static part forgotten."""
    room = static_bytes(TINY) + saved_bytes(TINY, 5, NumberFormat.MIXED)
    assert largest_batch(TINY, room, NumberFormat.MIXED) == 5
    assert largest_batch(TINY, room - 1, NumberFormat.MIXED) == 4
    assert largest_batch(TINY, static_bytes(TINY), NumberFormat.MIXED) == 0


def test_training_flops_are_samples_times_flops():
    """kills: the experts counted once, or the router's samples taken for its steps."""
    router = replace(TINY, adaln=AdaLN.ZERO, text=None)
    recipe = Recipe(TINY, 3, 10, 4, router, None, 77, 50, NumberFormat.SINGLE)
    experts, routing = training_flops(recipe)
    assert experts == 3 * 10 * 4 * expert_flops(TINY)
    assert routing == 77 * router_flops(router, 3, None)
    found = Computed(recipe).measure(None, None)
    assert (found["seen"], found["epochs"]) == (120, 2.4)
    assert found["flops"] == experts + routing


def test_utilisation_of_a_full_device_is_one():
    """kills: hours for days, or the inverse."""
    assert utilisation(2 * DAY * 5e12, 2, 5e12) == pytest.approx(1)


def test_the_papers_recipe_is_the_papers():
    """kills: a batch shared among the experts, or epochs of one expert alone."""
    found = Computed(HDDM_XL).measure(None, None)
    assert found["seen"] == 512e6
    assert found["epochs"] == pytest.approx(512 / 11)
    assert round(found["parameters"] / 1e6, 2) == 605.97


def test_stages_cost_what_their_recipe_says(store):
    """kills: seconds of one expert for all, the router's added to the experts', FID recomputed."""
    rows = table2.rows(SMOKE, 0)
    stages = [row.measured for row in rows if table2.HERE in row.names.values()]
    seconds = {stage: 2.0 + i for i, stage in enumerate(stages[0].experts)}
    seconds[stages[0].router] = 100.0
    make(store, stages[0].router.shards.clusters)
    fake = SimpleNamespace(provenance=lambda x: {"seconds": seconds[x]}, file=store.file)
    score = SimpleNamespace(read=lambda store: {"fid": 3.5, "kid": 1.0})
    spent = replace(stages[0], score=score)
    found = spent.measure(None, SimpleNamespace(store=fake))
    assert found["core_seconds"] == sum(range(2, 10))
    assert found["expert_seconds"] == found["core_seconds"] / 8
    assert (found["router_seconds"], found["fid"]) == (100, 3.5)
    assert found["pictures"] == SMOKE.data.source.train
    assert found["seen"] == SMOKE.train.steps * SMOKE.train.batch


def test_both_pipelines_are_scored_as_in_table_4():
    """kills: the paper's row from another router or reading, ours in its place, 8FM converted."""
    own = {tuple(r.names.values()): r.measured for r in table2.rows(SMOKE, 0) if r.measured}
    table_4 = {tuple(r.names.values())[:4]: r.measured for r in table4.rows(SMOKE, 0)}
    pipelines = {"this scale": ("text-free", "literal §8.3.4")}
    pipelines["this scale, text-aware, corrected"] = ("text-aware", "corrected")
    for recipe, (form, how) in pipelines.items():
        for method, mix in (("Ours (Homo)", "8FM"), ("Ours (Hetero)", "2DDPM:6FM")):
            there = table_4[form, mix, "aligned", "" if mix == "8FM" else how]
            assert own[method, recipe].score.pictures == there.pictures


def test_spent_waits_for_what_it_reads():
    """kills: an expert, the router or the score that is not an input, hence not made before."""
    rows = table2.rows(SMOKE, 0)
    homo, hetero = (row.measured for row in rows if table2.HERE in row.names.values())
    assert isinstance(homo, Spent)
    assert {*homo.experts, homo.router, homo.score} == set(homo.inputs())
    kinds = [expert.module.__name__[:2] for expert in hetero.experts]
    assert kinds == ["DD", "Fl", "Fl", "DD", "Fl", "Fl", "Fl", "Fl"]
    assert len(set(homo.experts) & set(hetero.experts)) == 6


def test_printed_ratios_are_recomputed():
    """kills: a ratio upside down, days and data exchanged, or A40 and A100."""
    lines = " ".join([*table2.compute(HDDM_XL), *table2.size(HDDM_XL)])
    for said in (
        "1176 / 72 = 16.3",
        "158 / 11 = 14.4",
        "153.6M it is 14.0",
        "26.4% fewer",
        "32.1%",
    ):
        assert said in lines
    a40, a100 = (float(x) for x in re.findall(r"at (\d+\.\d)% of", lines))
    assert a40 / a100 == pytest.approx(312 / 149.7, rel=0.01)
    assert 40 < a40 < 60


@pytest.mark.slow
def test_table_at_smoke(tmp_path, monkeypatch):
    """kills: a row lost, a paper's number in another row, seconds that change between two runs."""
    monkeypatch.setattr(local, "map", serial)
    dials = ["--scale.train.steps=4", "--scale.router.train.steps=2", "--scale.judge.steps=2"]
    arguments = ["--scale", "smoke", "--seeds", "1", *dials]
    places = ["--store", str(tmp_path / "store"), "--results", str(tmp_path / "results")]
    files, threads = [], torch.get_num_threads()
    for _ in range(2):
        assert table2.main(table2.TABLE, arguments=[*arguments, *places]) == 0
        files.append(next(tmp_path.glob("results/*/table2.csv")).read_bytes())
    assert files[0] == files[1]
    assert torch.get_num_threads() == threads
    lines = list(csv.DictReader(files[0].decode().splitlines()))
    named = [(line["Method"], line["Recipe"]) for line in lines]
    here = [("Ours (Homo)", "this scale"), ("Ours (Hetero)", "this scale")]
    here += [(method, "this scale, text-aware, corrected") for method, _ in here]
    paper = [("Ours (Homo)", "§6.2, XL/2"), ("Ours (Hetero)", "§6.2, XL/2")]
    assert named == [("DDM", "printed"), *paper, *here]
    assert [line["FID-50K (paper)"] for line in lines] == ["5.5", "12.45", "11.88", *[""] * 4]
    assert [bool(line["FID (digit features)"]) for line in lines] == [False] * 3 + [True] * 4
    assert all(float(line["Core-seconds an expert"]) > 0 for line in lines[3:])
