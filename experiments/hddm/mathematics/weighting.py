"""Eqs. 9-13: the weights that objectives put on an error in the clean sample.  (HDDM, §2.4)"""

import math

import torch
from torch import Tensor

from experiments.hddm.mathematics.check import EXACT, Check, power
from modules.objectives import Epsilon, Objective, V, Velocity, x0_weight
from modules.schedules import Cosine, Linear, Schedule

T = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)


def _measured(objective: Objective, schedule: Schedule) -> Tensor:
    """|y^ - y|^2 / |x0^ - x0|^2 at T, from targets: x0^ and the eps^ that keeps x_t as it was."""
    g = torch.Generator().manual_seed(3)
    x0, wrong, eps = (torch.randn(len(T), 4, generator=g, dtype=torch.float64) for _ in range(3))
    x_t = schedule.noise(x0, eps, T)
    implied = (x_t - schedule.alpha(T)[:, None] * wrong) / schedule.sigma(T)[:, None]
    y, predicted = (objective.target(schedule, *p, T) for p in ((x0, eps), (wrong, implied)))
    return (predicted - y).square().sum(1) / (wrong - x0).square().sum(1)


def _error(value: Tensor, exact: Tensor) -> float:
    return float((value / exact - 1).abs().max())


def _both(objective: Objective, exact: Tensor) -> float:
    """The larger error of the measured weight and of this suite's closed form, on the cosine."""
    weights = (_measured(objective, Cosine()), x0_weight(objective, Cosine(), T))
    return max(_error(weight, exact) for weight in weights)


def epsilon_weight() -> Check:
    exact = (Cosine().alpha(T) / Cosine().sigma(T)) ** 2
    error = _both(Epsilon(), exact)
    return Check(
        "Eqs. 9, 12: w_eps",
        "§2.4",
        "The loss on eps weighs an error in x0 by alpha^2 / sigma^2",
        "equal",
        f"relative error {power(error)}",
        error < 1e-6,
        "Against errors of targets at random (x0, x0^) that share x_t.",
    )


def v_weight() -> Check:
    exact = 1 / Cosine().sigma(T) ** 2
    error = _both(V(), exact)
    return Check(
        "Eqs. 10, 13: w_v",
        "§2.4",
        "The loss on v weighs an error in x0 by 1 / sigma^2",
        "equal",
        f"relative error {power(error)}",
        error < 1e-6,
        "For v = alpha eps - sigma x0 on a variance-preserving schedule.",
    )


def ratio() -> Check:
    measured = _measured(V(), Cosine()) / _measured(Epsilon(), Cosine())
    error = _error(measured, 1 / Cosine().alpha(T) ** 2)
    return Check(
        "Eq. 11: the ratio",
        "§2.4",
        "w_v / w_eps = 1 / alpha^2",
        "equal",
        f"relative error {power(error)}",
        error < 1e-6,
        "On the cosine schedule.",
    )


def bounds() -> Check:
    t = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    above = 1 / Cosine().alpha(t) ** 2 - 1
    equal = t[above.abs() < EXACT / 10]
    near = 1 - torch.logspace(-1, -7, 7, dtype=torch.float64)
    last = (1 / Cosine().alpha(near) ** 2).tolist()
    holds = bool((above >= 0).all()) and equal.tolist() == [0.0] and last == sorted(last)
    return Check(
        "Remark: the ratio's range",
        "§2.4",
        "The ratio is at least 1, with equality only at t = 0, and diverges at high noise",
        ">= 1",
        f"{1 + float(above.min()):g} at t = 0, {last[-1]:.0e} at t = 1 - 1e-7",
        holds,
        "At t = 0 itself both weights are infinite; it is their ratio that tends to 1.",
    )


def linear_path() -> Check:
    measured = _measured(Velocity(), Linear()) / _measured(Epsilon(), Linear())
    error = _error(measured, 1 / (1 - T) ** 2)
    return Check(
        "Remark: linear interpolation",
        "§2.4",
        "For FM on the linear path the ratio is 1 / (1 - t)^2",
        "equal",
        f"relative error {power(error)}",
        error < 1e-6,
        "For the ODE velocity eps - x0: its determinant alpha sigma' - sigma alpha' is 1 there, as "
        "v's is on a variance-preserving schedule.",
    )


def any_schedule() -> Check:
    middle = len(T) // 2
    cases: tuple[tuple[Objective, Schedule], ...] = ((Velocity(), Cosine()), (V(), Linear()))
    factors = []
    for objective, schedule in cases:
        measured = _measured(objective, schedule) / _measured(Epsilon(), schedule)
        factors.append(float((measured * schedule.alpha(T) ** 2)[middle]))
    return Check(
        "Remark: any schedule",
        "§2.4",
        "The ratio depends only on alpha, not on the specific schedule",
        "1 / alpha^2 times 1",
        f"times {factors[0]:.3f} for the ODE velocity on the cosine, times {factors[1]:.3f} for v "
        "on the linear path at t = 0.5",
        all(abs(factor - 1) < EXACT for factor in factors),
        "The factor is the squared determinant: 1 for v where alpha^2 + sigma^2 = 1 and for the "
        f"velocity on the linear path, but (pi / 2)^2 = {math.pi**2 / 4:.3f} and "
        "(alpha^2 + sigma^2)^2 otherwise.",
    )


def _early(weight: Tensor) -> float:
    """The share of a weight's sum over T that lies below t = 0.1."""
    return float(weight[T < 0.1].sum() / weight.sum())


def relatively_upweighted() -> Check:
    eps, v = _early(_measured(Epsilon(), Linear())), _early(_measured(Velocity(), Linear()))
    return Check(
        "Remark: eps relatively upweighted at low noise",
        "§2.4",
        "Relative to its own weights, an eps expert puts more on low noise than a velocity expert",
        "more",
        f"{eps:.4f} of its weight below t = 0.1, against {v:.4f}",
        eps > v,
        "True since the ratio grows with t, but small: both weights diverge as 1 / t^2, here cut "
        "at t = 0.001.",
    )


CHECKS = (
    epsilon_weight,
    v_weight,
    ratio,
    bounds,
    linear_path,
    any_schedule,
    relatively_upweighted,
)
