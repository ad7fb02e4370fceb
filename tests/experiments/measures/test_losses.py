"""Convergence and losses by noise level, on curves and networks whose answer is known."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from datamodules.sources.source import Split
from experiments.hddm import settings
from experiments.measures import losses
from experiments.measures.losses import THIRDS, ByNoise, Convergence, errors, loss_at, reached
from experiments.pipeline.store import Context
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages.experts import TrainExpert
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert, VExpert, X0Expert
from modules.dit import DiT, TextShape
from modules.training import Optim
from tests.helpers.stages import make

SMOKE = turned(SCALES["smoke"], {"expert.size": Size(8, 1, 2)})
SHAPE = DiT(Size(8, 1, 2), 4, 2, 2, text=TextShape(3, 6, 5))
KINDS = (FlowMatchingExpert, DDPMExpert, X0Expert, VExpert)


def curve(*points):
    return pd.DataFrame({"step": [p[0] for p in points], "loss": [p[1] for p in points]})


def test_a_loss_is_reached_where_the_line_first_comes_down_to_it():
    """kills: the last crossing, the validation before or after it, the loss for the step."""
    falling = curve((10, 5.0), (20, 3.0), (30, 4.0), (50, 1.0))
    assert reached(falling, 4.0) == 15
    assert reached(falling, 3.0) == 20
    assert reached(falling, 2.0) == pytest.approx(30 + 20 * 2 / 3)
    assert reached(falling, 5.0) == 10
    assert reached(falling, 0.5) is None
    assert loss_at(falling, 40) == 2.5


def test_a_run_that_is_a_factor_faster_measures_that_factor(monkeypatch, tmp_path):
    """kills: the factor inverted, taken of losses, of the wrong run, or given where it never
    arrives; a mark at another step."""
    scratch = replace(
        experts.expert(SMOKE, FlowMatchingExpert, 0, 0), optim=Optim(steps=120, batch=1, lr=1.0)
    )
    run = replace(scratch, seed=1)
    slow = [(float(s), 2.0 - s / 100) for s in range(12, 121, 12)]
    curves = {scratch: curve(*slow), run: curve(*((s / 1.2, loss) for s, loss in slow))}
    monkeypatch.setattr(TrainExpert, "validated", lambda self, _: curves[self])
    context = Context(store=None)
    found = Convergence(run, scratch, (0.5,)).measure(tmp_path, context)
    for mark in ("half", "final", "lowest"):
        assert found[f"speedup_{mark}"] == pytest.approx(1.2)
    assert found["loss_0.5"] == pytest.approx(2.0 - 60 * 1.2 / 100)
    assert found["loss_lowest"] == pytest.approx(0.8)
    assert found["reached_final"] == 1
    back = Convergence(scratch, run, (0.5,)).measure(tmp_path, context)
    assert back["speedup_half"] == pytest.approx(1 / 1.2)
    curves[run] = curve((12.0, 2.0), (120.0, 1.0))
    late = Convergence(run, scratch, (0.5,)).measure(tmp_path, context)
    assert late["reached_final"] == 0
    assert late["speedup_final"] == pytest.approx(1.0)  # counted as if it did at its end
    assert late["speedup_half"] < 1


class Off(torch.nn.Module):
    """The network that knows x0 and eps and errs by a constant `error` in its prediction."""

    def __init__(self, target, error):
        super().__init__()
        self.target, self.error = target, error

    def forward(self, x_t, t, c):
        return self.target + self.error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0.1, 0.6])
def test_a_known_error_has_the_weight_of_proposition_1(kind, level):
    """kills: errors of another scale, another point's noise, or taken of different predictions."""
    module = kind(SHAPE, Optim(1, 1, 1e-3))
    g = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(6, 2, 4, 4, generator=g, dtype=torch.float64) for _ in range(2))
    data = {"x0": x0, "tokens": torch.zeros(6, 3, 6), "pooled": torch.zeros(6, 5)}
    t = module.schedule.time(torch.tensor(level * torch.pi / 2, dtype=torch.float64))
    alpha, sigma = module.schedule.alpha(t), module.schedule.sigma(t)
    weight = {
        FlowMatchingExpert: 1 / t**2,
        DDPMExpert: alpha**2 / sigma**2,
        X0Expert: 1.0,
        VExpert: 1 / sigma**2,
    }[kind]
    target = module.objective.target(module.schedule, x0, eps, t.expand(6))
    module.network = Off(target, 0.3)
    own, clean = errors(module, data, t, eps)
    assert own.item() == pytest.approx(0.09)
    assert clean.item() == pytest.approx(0.09 / float(weight))


class Steep(torch.nn.Module):
    """y = p t with a huge p: the gradient is 2 p mean(t^2), whatever the target."""

    def __init__(self):
        super().__init__()
        self.p = torch.nn.Parameter(torch.tensor(1e6, dtype=torch.float64))

    def forward(self, x_t, t, c):
        return self.p * t[:, None, None, None].expand_as(x_t)


def measured(store, kind):
    encoded = experts.encoded(SMOKE, Split.HELDOUT)
    expert = settings.paired(SMOKE, kind, 0)
    for stage in (encoded, expert):
        make(store, stage)
    return ByNoise(expert, encoded, levels=(0.1, 0.5, 0.9), draws=2, batches=8, seed=0)


def test_shares_of_the_gradient_by_thirds_of_t(store, monkeypatch, tmp_path):
    """kills: thirds that overlap or are told in another order, norms of something else."""
    stage, build = measured(store, FlowMatchingExpert), TrainExpert.load

    def steep(self, where):
        module = build(self, where)
        module.network = Steep()
        return module

    monkeypatch.setattr(TrainExpert, "load", steep)
    found = stage.measure(tmp_path, Context(store, device="cpu"))
    shares = [found[name]["share"] for name in THIRDS]
    assert shares == pytest.approx([1 / 27, 7 / 27, 19 / 27], abs=0.01)
    assert sum(shares) == pytest.approx(1)


def test_measured_weights_are_the_closed_form(store):
    """kills: weights by losses or gradients of another t, objective or schedule than the closed
    form's; a gradient of part of the parameters; experts noised at unequal levels."""
    for kind in KINDS:
        stage = measured(store, kind)
        make(store, stage)
        found = stage.read(store)
        assert set(found) == {"0.1", "0.5", "0.9", *THIRDS}
        for level, part in found.items():
            if level in THIRDS:
                continue
            angle = torch.tensor(part["t"], dtype=torch.float64)
            assert float(stage.expert.schedule.angle(angle)) == pytest.approx(
                float(level) * torch.pi / 2
            )
            assert part["weight_by_loss"] == pytest.approx(part["weight"], rel=1e-9)
            assert part["weight_by_gradient"] == pytest.approx(part["weight"], rel=1e-9)
            assert part["x0_error"] > 0


def test_an_expert_of_one_cluster_errs_on_its_own_pictures(store, tmp_path):
    """kills: errors on pictures of clusters that the expert never saw."""
    stage = measured(store, FlowMatchingExpert)
    own = replace(stage, expert=replace(stage.expert, clusters=(2,)))
    make(store, own.expert)
    data = stage.encoded.load(store)
    inside = {key: data[key][data["cluster"] == 2].double() for key in losses.KEYS}
    assert 0 < len(inside["x0"]) < len(data["x0"])
    found = own.measure(tmp_path, Context(store, device="cpu"))["0.5"]
    module, t = own.expert.load(store).double(), torch.tensor(found["t"]).double()
    each = [
        errors(module, inside, t, losses.noise_like(inside["x0"], 0, 1, j))[0].item()
        for j in range(own.draws)
    ]
    assert found["loss"] == pytest.approx(sum(each) / len(each), rel=1e-9)


def test_noise_is_the_same_for_every_expert_and_another_for_every_draw():
    """kills: noise of the expert's own, or one eps for all levels and draws."""
    x0 = torch.zeros(3, 1, 2, 2)
    assert torch.equal(losses.noise_like(x0, 0, 1, 2), losses.noise_like(x0, 0, 1, 2))
    drawn = [losses.noise_like(x0, *who) for who in ((0, 1, 2), (1, 1, 2), (0, 2, 2), (0, 1, 3))]
    assert len({tuple(x.flatten().tolist()) for x in drawn}) == 4
