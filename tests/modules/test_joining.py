"""Routing rules that need no router: exact where their evidence is exact, on a Gaussian mixture."""

import math

import pytest
import torch
from torch import nn

from modules.blocks import AdaLN, Size
from modules.dit import DiT
from modules.expert import Expert
from modules.joining import Bayes, Captions, DenoisingError, Head, Joined, Odds, Placed, Without
from modules.objectives import X0, V, Velocity
from modules.schedules import Cosine, Linear, NicholDhariwal
from modules.text import Text
from modules.training import Optim
from tests.helpers.mixture import Mixture, Optimal, mixture, name, randn

KINDS = [(Velocity(), Linear()), (V(), Cosine()), (X0(), NicholDhariwal())]


def states(t, rows=200, seed=3):
    """(x_t, t) of the mixture on the linear path, in float64."""
    x0, _ = mixture().sample(rows, seed)
    times = torch.full((rows,), t, dtype=torch.float64)
    return Linear().noise(x0, randn(rows, 3, seed=seed + 7), times), times


def experts(objective, schedule, data=None):
    data = mixture() if data is None else data
    count = len(data.weights)
    return [
        Expert(Optimal(data, k, objective, schedule), objective, schedule) for k in range(count)
    ]


def exact(x, t, c=None):
    """p(k | x_t) of the mixture."""
    return mixture().posterior(Linear(), x, t)


def among(kept):
    """The same mixture without the other components."""
    data = mixture()
    weights = data.weights[kept] / data.weights[kept].sum()
    return Mixture(weights, data.means[kept], data.covariances[kept])


class ExactHead(nn.Module):
    """log p(x_t | k) / p(x_t | public), the reference a mixture of other weights."""

    def __init__(self, k):
        super().__init__()
        data = mixture()
        self.k, self.data = k, data
        self.public = Mixture(data.weights.flip(0), data.means, data.covariances)

    def forward(self, x, t, c=None):
        own = self.data.log_joint(Linear(), x, t)[:, self.k] - self.data.weights[self.k].log()
        return (own - self.public.log_joint(Linear(), x, t).logsumexp(1))[:, None]


class Asked(nn.Module):
    """Remembers the captions it was asked under and how many rows."""

    def __init__(self):
        super().__init__()
        self.keep, self.rows = [], 0

    def forward(self, x, t, c):
        self.keep.append(c.keep)
        self.rows += len(x)
        return torch.zeros_like(x)


def caption(*rows, keep=None):
    pooled = torch.tensor(rows)
    return Text(pooled[:, None], pooled, torch.tensor([True] * len(rows) if keep is None else keep))


@pytest.mark.parametrize("t", [0.05, 0.4, 0.8, 1.0])
def test_exact_heads_give_the_exact_posterior(t):
    """kills: n_k left out or taken twice, or a reference's density that does not divide out."""
    x, times = states(t)
    rule = Bayes((500 * mixture().weights).tolist(), Odds([ExactHead(k) for k in range(4)]))
    torch.testing.assert_close(rule(x, times), exact(x, times), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("t", "objective", "schedule"),
    [(0.2, *KINDS[0]), (0.9, *KINDS[0]), *((0.6, *kind) for kind in KINDS)],
    ids=name,
)
def test_the_denoising_error_tends_to_the_exact_posterior(t, objective, schedule):
    """kills: a wrong sign, half or SNR; a restored state or an alignment that is off."""
    x, times = states(t, rows=60)
    weights = mixture().weights.tolist()

    def gap(levels):
        rule = Bayes(weights, DenoisingError(experts(objective, schedule), levels, False))
        return float((rule(x, times) - exact(x, times)).abs().mean())

    assert gap(400) < 0.025
    assert gap(400) < gap(3) or gap(3) < 1e-3


@pytest.mark.parametrize(("objective", "schedule"), KINDS, ids=name)
def test_the_restored_state_is_the_conditional_mean(objective, schedule):
    """kills: sigma_t for its square, or eps at s taken for eps at t, in E[x_t | x_s]."""
    data, (x, t) = among([2]), states(0.4)
    s, z = torch.full_like(t, 0.7), randn(200, 3, seed=8)
    rule = DenoisingError(experts(objective, schedule, data), 1, False)
    found = rule._restored(rule.experts[0], x, z, t, s, None)
    a, b = (1 - 0.7) / (1 - 0.4), math.sqrt(0.7**2 - (0.3 / 0.6 * 0.4) ** 2)
    eye = torch.eye(3).double()
    mean, covariance = 0.6 * data.means[0], 0.36 * data.covariances[0] + 0.16 * eye
    spread = a**2 * covariance + b**2 * eye
    gain = a * covariance @ torch.linalg.inv(spread)
    wanted = mean + (a * x + b * z - a * mean) @ gain.mT
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def test_noise_alone_is_routed_by_the_prior_and_asks_nobody():
    """kills: 0 / 0 where alpha = 0, or evaluations spent where nothing can be told."""
    x, _ = states(0.5, rows=4)
    networks = [Asked(), Asked()]
    rule = DenoisingError([Expert(n, Velocity(), Linear()) for n in networks], 2, True)
    t = torch.tensor([1.0, 1.0, 0.5, 1.0]).double()
    p = Bayes([3, 1], rule)(x, t, caption(*[[0.0]] * 4))
    torch.testing.assert_close(p[[0, 1, 3]], torch.tensor([[0.75, 0.25]] * 3).double())
    assert [n.rows for n in networks] == [2, 2]


@pytest.mark.parametrize("reads_text", [False, True])
def test_a_caption_is_read_only_where_it_is_asked_for(reads_text):
    """kills: captions shown to experts whose p(x_t | k) was meant, or hidden from the others."""
    x, t = states(0.5, rows=2)
    network = Asked()
    rule = DenoisingError([Expert(network, Velocity(), Linear())], 1, reads_text)
    rule(x, t, caption([0.0], [1.0], keep=[True, False]))
    assert network.keep[0].tolist() == [reads_text, False]


def test_a_row_is_routed_the_same_in_any_batch():
    """kills: noise drawn for the batch, so that strategies would no longer be paired."""
    x, t = states(0.5)
    rule = DenoisingError(experts(*KINDS[0]), 2, False)
    torch.testing.assert_close(rule(x[7:9], t[7:9]), rule(x, t)[7:9], rtol=1e-12, atol=1e-12)


def cards():
    """Two cards of 4 and 1 captions, among them one that stands on both."""
    first = torch.tensor([[0.0, 0.0], [8.0, 0.0]]), torch.tensor([3, 1])
    return [first, (torch.tensor([[8.0, 0.0]]), torch.tensor([1]))]


@pytest.mark.parametrize(
    ("asked", "in_all", "counts"),
    [([0.0, 0.0], 3, (3, 0)), ([8.0, 0.0], 2, (1, 1)), ([30.0, 0.0], 2, (1, 1))],
)
def test_captions_are_counted_and_unknown_ones_go_by_the_nearest(asked, in_all, counts):
    """kills: shares for counts, n_k counted twice, no smoothing, or NaN far from every card."""
    rule, x = Bayes([4, 1], Captions(cards())), torch.zeros(1, 3).double()
    mass = [
        n * (count + in_all / 5) / (n + 1) for n, count in zip((4, 1), counts, strict=True)
    ]  # each card and one caption of all
    wanted = torch.tensor([[m / sum(mass) for m in mass]]).double()
    c = caption(asked)
    torch.testing.assert_close(rule(x, torch.ones(1), c), wanted, rtol=1e-3, atol=1e-4)
    prior = rule(x, torch.ones(1), c.null())
    torch.testing.assert_close(prior, torch.tensor([[0.8, 0.2]]).double())


def test_a_caption_rule_needs_captions():
    """kills: a routing without captions that passes for one with them."""
    with pytest.raises(ValueError, match="reads captions"):
        Captions(cards())(torch.zeros(1, 3), torch.ones(1), None)


def test_masking_an_exact_router_is_the_exact_router_of_the_rest():
    """kills: no renormalisation, the wrong expert masked, or 0 / 0 where the lost one had all."""
    x, t = states(0.6)
    p = Without(exact, [1])(x, t)
    assert (p[:, 1] == 0).all()
    wanted = among([0, 2, 3]).posterior(Linear(), x, t)
    torch.testing.assert_close(p[:, [0, 2, 3]], wanted, rtol=1e-9, atol=1e-12)
    sure = Without(lambda x, t, c: torch.tensor([[0.0, 1.0, 0.0]]), [1])(x[:1], t[:1])
    assert sure.tolist() == [[0.5, 0.0, 0.5]]


def test_an_exact_rule_completes_an_exact_router_of_the_others():
    """kills: the newcomer's share not taken from the others, or the old router's guess kept."""
    x, t = states(0.6)

    def old(x, t, c=None):
        p = torch.full((len(x), 4), 0.3, dtype=torch.float64)  # nonsense for the newcomer
        p[:, [0, 1, 3]] = 0.7 * among([0, 1, 3]).posterior(Linear(), x, t)
        return p

    rule = Bayes(mixture().weights.tolist(), Odds([ExactHead(k) for k in range(4)]))
    joined = Joined(old, rule, [2])(x, t)
    torch.testing.assert_close(joined, exact(x, t), rtol=1e-9, atol=1e-12)


def test_the_experts_of_a_rule_keep_their_places():
    """kills: columns that close up when an expert leaves."""
    x, t = states(0.6, rows=2)
    p = Placed(Bayes([3, 1]), [3, 1], 4)(x, t)
    assert p.tolist() == [[0.0, 0.25, 0.0, 0.75]] * 2


def head(public_value):
    """A head whose public reference is one flat picture, and a batch of the opposite one."""
    public = {
        "x0": torch.full((3, 1, 8, 8), public_value),
        "tokens": torch.zeros(3, 1, 2),
        "pooled": torch.zeros(3, 2),
    }
    own = {key: (-x if key == "x0" else x)[[0, 1, 2, 0]] for key, x in public.items()}
    torch.manual_seed(0)
    shape = DiT(Size(16, 1, 2), 8, 1, 4, AdaLN.ZERO, text=None)
    module = Head(shape, Optim(60, 4, 3e-3), public, pooled=2, text_dropout=0.5)
    module.log = lambda *_, **__: None  # there is no trainer
    return module, own


def test_own_and_public_pictures_weigh_the_same():
    """kills: a batch that is not half and half, whose odds would carry another constant."""
    module, own = head(1.0)
    with torch.no_grad():
        module.network.head[-1].weight.zero_()
        module.network.head[-1].bias.fill_(2.0)
    loss = module.training_step({**own, "step": torch.tensor(5)}, 0)
    wanted = (math.log1p(math.exp(-2)) + math.log1p(math.exp(2))) / 2
    assert float(loss) == pytest.approx(wanted, rel=1e-6)


def test_a_head_learns_what_is_its_own():
    """kills: labels exchanged, or the owner's pictures drawn from the reference."""
    module, own = head(1.0)
    optimizer = torch.optim.AdamW(module.parameters(), 3e-3)
    for step in range(60):
        optimizer.zero_grad()
        module.training_step({**own, "step": torch.tensor(step)}, 0).backward()
        optimizer.step()
    x = torch.cat([own["x0"][:1], module.public["x0"][:1]])
    logit = module.network(x, torch.full((2,), 0.1), caption([0.0, 0.0], [0.0, 0.0]))[:, 0]
    assert logit[0] > 1 > -1 > logit[1]
