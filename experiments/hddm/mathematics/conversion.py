"""Eqs. 1-8 and 22-27: the ensemble identity, and a noise prediction turned into a velocity."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from experiments.hddm.mathematics.check import EXACT, Check, power
from experiments.hddm.mathematics.mixture import (
    PRIOR,
    ExactRouter,
    apart,
    expert,
    marginal_velocity,
    points,
)
from modules.alignment import SameTime
from modules.ensemble import Ensemble
from modules.objectives import Epsilon, Velocity, velocity
from modules.sampling import euler, uniform
from modules.schedules import Cosine, Linear, Schedule
from modules.selection import Full, Top

SAME, OTHER = Linear(), Cosine()


def _made(n: int = 256) -> tuple[Tensor, Tensor, Tensor]:
    """x0, eps [n, 3] and t [n] away from both ends."""
    g = torch.Generator().manual_seed(1)
    x0, eps = (torch.randn(n, 3, generator=g, dtype=torch.float64) for _ in range(2))
    return x0, eps, torch.linspace(0.01, 0.99, n, dtype=torch.float64)


def _slope(f: Callable[[Tensor], Tensor], t: Tensor) -> Tensor:
    """df/dt of an elementwise f [n, d], by forward differentiation."""
    return torch.func.jvp(f, (t,), (torch.ones_like(t),))[1]


def full_is_the_monolith() -> Check:
    x, t = points()
    experts = [expert(k, Velocity(), SAME) for k in range(2)]
    exact = marginal_velocity(SAME, x, t)
    error = apart(Ensemble(experts, ExactRouter(SAME), Full())(x, t), exact)
    top = apart(Ensemble(experts, ExactRouter(SAME), Top(1))(x, t), exact)
    return Check(
        "Eq. 1: the ensemble identity",
        "§2.1",
        "The marginal velocity is the posterior-weighted sum of the experts' velocities",
        "equal",
        f"relative error {power(error)}",
        error < EXACT,
        f"So with exact experts and router Full is the monolith, and Top-1 is off by {top:.1%}: "
        "a Full that is worse (47.89 in Table 1) is an error of router or experts, not of Eq. 1.",
    )


def mixed_objectives() -> Check:
    x, t = points()
    experts = [expert(0, Epsilon(), OTHER), expert(1, Velocity(), SAME)]
    exact = marginal_velocity(SAME, x, t)
    matched = apart(Ensemble(experts, ExactRouter(SAME), Full())(x, t), exact)
    return Check(
        "Eq. 1 with mixed objectives, at equal signal-to-noise ratio",
        "§2.2",
        "DDPM and FM experts of different schedules unify without retraining",
        "equal",
        f"relative error {power(matched)}",
        matched < EXACT,
        "Exact when the cosine expert is asked at t' = (2/pi) atan2(t, 1 - t) and its input is "
        "scaled to variance alpha^2 + sigma^2 = 1.",
    )


def same_time() -> Check:
    x, t = points()
    experts = [expert(0, Epsilon(), OTHER), expert(1, Velocity(), SAME)]
    exact = marginal_velocity(SAME, x, t)
    path, own = (
        apart(Ensemble(experts, ExactRouter(SAME), Full(), alignment=SameTime(d))(x, t), exact)
        for d in (False, True)
    )
    norm = torch.hypot(SAME.alpha(t), SAME.sigma(t))
    worst = norm.argmin()
    return Check(
        "Eqs. 5-8 at equal time, as printed",
        "§2.3, §8.1",
        "The schedule-aware conversion puts a cosine expert onto the linear path",
        "equal",
        f"relative error {path:.0%} with the path's derivatives, {own:.0%} with the expert's own",
        max(path, own) < EXACT,
        f"At equal t the norm of the expert's input is too small, by a factor of "
        f"{1 / float(norm[worst]):.3f} at t = {float(t[worst]):.2f}: a perfect expert is asked off "
        "its data.",
    )


def prior_at_noise() -> Check:
    x, _ = points()
    p = ExactRouter(SAME)(x, torch.ones(len(x), dtype=torch.float64))
    error = float((p - PRIOR).abs().max())
    return Check(
        "Eq. 2 at t = 1",
        "§2.1",
        "Implied: a router of (x_t, t) finds the experts of a prompt from the first step on",
        "p depends on the prompt",
        f"p at t = 1 differs from the clusters' sizes by {power(error)}",
        None,
        "Pure noise says nothing: without the caption the exact router gives the clusters' sizes "
        "whatever the prompt, and Top-1 opens every sample in the largest cluster.",
    )


def round_trip() -> Check:
    x0, eps, t = _made()
    errors = []
    for schedule in (SAME, OTHER):
        x_t = schedule.noise(x0, eps, t)
        alpha, sigma = schedule.alpha(t)[:, None], schedule.sigma(t)[:, None]
        ours, _ = Epsilon().recover(schedule, eps, x_t, t)
        errors += [apart((x_t - sigma * eps) / alpha, x0), apart(ours, x0)]
    return Check(
        "Eqs. 5, 22, 23: inversion",
        "§2.3, §8.1",
        "The clean sample is recovered by inverting the linear forward map",
        "equal",
        f"relative error {power(max(errors))}",
        max(errors) < EXACT,
        "As printed and as this suite computes it, on both schedules, for t in [0.01, 0.99].",
    )


def path_through_the_point() -> Check:
    x0, eps, t = _made()
    wrong = eps + x0.flip(0)  # any prediction will do
    errors = []
    for schedule in (SAME, OTHER):
        x_t = schedule.noise(x0, eps, t)
        x0_hat, _ = Epsilon().recover(schedule, wrong, x_t, t)
        errors.append(apart(schedule.noise(x0_hat, wrong, t), x_t))
    return Check(
        "Eq. 6: the deterministic path",
        "§2.3",
        "alpha x0^ + sigma eps^ passes through x_t, whatever was predicted",
        "equal",
        f"relative error {power(max(errors))}",
        max(errors) < EXACT,
        "An identity of Eq. 5: it holds for wrong predictions as well.",
    )


def velocity_of_the_path() -> Check:
    x0, eps, t = _made()

    def error(schedule: Schedule) -> float:
        moved = _slope(lambda s: schedule.noise(x0, eps, s), t)
        return apart(velocity(schedule, x0, eps, t), moved)

    worst = max(error(SAME), error(OTHER))
    return Check(
        "Eqs. 7, 24: the velocity",
        "§2.3, §8.1",
        "v = alpha' x0^ + sigma' eps^ is the time derivative of Eq. 6",
        "equal",
        f"relative error {power(worst)}",
        worst < EXACT,
        "Against automatic differentiation of the path. On the cosine path it is that path's "
        "velocity, not the linear one's, though Eq. 1 needs all experts on one path.",
    )


def linear_case() -> Check:
    x0, eps, t = _made()
    error = apart(velocity(SAME, x0, eps, t), eps - x0)
    return Check(
        "Eqs. 8, 25: the linear case",
        "§2.3, §8.1",
        "On the linear schedule Eq. 7 is eps - x0, the FM target of Eq. 4",
        "equal",
        f"relative error {power(error)}",
        error < EXACT,
        "alpha' = -1 and sigma' = 1.",
    )


def update_rule() -> Check:
    x0, eps, _ = _made()
    error = apart(euler(lambda x, t: eps - x0, eps, uniform(50)), x0)
    return Check(
        "The update x - v dt",
        "§2.3, §8.1",
        "Integrating v from t = 1 to 0 by this update leads from noise to data",
        "equal",
        f"relative error {power(error)}",
        error < EXACT,
        "On a straight path, in 50 steps; nothing is left of the noise.",
    )


def cosine() -> Check:
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    preserved = float((OTHER.alpha(t) ** 2 + OTHER.sigma(t) ** 2 - 1).abs().max())
    pairs = ((OTHER.alpha, OTHER.dalpha), (OTHER.sigma, OTHER.dsigma))
    error = max(apart(slope(t), _slope(value, t)) for value, slope in pairs)
    ends = max(abs(float(OTHER.dsigma(t)[0])), abs(float(OTHER.dalpha(t)[-1])))
    return Check(
        "Eqs. 26-27: the cosine and its derivatives",
        "§8.1.2, §8.2.2",
        "alpha = cos, sigma = sin of pi t / 2; the derivatives reach pi / 2 at the ends",
        "pi / 2 = 1.5708",
        f"{ends:.4f}, derivatives' relative error {power(error)}",
        max(preserved, error, abs(ends - math.pi / 2)) < EXACT,
        f"Against automatic differentiation; alpha^2 + sigma^2 is 1 to {power(preserved)}.",
    )


CHECKS = (
    full_is_the_monolith,
    prior_at_noise,
    mixed_objectives,
    same_time,
    round_trip,
    path_through_the_point,
    velocity_of_the_path,
    linear_case,
    update_rule,
    cosine,
)
