"""The recipe of scale paper, as HDDM prints it."""

from experiments.hddm import settings
from experiments.recipes import experts
from experiments.recipes.images import SCALES
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
