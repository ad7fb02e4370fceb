"""Figs 3 and 4 of Paris 2.0 say what the configs say."""

from dataclasses import replace

import pytest

from experiments.drawing.style import Box
from experiments.measures.resources import parameters
from experiments.paris2 import diagrams, table1
from experiments.recipes import experts
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from modules.denoising import FlowMatchingExpert
from modules.mmdit import MMSize

SMALL = turned(VIDEO_SCALES["small"], {"expert.size": MMSize(96, 2, 3, 3), "train.accumulate": 7})


@pytest.fixture
def words(monkeypatch):
    """What stands in the boxes and beside them."""
    said, draw, write = [], Box.draw, diagrams.write

    def boxed(self, axes, words, *rest, **named):
        said.append(words)
        draw(self, axes, words, *rest, **named)

    def written(axes, words, *rest):
        said.append(words)
        write(axes, words, *rest)

    monkeypatch.setattr(Box, "draw", boxed)
    monkeypatch.setattr(diagrams, "write", written)
    return said


def test_exchanges_are_counted_from_the_network_and_the_recipe():
    """kills: one kind of block left out, accumulated batches that exchange nothing, gradients
    reduced at each of them, a boundary for every device, a DDM that exchanges."""
    monolith = experts.monolith(SMALL, FlowMatchingExpert, 0)
    made = diagrams.patterns(monolith.network, monolith.optim, 4)
    assert [x.name for x in made] == ["Data", "Pipeline", "Tensor", "Context", "DDM"]
    assert [x.exchanges for x in made] == [1, 2 * 3 * 7, 4 * 5 * 7, 4 * 5 * 7, 0]
    counted = diagrams.size(4 * parameters(monolith.network))
    assert counted in made[0].what


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 bytes"), (999, "999 bytes"), (4e6, "4 MB"), (4.75e10, "47.5 GB")]
)
def test_sizes_have_a_unit(count, said):
    """kills: a unit too small or too large by a thousand."""
    assert diagrams.size(count) == said


def test_fig_3_says_what_a_whole_training_exchanges(words):
    """kills: another network's steps, devices that are not as many as clusters."""
    monolith = experts.monolith(SMALL, FlowMatchingExpert, 0)
    assert diagrams.communication(monolith, 3).png.startswith(b"\x89PNG")
    assert "140 a step,\n140,000 in 1,000 steps" in words
    assert [w for w in words if w.startswith("expert")] == ["expert 0", "expert 1", "expert 2"]
    assert words.count("device 2") == 4


def test_fig_4_has_a_lane_for_each_expert_and_what_the_router_reads(words):
    """kills: lanes typed, a router that reads what it does not, another strategy's weights."""
    sample = table1.rows(SMALL, 0)[3].measured.pictures
    assert diagrams.inference(sample).png.startswith(b"\x89PNG")
    said = "\n".join(words)
    assert said.count(": velocity,") == len(sample.experts) == 3
    assert "weights: Top(k=2)" in said
    assert "p(k\\,|\\,x_t, t, c, f)" in said
    assert "Euler, 25 steps" in said
    words.clear()
    blind = replace(sample.router, frame_feature=None, reads_text=False)
    diagrams.inference(replace(sample, router=blind))
    assert not any("first frame" in w for w in words)
    assert any("p(k\\,|\\,x_t, t)" in w for w in words)
