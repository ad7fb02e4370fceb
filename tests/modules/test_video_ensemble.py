"""The central theorem in five dimensions, and the router of clips with and without a frame."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from modules.blocks import AdaLN, Size
from modules.dit import DiT, DiTNetwork, Trunk
from modules.ensemble import Ensemble, counting
from modules.expert import Expert
from modules.objectives import Velocity
from modules.positions import position_table
from modules.routing import Router, RouterNetwork
from modules.schedules import Cosine, Linear
from modules.selection import Full, Top
from modules.training import Optim
from tests.helpers.mixture import OBJECTIVES, SCHEDULES, Mixture, Optimal, randn, relative
from tests.helpers.small_video import condition, enliven, given

CLIP = (2, 3, 2, 2)
N, D, K = 120, 24, 4


def data():
    """Four anisotropic components over clips, of unequal weight."""
    root = 0.15 * randn(K, D, D, seed=21)
    means = 0.5 * randn(K, D, seed=22)
    weights = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    return Mixture(weights, means, root @ root.mT + 0.1 * torch.eye(D).double())


DATA = data()


class Clips(nn.Module):
    """A network of rows, asked about clips."""

    def __init__(self, rows):
        super().__init__()
        self.rows = rows

    def forward(self, x, t, c=None):
        assert x.shape[1:] == CLIP
        return self.rows(x.flatten(1), t).view_as(x)


def experts(shift=0):
    kinds = [(OBJECTIVES[k], SCHEDULES[(k + shift) % 4]) for k in range(K)]
    return [Expert(Clips(Optimal(DATA, k, *kind)), *kind) for k, kind in enumerate(kinds)]


def points(path):
    t = torch.linspace(0.03, 0.97, N, dtype=torch.float64)
    x = path.noise(DATA.sample(N, seed=3)[0], randn(N, D, seed=9), t)
    return x.view(N, *CLIP), t


def router(path):
    return lambda x, t, c: DATA.posterior(path, x.flatten(1), t)


@pytest.mark.parametrize(("shift", "path"), [(0, Linear()), (3, Linear()), (1, Cosine())])
def test_mixed_experts_of_video_are_the_mixtures_velocity(shift, path):
    """kills: alpha, sigma or a weight broadcast over frames or pixels instead of the batch."""
    x, t = points(path)
    found = Ensemble(experts(shift), router(path), Full(), path)(x, t, None)
    exact = DATA.velocity(path, x.flatten(1), t).view_as(x)
    assert found.shape == (N, *CLIP)
    assert relative(found, exact) < 1e-9
    one = Ensemble(experts(shift), router(path), Top(1), path)(x, t, None)
    assert relative(one, exact) > 1e-3


@pytest.mark.parametrize("k", [1, 2, 4])
def test_only_clips_with_weight_are_evaluated(k):
    """kills: every expert asked about every clip, and masked afterwards."""
    (x, t), mixed = points(Linear()), experts()
    with counting([expert.network for expert in mixed]) as count:
        Ensemble(mixed, router(Linear()), Top(k))(x, t, None)
        assert count() == k * N


def test_a_clip_goes_to_its_expert_with_its_own_first_frame():
    """kills: first frames of other rows, or of the first rows of the batch."""
    n, frames = 6, randn(6, 2, 1, 2, 2, seed=4)
    chosen = torch.tensor([2, 0, 1, 1, 2, 0])
    first = replace(given(keep=(True,) * 6), latent=frames)
    c = replace(condition(n), first=first)
    networks = [lambda x, t, c, k=k: k * 100 + c.first.latent.expand_as(x) for k in range(3)]
    mixed = [Expert(network, Velocity(), Linear()) for network in networks]
    p = nn.functional.one_hot(chosen, 3).double()
    found = Ensemble(mixed, lambda *_: p, Top(1))(randn(n, *CLIP), torch.full((n,), 0.5), c)
    torch.testing.assert_close(found, 100.0 * chosen.view(-1, 1, 1, 1, 1) + frames.expand(n, *CLIP))


SHAPE = DiT(Size(16, 2, 2), image=4, channels=3, patch=2, adaln=AdaLN.ZERO, text=None, frames=3)
X, T = randn(2, 3, 3, 4, 4, seed=6).float(), torch.tensor([0.3, 0.8])


def routing(pooled=None, frame_feature=None, shape=SHAPE):
    return enliven(RouterNetwork(shape, 5, pooled, frame_feature))


def sinusoid(position, width):
    angle = position * 10_000.0 ** (-np.arange(width // 2) / (width // 2))
    return np.concatenate([np.cos(angle), np.sin(angle)])


def test_positions_tell_frames_and_places():
    """kills: positions of places alone, frames and places exchanged; pictures' moved."""
    found = Trunk(SHAPE).positions.view(3, 2, 2, 16).numpy()
    for frame, row, column in np.ndindex(3, 2, 2):
        place = np.concatenate([sinusoid(column, 8), sinusoid(row, 8)])
        np.testing.assert_allclose(
            found[frame, row, column], place + sinusoid(frame, 16), atol=1e-5
        )
    picture = Trunk(replace(SHAPE, frames=None))
    assert torch.equal(picture.positions, position_table(2, 16))


def test_frames_reach_the_trunk_in_their_places():
    """kills: frames mixed with channels or the batch on the way to tokens."""
    trunk = Trunk(SHAPE)
    h = trunk.embed(X).view(2, 3, 4, 16) - trunk.positions.view(1, 3, 4, 16)
    alone = Trunk(replace(SHAPE, frames=None))
    alone.patches = trunk.patches
    for frame in range(3):
        expected = alone.embed(X[:, :, frame]) - alone.positions
        torch.testing.assert_close(h[:, frame], expected, atol=1e-5, rtol=1e-5)


def test_the_router_knows_the_order_of_frames():
    """kills: a router that cannot tell a clip from the same played backwards."""
    network = routing()
    with torch.no_grad():
        assert (network(X.flip(2), T) - network(X, T)).abs().max() > 1e-3
        network.trunk.positions.zero_()
        torch.testing.assert_close(network(X.flip(2), T), network(X, T), atol=1e-5, rtol=1e-5)


def test_one_router_serves_with_and_without_a_first_frame():
    """kills: a dropped frame that is read, zeros for the learned vector, one for all rows."""
    network, c, first = routing(pooled=7, frame_feature=6), condition(), given(keep=(True, False))
    with torch.no_grad():
        without, some = network(X, T, c), network(X, T, replace(c, first=first))
        assert torch.equal(some[1], without[1])
        assert (some - without)[0].abs().max() > 1e-3
        learned = replace(first, feature=network.no_frame.expand(2, -1), keep=first.keep | True)
        assert torch.equal(network(X, T, replace(c, first=learned)), without)
        other = replace(first, latent=first.latent + 1)
        assert torch.equal(network(X, T, replace(c, first=other)), some)


def test_frames_and_captions_are_two_evidences():
    """kills: a frame that replaces the caption, or is dropped with it for guidance."""
    network = routing(pooled=7, frame_feature=6)
    c = replace(condition(), first=given())
    null = c.null()
    assert null.first is c.first
    with torch.no_grad():
        answers = [network(X, T, some) for some in (c, null, replace(c, first=None))]
    for i, one in enumerate(answers):
        assert all((one - other).abs().max() > 1e-3 for other in answers[:i])


def test_a_router_that_is_not_shown_frames_ignores_them():
    """kills: a first frame read by a router of text-to-video, or parameters for it."""
    network, c = routing(pooled=7), condition()
    assert torch.equal(network(X, T, replace(c, first=given())), network(X, T, c))
    names = network.state_dict().keys()
    assert not [name for name in names if "frame" in name]


def test_a_router_learns_clips_apart():
    """kills: a loss without gradient for the frames, or a label of another row."""
    torch.manual_seed(0)
    router = Router(SHAPE, Optim(60, 16, 5e-3), experts=2, text_dropout=0.0)
    router.log_dict = lambda *_, **__: None
    optimizer = torch.optim.AdamW(router.parameters(), 5e-3)
    for step in range(60):
        cluster = torch.arange(16) % 2
        x0 = 0.3 * randn(16, 3, 3, 4, 4, seed=step).float()
        x0[:, :, -1] += 2.0 * cluster.view(-1, 1, 1, 1)  # the last frame tells
        tokens, pooled = torch.zeros(16, 1, 1), torch.zeros(16, 1)
        batch = {"x0": x0, "tokens": tokens, "pooled": pooled, "cluster": cluster}
        loss = router.training_step({**batch, "step": torch.tensor(step)}, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    p = router(x0, torch.full((16,), 0.05))
    assert p.sum(1).tolist() == pytest.approx([1.0] * 16)
    assert torch.equal(p.argmax(1), cluster)


def test_an_expert_of_video_is_no_dit():
    """kills: an expert that reads frames as pictures."""
    with pytest.raises(ValueError, match="an MMDiT"):
        DiTNetwork(SHAPE)
