"""Experts asked all at once, and few of them on the device: the ensemble's own bits."""

import pytest
import torch

from modules.blocks import Size
from modules.dispatch import Dispatched, in_turn
from modules.dit import DiT, TextShape
from modules.ensemble import Ensemble
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import Epsilon, Velocity
from modules.recorded import WatchedSelection
from modules.sampling import starting_noise
from modules.schedules import Cosine, Linear
from modules.selection import Full, Top
from modules.solvers import Euler
from modules.text import Text
from modules.weights.residency import Residents

K, CPU = 5, torch.device("cpu")
SHAPE = DiT(Size(8, 1, 2), 4, 1, 2, text=TextShape(3, 6, 6), text_std=0.5, head_std=0.5)
KINDS = [(Epsilon(), Cosine()), (Velocity(), Linear())]


def router(x, t, c):
    """A distribution that differs from row to row and from time to time."""
    logits = x.flatten(1)[:, :K] * 3 + torch.sin(7 * t)[:, None] * torch.arange(K)
    return logits.softmax(1)


@pytest.fixture(scope="module")
def experts():
    torch.manual_seed(0)
    return [Expert(SHAPE.build().eval(), *KINDS[k % 2]) for k in range(K)]


@pytest.fixture(scope="module")
def text():
    g = torch.Generator().manual_seed(1)
    return Text.of(torch.randn(6, 3, 6, generator=g), torch.randn(6, 6, generator=g))


def drawn(ensemble, text):
    noise = starting_noise(range(6), (1, 4, 4))
    with torch.inference_mode():
        return Euler().draw(ensemble, text, 2.0, noise, 5, lambda _: torch.empty(0))


@pytest.mark.parametrize("selection", [Top(1), Top(2), Full()], ids=str)
def test_a_dispatched_ensemble_is_the_ensemble_to_the_bit(experts, text, selection):
    """Answers that come back in another order too: they are added in that of the experts.

    kills: rows of another expert, sums in the order of the answers, one weight for all rows.
    """
    made = experts, router, selection
    expected = drawn(Ensemble(*made, guard=Guard(t_max=0.95)), text)

    def backwards(ensemble, questions):
        return in_turn(ensemble, dict(reversed(questions.items())))

    for ask in (in_turn, backwards):
        found = drawn(Dispatched(*made, guard=Guard(t_max=0.95), ask=ask), text)
        assert torch.equal(found, expected)


def test_only_the_selected_are_asked_and_all_weights_are_seen(experts, text):
    """kills: an expert of weight zero asked; weights watched after the experts, or in part."""
    told = []

    def ask(ensemble, questions):
        _, w = told[-1]
        assert sorted(questions) == w.sum(0).nonzero().flatten().tolist()
        assert [len(q.x) for q in questions.values()] == (w > 0).sum(0)[[*questions]].tolist()
        return in_turn(ensemble, questions)

    watched = WatchedSelection(Top(2), lambda t, p, w: told.append((t, w)))
    drawn(Dispatched(experts, router, watched, guard=Guard(t_max=0.95), ask=ask), text)
    assert [float(t[0]) for t, _ in told] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    assert all(w.shape == (12, K) and torch.allclose(w.sum(1), torch.ones(12)) for _, w in told)


@pytest.mark.parametrize("most", [1, 2, 3, K])
def test_few_residents_draw_the_same(experts, text, most):
    """kills: more on the device than it holds; weights of another expert; a stale copy."""
    residents = Residents(experts, most, CPU)
    made = experts, router, Full()
    expected = drawn(Ensemble(*made, guard=Guard(t_max=0.95)), text)
    found = drawn(Dispatched(*made, guard=Guard(t_max=0.95), ask=residents), text)
    assert torch.equal(found, expected)
    assert len(residents.states) == most
    # All K are asked at each of 5 steps: the first brings K, every later one those that lack.
    assert residents.brought == K + 4 * (K - most)


def test_what_is_there_is_asked_first_and_the_oldest_makes_room(experts):
    """kills: the one that is needed next dropped for the one that is needed now; the newest
    dropped; an expert that nobody selected brought."""
    residents = Residents(experts, 2, CPU)
    order = []
    ensemble = Dispatched(experts, router, Full(), guard=Guard(t_max=0.95))
    real = residents._resident
    residents._resident = lambda k: order.append(k) or real(k)
    x, t = torch.zeros(1, 1, 4, 4), torch.full((1,), 0.5)
    c = Text.of(torch.zeros(1, 3, 6), torch.zeros(1, 6))
    for asked in ([0, 1], [1, 2], [0, 2], [2]):
        residents(ensemble, dict.fromkeys(asked, (x, t, c)))
    assert order == [0, 1, 1, 2, 2, 0, 2]
    assert residents.brought == 4
    assert [*residents.states] == [0, 2]


def test_a_device_holds_at_least_one(experts):
    """kills: a loop that never ends."""
    with pytest.raises(ValueError, match="at least one"):
        Residents(experts, 0, CPU)
