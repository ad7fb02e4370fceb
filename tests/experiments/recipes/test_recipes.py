"""The recipe of scale paper, as HDDM prints it, and what a seed has of its own."""

import pytest

from experiments.hddm import settings
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.stages.experts import Start
from experiments.stages.starts import PretrainedDiT
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.dit import XL, B
from modules.timesteps import Index, Rounded


def test_paper_begins_with_the_imagenet_dit_as_eq_20_says():
    """kills: experts from scratch, a final layer of zeros, Table 1's begun with anything."""
    paper = SCALES["paper"]
    for kind, time in ((FlowMatchingExpert, Rounded()), (DDPMExpert, Index())):
        expert = experts.expert(paper, kind, 0, 0)
        assert expert.start == Start(PretrainedDiT())
        shape = expert.network
        assert (shape.head_std, shape.text_std, shape.time, shape.size) == (0.02, 0.02, time, XL)
    table_1 = experts.expert(settings.matched(paper), FlowMatchingExpert, 0, 0)
    assert (table_1.start, table_1.network.size, table_1.optim.batch) == (None, B, 32)
    assert table_1.shards.source.root != expert.shards.source.root


def test_a_seed_has_its_own_split_clusters_and_judge():
    """kills: seeds that share a partition, so that an interval speaks of that one alone."""
    scales = [SCALES["small"].of_seed(seed) for seed in range(3)]
    assert scales[0] == SCALES["small"]
    stages = [(experts.shards(x).clusters, scores.judge(x), x.data.source) for x in scales]
    assert [clusters.seed for clusters, *_ in stages] == [0, 1, 2]
    assert [judge.seed for _, judge, _ in stages] == [0, 1, 2]
    assert [source.division for *_, source in stages] == [0, 1, 2]
    assert all(clusters.encoded.source == source for clusters, _, source in stages)
    assert all(judge.source == source for _, judge, source in stages)


def test_later_stages_of_video_have_the_seeds_digits_too():
    """kills: image-to-video experts trained on digits that their seed holds out."""
    scale = VIDEO_SCALES["small"].of_seed(2)
    assert scale.data.source.digits.division == 2
    assert {stage.source.digits.division for stage in scale.study.later} == {2}


@pytest.mark.parametrize("name", ["medium", "paper"])
def test_what_a_publisher_divided_stays_so(name):
    """kills: a copy of 11M latents for every seed; splits drawn where they are given."""
    scale = SCALES[name].of_seed(2)
    assert scale.data.source == SCALES[name].data.source
    assert scale.data.seed == (2 if name == "medium" else 0)


def test_the_footer_says_what_seeds_share():
    """kills: a line that was true of another scale."""
    small, medium, paper = (SCALES[name].drawn for name in ("small", "medium", "paper"))
    overlap = "has its own data split (all of the same records, so that splits overlap)"
    assert small.startswith(overlap)
    assert SCALES["scenes"].drawn.startswith("has its own data split, clusters and judge")
    assert medium.startswith("has its own clusters and judge")
    assert "data split, clusters, text encoder and judge are the same for all" in paper
    assert turned(SCALES["small"], {"data.by_seed": False}).drawn == paper
