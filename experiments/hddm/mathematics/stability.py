"""Eqs. 28-31, §6.2 and §8.2: what the numerical safeguards do, and what they leave."""

import math

import torch
from torch import Tensor

from experiments.hddm.mathematics.check import Check, power
from modules.expert import Expert
from modules.guard import Guard, LogisticDamping, StepDamping
from modules.objectives import Epsilon
from modules.sampling import euler, uniform
from modules.schedules import Cosine, Linear, derivatives, expand

FINE = torch.linspace(0, 1, 100_001, dtype=torch.float64)
STEP = 1e-4
"""h of Eq. 30."""


def clamp() -> Check:
    g = torch.Generator().manual_seed(2)
    x_t, eps = (30 * torch.randn(4096, 1, generator=g, dtype=torch.float64) for _ in range(2))
    t = torch.rand(4096, generator=g, dtype=torch.float64)
    expert, guard = Expert(lambda x, t, c: eps, Epsilon(), Cosine()), Guard.paper_8_3_4()
    clamped, _ = expert.denoise(x_t, t, guard=guard)
    free, _ = expert.denoise(x_t, t, guard=Guard(alpha_floor=guard.alpha_floor))
    inside = free.abs() <= 20
    holds = float(clamped.abs().max()) <= 20 and torch.equal(clamped[inside], free[inside])
    guided = (2 * free - free.flip(0)).clamp(-20, 20)
    apart = (guided - (2 * clamped - clamped.flip(0))).abs().max()
    return Check(
        "Eq. 28: the clamp",
        "§2.3, §8.3.1",
        "x0^ is kept within [-20, 20]",
        "20",
        f"{float(clamped.abs().max()):g}",
        holds,
        f"What lies inside is not touched. It does not commute with guidance (off by up to "
        f"{float(apart):.0f} here), and the paper leaves open which comes first.",
    )


def floor() -> Check:
    floor = 0.01
    cosine, linear = (
        float(FINE[schedule.alpha(FINE) < floor].min()) for schedule in (Cosine(), Linear())
    )
    bound = [int((Cosine().alpha(uniform(n)[:-1]) < floor).sum()) for n in (50, 75)]
    return Check(
        "Eq. 29: the safe division",
        "§8.3.2",
        "alpha falls below 0.01 only at extreme noise levels",
        "near t = 1",
        f"t > {cosine:.4f} on the cosine, t > {linear:.4f} on the linear path",
        min(cosine, linear) > 0.98,
        f"It binds in {bound[0]} of 50 and {bound[1]} of 75 Euler steps: the first, at pure noise, "
        "where a noise prediction says nothing about the data.",
    )


def _difference_error(dtype: torch.dtype) -> tuple[float, float]:
    """(largest error of sigma' against pi / 2, share of times at which it is exactly 0)."""
    t = torch.linspace(0.01, 0.99, 981, dtype=torch.float64)
    derivative = derivatives(Cosine(), t.to(dtype), STEP)[1].double()
    error = (derivative - Cosine().dsigma(t)).abs().max() / (math.pi / 2)
    return float(error), float((derivative == 0).double().mean())


def difference() -> Check:
    error, _ = _difference_error(torch.float64)
    series = (math.pi / 2 * STEP) ** 2 / 6
    return Check(
        "Eq. 30 in float64",
        "§8.3.3",
        "Central differences of step h = 1e-4 give accurate schedule derivatives",
        "accurate",
        f"relative error {power(error)}",
        error < 1e-7,
        f"The series says (pi h / 2)^2 / 6 {power(series)}. It reads the schedule outside [0, 1] "
        "at both ends, and the closed form (Eq. 27) costs less.",
    )


def difference_in_half() -> Check:
    error, vanished = _difference_error(torch.bfloat16)
    half, half_vanished = _difference_error(torch.float16)
    return Check(
        "Eq. 30 in half precision",
        "§8.3.3",
        "Implied where t is held in the precision of mixed training",
        "accurate",
        f"bfloat16: {vanished:.0%} are exactly 0; float16: {half_vanished:.0%}",
        None,
        f"t + h rounds to t. Errors reach {error:.1f} (bfloat16) and {half:.1f} (float16) times "
        "the derivative's own size, so the precision of t, which §6.2 leaves open, decides.",
    )


def logistic() -> Check:
    late = FINE[FINE > 0.85]
    acts = float((LogisticDamping()(FINE) != 1).double().mean())
    inner = 15 / (1 + torch.exp(10 * (late - 0.85)))
    return Check(
        "s(t) of §6.2",
        "§6.2",
        "s(t) = min(1, 15 / (1 + exp(10 (t - 0.85)))) damps converted predictions at t > 0.85",
        "s < 1",
        f"s < 1 at {acts:.0%} of times",
        acts > 0,
        f"The quotient falls from {float(inner[0]):.2f} to {float(inner[-1]):.2f}, never below 1: "
        "as printed it does nothing.",
    )


def step_damping() -> Check:
    mean = float(StepDamping()(FINE).mean())
    acts = float((StepDamping()(FINE) < 1).double().mean())
    return Check(
        "Eq. 31 at elevated noise levels",
        "§2.3, §8.3.4",
        "Velocity scaling dampens converted predictions at elevated noise levels",
        "s falls with t",
        f"s < 1 at {acts:.0%} of times, {mean:.4f} on average",
        bool((StepDamping()(FINE).diff() <= 0).all()),
        "It scales by 0.96 at the lowest noise too; §6.2 states another rule, which excludes it.",
    )


def left_over() -> Check:
    eps, x0 = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)

    def damped(x: Tensor, t: Tensor) -> Tensor:
        return expand(StepDamping()(t), x) * (eps - x0)

    left = [float(euler(damped, eps, uniform(n))) for n in (50, 75, 10_000)]
    return Check(
        "Eq. 31 at the end of sampling",
        "§8.3.4",
        "Implied: a sampler of damped velocities ends at the data",
        "0",
        f"{left[2]:.4f} of the noise is left",
        None,
        f"One less the mean of s, on a straight path; {left[0]:.4f} in 50 steps and {left[1]:.4f} "
        "in 75. No correction for it is printed.",
    )


def division() -> Check:
    t = torch.tensor([0.9, 0.98, 0.999], dtype=torch.float64)
    cosine, linear = (s.sigma(t) / s.alpha(t) for s in (Cosine(), Linear()))
    return Check(
        "Division by alpha near t = 1",
        "§8.2.1",
        "x0^ = (x_t - sigma eps) / alpha amplifies any error in eps as alpha -> 0",
        "unstable",
        f"at t = 0.98 by {float(cosine[1]):.1f} (cosine) and {float(linear[1]):.1f} (linear)",
        bool((cosine.diff() > 0).all() and (linear.diff() > 0).all() and cosine[-1] > 100),
        "Without bound on both. The cosine's alpha falls faster (slope -pi / 2 against -1) but is "
        "the larger near t = 1, so the linear path amplifies more at equal t.",
    )


def large_derivatives() -> Check:
    norm = torch.hypot(Cosine().dalpha(FINE), Cosine().dsigma(FINE))
    linear = torch.hypot(Linear().dalpha(FINE), Linear().dsigma(FINE))
    spread = float(norm.max() - norm.min())
    return Check(
        "Size of the schedule's derivatives",
        "§2.3, §8.2.2",
        "Implied by damping where derivatives become large: they are larger at high noise",
        "larger than at low noise",
        f"{float(norm.mean()):.4f} at every t (linear: {float(linear[0]):.4f})",
        None,
        f"The pair (alpha', sigma') has norm pi / 2 at all times, to {power(spread)}, "
        f"{float(norm[0] / linear[0]):.2f} times the linear path's: what grows is "
        "1 / alpha, not the derivatives.",
    )


CHECKS = (
    division,
    large_derivatives,
    clamp,
    floor,
    difference,
    difference_in_half,
    logistic,
    step_damping,
    left_over,
)
