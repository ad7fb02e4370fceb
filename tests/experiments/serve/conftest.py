"""A published ensemble of untrained experts, large enough that memory can be counted."""

import pytest
import torch

from datamodules.encoders.encoder import PixelLatents, TinyClipText
from experiments.stages import publishable
from modules.blocks import AdaLN, Size
from modules.dit import DiT, TextShape
from modules.objectives import Epsilon, Velocity
from modules.routing import RouterNetwork
from modules.schedules import Cosine, Linear
from modules.weights.cards import ExpertCard, Origin, RouterCard
from modules.weights.published import save_expert, save_router

K = 3
TEXT = TinyClipText(6, 8)
KINDS = [(Epsilon(), Cosine()), (Velocity(), Linear()), (Epsilon(), Cosine())]


@pytest.fixture(scope="package")
def published(tmp_path_factory):
    """K experts of two objectives, of 94 MB each, and a router, in folders of one place."""
    place = tmp_path_factory.mktemp("published")
    come = Origin(
        "by hand", K, publishable.written(PixelLatents()), publishable.written(TEXT), "none", "CC0"
    )
    size = Size(576, 4, 4)
    shape = DiT(size, 8, 1, 4, text=TextShape(6, 8, 8), text_std=0.5, head_std=0.1)
    torch.manual_seed(0)
    for k, (objective, schedule) in enumerate(KINDS):
        card = ExpertCard(objective, schedule, (k,), 1, come)
        save_expert(place / f"expert_{k}", shape.build(), card)
    network = RouterNetwork(DiT(Size(16, 1, 2), 8, 1, 4, AdaLN.ZERO, text=None), K, 8)
    torch.nn.init.normal_(network.head[-1].weight)
    torch.nn.init.normal_(network.head[-1].bias)
    save_router(place / "router", network, RouterCard(Linear(), 8, 1.0, come))
    return place
