"""The exact checks: verdicts that are known, each check able to fail, and its own mixture."""

import pytest
import torch

from experiments.hddm.mathematics import (
    architecture,
    checks,
    conversion,
    mixture,
    printed,
    stability,
    weighting,
)
from experiments.hddm.mathematics.check import agrees, power
from modules.objectives import Objective, V, Velocity
from modules.schedules import Cosine, Linear
from tests.helpers.mixture import relative, slope

FALSE = {
    "Eqs. 5-8 at equal time, as printed",
    "Remark: any schedule",
    "DiT-XL/2 with AdaLN-Zero and text",
    "Parameters saved by AdaLN-Single",
    "Eqs. 14-15: MLP_global emits 6Ld",
    "DiT-B/2 expert",
    "Eq. 20: what a DiT checkpoint gives",
    "Eq. 21: the time index",
    "s(t) of §6.2",
    "72 A100-days",
    "Intra-prompt LPIPS, 0.631 against 0.617",
}
"""What the paper says and mathematics does not, each found by hand."""
IMPLIED = {
    "Eq. 2 at t = 1",
    "Size of the schedule's derivatives",
    "Eq. 30 in half precision",
    "Eq. 31 at the end of sampling",
    "Memory of an XL/2 expert",
    "Images per expert",
    "500,000 steps of batch 128 in 9 A40-days",
}
"""What it does not say, or leaves to what it does not say."""


@pytest.fixture(scope="module")
def found():
    return {check.name: check for check in checks()}


def test_verdicts_are_the_known_ones(found):
    """kills: a comparison turned round, a tolerance so wide that all holds, a check lost."""
    assert {name for name, check in found.items() if check.holds is False} == FALSE
    assert {name for name, check in found.items() if check.holds is None} == IMPLIED
    assert len(found) == len(checks()) == 47


def test_values_are_the_ones_worked_out_by_hand(found):
    """kills: another size, schedule, base or number of samples behind a right verdict."""
    for name, said in {
        "DiT-XL/2 with AdaLN-Single and text": "606.0M",
        "DiT-XL/2 with AdaLN-Zero and text": "823.6M",
        "Eqs. 14-15: MLP_global emits 6Ld": "821.1M",
        "DiT-B/2 expert": "118.6M",
        "DiT-B/2 router": "129.1M",
        "Eq. 29: the safe division": "0.9936",
        "Eq. 31 at the end of sampling": "0.0595",
        "Division by alpha near t = 1": "31.8 (cosine) and 49.0 (linear)",
        "Top-2 against the monolith, per cent": "23.75%",
        "Compute, 1176 to 72 GPU-days": "16.3",
        "Images per expert": "487.5K",
        "Intra-prompt LPIPS, 0.631 against 0.617": "p = 0.19",
    }.items():
        assert said in found[name].ours
    assert "from 7.50 to 2.74" in found["s(t) of §6.2"].why
    assert "(pi / 2)^2 = 2.467" in found["Remark: any schedule"].why
    assert all(number in found["Memory of an XL/2 expert"].ours for number in ("19.0", "78.7"))


def test_every_line_fits_a_table_and_says_where(found):
    """kills: a column separator or line break in a cell, an empty field, a section left out."""
    for check in found.values():
        cells = [check.name, check.section, check.statement, check.paper, check.ours, check.why]
        assert all(cell and "|" not in cell and "\n" not in cell for cell in cells)
        assert any(part in check.section for part in ("§", "abstract", "Table"))
        assert check.holds in (True, False, None)


def test_two_runs_say_the_same(found):
    """kills: a draw without a seed, or one that disturbs the caller's generator."""
    torch.manual_seed(7)
    state = torch.get_rng_state()
    assert {check.name: check for check in checks()} == found
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("printed_as", "value", "expected"),
    [
        ("605M", 605.97, True),
        ("605M", 606.0, False),
        ("23.7%", 23.75, True),
        ("16×", 16.33, True),
        ("16×", 15.1, False),
        ("30%", 26.4, False),
        ("7.04", 7.051, False),
        ("1,176", 1176.4, True),
    ],
)
def test_agrees_within_the_last_printed_place(printed_as, value, expected):
    """kills: a tolerance of half or of ten units, or a relative one."""
    assert agrees(printed_as, value) is expected


def test_power_bounds_from_above():
    """kills: a floor, which would claim more than was found."""
    assert (power(0.0), power(3e-9), power(0.5)) == ("0", "below 1e-08", "below 1e+00")


class Wrong(Objective):
    """A velocity whose noise has the wrong sign."""

    def row(self, schedule, t):
        return schedule.dalpha(t), -schedule.dsigma(t)


def test_equation_7_can_fail(monkeypatch):
    """kills: a check that compares a formula with itself."""
    monkeypatch.setattr(conversion, "velocity", lambda s, x0, eps, t: eps + x0)
    assert not conversion.velocity_of_the_path().holds
    assert not conversion.linear_case().holds


def test_equation_1_can_fail(monkeypatch):
    """kills: a router or an expert that the identity does not depend on."""
    assert conversion.full_is_the_monolith().holds
    half = torch.full((512, 2), 0.5, dtype=torch.float64)
    monkeypatch.setattr(conversion, "ExactRouter", lambda schedule: lambda x, t, c: half)
    assert not conversion.full_is_the_monolith().holds


def test_proposition_1_can_fail(monkeypatch):
    """kills: weights compared with the code that defines them."""
    monkeypatch.setattr(weighting, "V", Wrong)
    monkeypatch.setattr(weighting, "Velocity", Wrong)
    assert not weighting.v_weight().holds
    assert not weighting.ratio().holds
    assert not weighting.linear_path().holds


def test_safeguards_can_do_what_they_say(monkeypatch):
    """kills: verdicts on Eq. 31 and §6.2 that no damping could turn."""

    def late(t):
        return torch.where(t > 0.85, 0.5, 1.0).to(t)

    monkeypatch.setattr(stability, "LogisticDamping", lambda: late)
    monkeypatch.setattr(stability, "StepDamping", lambda: late)
    assert stability.logistic().holds
    assert stability.step_damping().holds
    assert not stability.left_over().holds


def test_sizes_can_fail_and_hold(monkeypatch):
    """kills: a printed size that any count agrees with."""
    monkeypatch.setattr(architecture, "parameters", lambda shape: 891_400_000)
    assert architecture.zero_size().holds
    assert not architecture.single_size().holds


def test_arithmetic_follows_the_numbers(monkeypatch):
    """kills: a ratio or p-value typed rather than computed."""
    monkeypatch.setattr(printed, "OUR_DAYS", 120)
    monkeypatch.setattr(printed, "LPIPS", ((0.631, 0.02), (0.617, 0.02)))
    monkeypatch.setattr(printed, "DEVICE", {"Table 2": "A40", "§6.4": "A40"})
    assert not printed.days().holds
    assert "9.8" in printed.days().ours
    assert printed.diversity().holds
    assert printed.whose_days().holds


@pytest.mark.parametrize("schedule", [Linear(), Cosine()], ids=["linear", "cosine"])
def test_the_mixture_is_what_its_samples_say(schedule):
    """kills: a wrong posterior or expectation in the closed forms: E[y | x_t] regresses y."""
    n, g = 400_000, torch.Generator().manual_seed(5)
    k = torch.multinomial(mixture.PRIOR, n, replacement=True, generator=g)
    x0, eps = (torch.randn(n, 2, generator=g, dtype=torch.float64) for _ in range(2))
    x0 = mixture.CENTRE[k] + mixture.SPREAD[k, None] * x0
    t = torch.full((n,), 0.4, dtype=torch.float64)
    x = schedule.noise(x0, eps, t)
    p = mixture.ExactRouter(schedule)(x, t)
    u = mixture.marginal_velocity(schedule, x, t)
    y = slope(schedule.alpha, t)[:, None] * x0 + slope(schedule.sigma, t)[:, None] * eps
    near = torch.linalg.norm(x - torch.tensor([0.3, -0.4]), dim=1)
    for inside in (near < 1, (near >= 1) & (near < 2), near >= 2):
        assert float(p[inside, 0].mean()) == pytest.approx(
            float((k[inside] == 0).double().mean()), abs=0.005
        )
        assert relative(u[inside].mean(0), y[inside].mean(0)) < 0.01
    for j, objective in ((0, Velocity()), (1, V())):
        expert, of = mixture.expert(j, objective, schedule), k == j
        exact = objective.target(schedule, x0[of], eps[of], t[of])
        assert relative(expert.network(x[of], t[of], None).mean(0), exact.mean(0)) < 0.02


def test_equal_time_is_exact_only_on_the_path(monkeypatch):
    """kills: a verdict on conversion at equal time that does not hang on the schedule."""
    assert not conversion.same_time().holds
    monkeypatch.setattr(conversion, "OTHER", Linear())
    assert conversion.same_time().holds
