"""Guidance in closed form, and trajectories against a plain sum over experts, halves and rows."""

import functools
import itertools

import pytest
import torch

from modules.blocks import AdaLN, Size
from modules.dit import DiT, TextShape
from modules.ensemble import Ensemble, Uniform, counting
from modules.expert import Expert
from modules.guard import Guard
from modules.guidance import Guided, Within
from modules.objectives import Epsilon, Velocity
from modules.routing import Oracle, Probabilities, RouterNetwork
from modules.sampling import euler, uniform
from modules.schedules import Cosine, Linear, expand
from modules.selection import Full, Only, Stochastic, Top
from modules.solvers import DDIM, Euler
from modules.text import Text
from tests.helpers.mixture import randn

ROWS, K, STEPS, SCALE = 120, 4, 4, 2.5
TEXT = TextShape(length=10, width=64, pooled=64)
GUARD = Guard(t_max=0.95)


class Field:
    """u = x + pooled where the caption is kept; it counts the rows that it is asked about."""

    def __init__(self):
        self.rows = 0

    def __call__(self, x, t, c):
        self.rows += len(x)
        return x if c is None else x + c.pooled * c.keep[:, None]


def test_guidance_departs_from_the_null_caption():
    """kills: scale - 1 for scale, the two halves exchanged, or a null half that sees captions."""
    x, t, pooled = randn(4, 3), torch.ones(4), randn(4, 3, seed=1)
    c = Text.of(randn(4, 2, 3), pooled)
    for scale in (0.0, 0.5, 1.0, 4.0, 7.5):
        field = Field()
        torch.testing.assert_close(Guided(field, scale)(x, t, c), x + scale * pooled)
        assert field.rows == (4 if scale == 1 else 8)
    assert c.keep.all()


def test_guidance_without_captions():
    """kills: guidance that silently does nothing; scale 1 needs no caption."""
    x, t = randn(2, 3), torch.ones(2)
    assert torch.equal(Guided(Field(), 1.0)(x, t, None), x)
    with pytest.raises(ValueError, match=r"scale 7\.5"):
        Guided(Field(), 7.5)(x, t, None)


def test_guidance_within_an_interval_of_times():
    """kills: an interval turned about, its ends left out though rounded, a null half evaluated
    where no row is guided, a row guided by another row's time."""
    c, x = Text.of(randn(5, 2, 3), randn(5, 3, seed=1)), randn(5, 3)
    t = torch.tensor([0.9, 0.7, 0.5, 0.2, 0.0], dtype=torch.float32)
    for low, high, guided in ((0.2, 0.7, [0, 1, 1, 1, 0]), (0, 1, [1] * 5), (0.3, 0.4, [0] * 5)):
        field = Field()
        u = Guided(field, Within(4.0, low, high))(x, t, c)
        scale = 1 + 3 * torch.tensor(guided, dtype=x.dtype)[:, None]
        torch.testing.assert_close(u, x + scale * c.pooled)
        assert field.rows == (10 if any(guided) else 5)
    with pytest.raises(ValueError, match=r"from t = 0\.7 to 0\.2"):
        Within(2.0, 0.7, 0.2)


def alive(network, seed):
    """The network with every parameter drawn, so that nothing is zero by its start."""
    g = torch.Generator().manual_seed(seed)
    for parameter in network.eval().requires_grad_(False).parameters():
        parameter.copy_(0.07 * torch.randn(parameter.shape, generator=g))
    return network


FM, DDPM = (Velocity(), Linear()), (Epsilon(), Cosine())


def experts(*kinds, adaln=AdaLN.SINGLE):
    """An expert of pictures for each objective and schedule."""
    shape = DiT(Size(64, 2, 4), 8, 1, 4, adaln, TEXT)
    return [Expert(alive(shape.build(), k), *kind) for k, kind in enumerate(kinds)]


def router(pooled):
    shape = DiT(Size(64, 1, 4), 8, 1, 4, AdaLN.ZERO, text=None)
    return Probabilities(alive(RouterNetwork(shape, K, pooled), 9))


def start():
    g = torch.Generator().manual_seed(4)
    tokens = torch.randn(ROWS, TEXT.length, TEXT.width, generator=g)
    c = Text.of(tokens, torch.randn(ROWS, TEXT.pooled, generator=g))
    return torch.randn(ROWS, 1, 8, 8, generator=g), c


def plainly(ensemble, c, scale, fewest):
    """The guided field, by a call for every expert and half, with nothing remembered.

    fewest: rows of such a call. A matrix product of three rows or fewer rounds otherwise.
    """

    def half(x, t, c):
        w, u = ensemble.weights(x, t, c), torch.zeros_like(x)
        for k, expert in enumerate(ensemble.experts):
            rows = w[:, k].nonzero().squeeze(1)
            assert len(rows) == 0 or len(rows) >= fewest
            if len(rows):
                u_k = expert.velocity(x[rows], t[rows], c[rows], guard=ensemble.guard)
                u[rows] += expand(w[rows, k], u_k) * u_k
        return u

    def field(x, t):
        u = half(x, t, c)
        return u if scale == 1 else (null := half(x, t, c.null())) + scale * (u - null)

    return field


POSTERIORS = {
    "text-aware": router(TEXT.pooled),
    "text-free": router(None),
    "oracle": Oracle(torch.arange(ROWS) % K, K).at(range(ROWS)),
}


def drawn(kinds, posterior, selection, scale, fewest=4):
    """The same trajectory twice: as it is drawn, and plainly."""
    x, c = start()
    router, rule = POSTERIORS[posterior], selection.seeded(range(ROWS))
    ensemble = Ensemble(experts(*kinds), router, rule, guard=GUARD)
    with torch.inference_mode():
        ours = Euler().draw(ensemble, c, scale, x, STEPS, None)
        plain = euler(plainly(ensemble, c, scale, fewest), x, uniform(STEPS))
    assert (ours - x).abs().max() > 0.1
    return ours, plain


@functools.cache
def rows_round_alike():
    """Whether a row has the same bits among any number of rows above three, on this processor. On
    some a product of few rows is computed otherwise than one of many."""
    x, c = start()
    rows = torch.arange(ROWS).repeat(2)
    x, c, t = x[rows], c[rows], torch.linspace(0.1, 0.9, 2 * ROWS)
    networks = [expert.network for expert in experts(*[FM] * K)]
    with torch.inference_mode():
        for network in networks:
            whole = network(x, t, c)
            for n in range(4, 2 * ROWS):
                if not torch.equal(network(x[:n], t[:n], c[:n]), whole[:n]):
                    return False
    return True


@pytest.mark.parametrize(
    ("posterior", "selection"),
    [
        *itertools.product(
            ("text-aware", "text-free"), (Full(), Top(2), Top(1), Only(1), Stochastic(2))
        ),
        ("oracle", Full()),
    ],
    ids=str,
)
@pytest.mark.parametrize("scale", [1.0, SCALE])
def test_a_trajectory_has_the_bits_of_the_plain_one(posterior, selection, scale):
    """kills: keys and values of another row, expert or half; a row given another's answer; a sum
    in another order; a router that sees one caption for both halves."""
    ours, plain = drawn([FM] * K, posterior, selection, scale)
    assert (ours - plain).abs().max() <= (0 if rows_round_alike() else 1e-5)


@pytest.mark.parametrize("selection", [Full(), Top(2)], ids=str)
def test_converted_experts_differ_by_rounding_alone(selection):
    """kills: a converted expert asked about its rows at another row's time.

    A schedule's atan2 rounds the last few of a vector's times otherwise than the first, so that
    a time's bits depend on how many rows there are.
    """
    ours, plain = drawn([FM, DDPM, FM, DDPM], "text-aware", selection, SCALE, fewest=1)
    torch.testing.assert_close(ours, plain, rtol=1e-3, atol=1e-3)


def test_a_native_trajectory_has_the_bits_of_the_plain_one():
    """kills: captions remembered by the wrapped network, or not at all, in native sampling."""
    x, c = start()
    expert = experts(DDPM)[0]
    one = Ensemble([expert], Uniform(1), Only(0), guard=GUARD)

    def halves(x, t, c):
        u, null = expert.network(x, t, c), expert.network(x, t, c.null())
        return null + SCALE * (u - null)

    with torch.inference_mode():
        ours = DDIM().draw(one, c, SCALE, x, STEPS, None)
        plain = Ensemble([Expert(halves, expert.objective, expert.schedule)], Uniform(1), Only(0))
        plain = Ensemble(plain.experts, plain.router, plain.selection, guard=GUARD)
        assert torch.equal(ours, DDIM().draw(plain, c, 1.0, x, STEPS, None))


def test_text_is_read_once_and_every_row_evaluated_as_often():
    """kills: captions read at every step; fewer or more evaluations than two halves have."""
    x, c = start()
    expert = experts(FM)[0]
    read = []
    expert.network.text.register_forward_hook(lambda _, given, made: read.append(len(made)))
    with torch.inference_mode(), counting([expert.network]) as count:
        Euler().draw(Ensemble([expert], Uniform(1), Only(0)), c, SCALE, x, STEPS, None)
        assert count() == 2 * ROWS * STEPS
    assert read == [ROWS + 1]  # each caption, and the null one


@pytest.mark.parametrize("adaln", list(AdaLN))
def test_a_network_that_remembers_answers_to_the_bit(adaln):
    """kills: keys exchanged with values, a block given another block's, a stale page."""
    x, c = start()
    network, t = experts(FM, adaln=adaln)[0].network, torch.linspace(0.1, 0.9, ROWS)
    remembered = c.remembered()
    for rows in (slice(0, 8), slice(4, 20), slice(0, ROWS)):
        for given in (remembered, remembered.null()):
            plain = c.null() if given is not remembered else c
            ours = network(x[rows], t[rows], given[rows])
            assert torch.equal(ours, network(x[rows], t[rows], plain[rows]))
