"""Routing rules to which an expert can be added, or from which taken, without training a router.

All are Bayes' rule, p(k | x_t, c) = n_k p(x_t, c | k) / sum, over evidence that each owner can give
alone: a head of its own, its denoising error, the captions on its card. An evidence module maps
(x_t, t, c) to log p(... | k) [B, K], up to a constant of the row.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modules.alignment import Alignment, MatchSNR
from modules.dit import DiT
from modules.ensemble import Posterior
from modules.expert import Expert
from modules.routing import RouterNetwork
from modules.schedules import Linear, Schedule, expand
from modules.text import Text
from modules.training import EVERY_ROW, Batch, DiffusionModule, Optim, Posed, generator


class Bayes(nn.Module):
    """p(k | x_t, t, c) = softmax_k(log n_k + sum of the evidence); sizes: n_k, [K]."""

    def __init__(self, sizes: Sequence[float], *evidence: nn.Module) -> None:
        super().__init__()
        self.log_sizes: Tensor
        self.register_buffer("log_sizes", torch.tensor(sizes, dtype=torch.float64).log())
        self.evidence = nn.ModuleList(evidence)

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        log_p = self.log_sizes.to(x).expand(len(x), -1)
        for evidence in self.evidence:
            log_p = log_p + evidence(x, t, c)
        return log_p.softmax(dim=1)


class Placed(nn.Module):
    """A posterior over some of the experts, p [B, len(places)], among K of which the rest get 0."""

    def __init__(self, router: nn.Module, places: Sequence[int], experts: int) -> None:
        super().__init__()
        self.router, self.places, self.experts = router, list(places), experts

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        p = x.new_zeros(len(x), self.experts)
        p[:, self.places] = self.router(x, t, c)
        return p


class Head(DiffusionModule):
    """One owner's own pictures against a public reference, as many of each in a batch.

    At its optimum the logit of a balanced classifier is log p(x_t, c | k) / p(x_t, c | public):
    trained in isolation, and comparable with every head that used the same reference.
    public: x0 [N, ...], tokens and pooled of the reference.
    """

    def __init__(
        self,
        shape: DiT,
        optim: Optim,
        public: Batch,
        pooled: int | None,
        schedule: Schedule = Linear(),
        seed: int = 0,
        text_dropout: float = 0.1,
        rows: slice = EVERY_ROW,
    ) -> None:
        super().__init__(RouterNetwork(shape, 1, pooled), optim, seed, text_dropout, rows=rows)
        self.public, self.schedule = public, schedule

    def pose(self, batch: Batch) -> Posed:
        own = len(batch["x0"])
        g = generator(self.seed + 1, int(batch["step"]))  # `draw` has the seed itself
        whole = torch.randint(len(self.public["x0"]), (own * self.rows.step,), generator=g)
        rows = whole[self.rows]
        both = {
            name: torch.cat([batch[name], self.public[name][rows].to(batch[name])])
            for name in ("x0", "tokens", "pooled")
        }
        t, eps, c = self.draw({**both, "step": batch["step"]})
        is_own = (torch.arange(2 * own, device=t.device) < own).to(t)
        return Posed(self.schedule.noise(both["x0"], eps, t), t, c, is_own)

    def judged(self, y: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The cross-entropy of logits y [B, 1] against 1 for the owner's own, 0 for the public."""
        return {"loss": F.binary_cross_entropy_with_logits(y[:, 0], target, reduction="none")}


class Odds(nn.Module):
    """The heads' logits, log p(x_t, c | k) - log p(x_t, c | public) [B, K].

    The reference's density is the same for every k, so Bayes' rule divides it out. It must cover
    the clusters: where it has no data a head has learned nothing.
    """

    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleList(heads)

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        return torch.cat([head(x, t, c) for head in self.heads], dim=1)


class DenoisingError(nn.Module):
    """log p(x_t | k), or log p(x_t | k, c), by the error with which expert k restores x_t.

    Noised on to s > t, x_s = a x_t + b z with a = alpha_s / alpha_t, b^2 = sigma_s^2 - a^2
    sigma_t^2, it is what the expert saw at s. Its (x0, eps) there make the mean of x_t, and the
    bound of Kingma et al. 2021 (VDM, Eq. 14), with SNR = a^2 / b^2 in place of theirs, becomes
    -log p(x_t | k) ~ 1/2 sum_i (SNR_{i-1} - SNR_i) |x_t - mean_k(x_{s_i})|^2 + const, approximate
    for one draw of z, finite levels and a trained expert. (Li et al. 2023 classify so.) Cells
    divide (t, 1] evenly but for the first of m + 1, whose SNR is unbounded, and each is evaluated
    at its middle. The noise of a level is one fixed draw for every row, expert and time: the answer
    depends on the row alone.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        levels: int,
        reads_text: bool,
        path: Schedule = Linear(),
        alignment: Alignment = MatchSNR(),
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.experts = list(experts)
        self.networks = nn.ModuleList(
            e.network for e in experts if isinstance(e.network, nn.Module)
        )
        self.levels, self.reads_text, self.seed = levels, reads_text, seed
        self.path, self.alignment = path, alignment

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        log_p = x.new_zeros(len(x), len(self.experts))
        rows = (self.path.alpha(t) > 0).nonzero()[:, 0]  # noise alone tells no experts apart
        if len(rows):
            c_rows = None if c is None else c[rows] if self.reads_text else c[rows].null()
            log_p[rows] = self._evidence(x[rows], t[rows], c_rows)
        return log_p

    def _evidence(self, x: Tensor, t: Tensor, c: Text | None) -> Tensor:
        m, g = self.levels, torch.Generator().manual_seed(self.seed)
        z = torch.randn(m, *x.shape[1:], generator=g, dtype=x.dtype).to(x)
        total = x.new_zeros(len(x), len(self.experts))
        for i in range(m):
            high, middle, low = (t + (1 - t) * (i + j) / (m + 1) for j in (1.0, 1.5, 2.0))
            weight = (self._snr(t, high) - self._snr(t, low)) / 2
            for k, expert in enumerate(self.experts):
                gap = x - self._restored(expert, x, z[i], t, middle, c)
                total[:, k] -= weight * gap.flatten(1).square().sum(dim=1)
        return total

    def _further(self, t: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """(a, b) of x_s = a x_t + b z."""
        a = self.path.alpha(s) / self.path.alpha(t)
        return a, (self.path.sigma(s) ** 2 - (a * self.path.sigma(t)) ** 2).sqrt()

    def _snr(self, t: Tensor, s: Tensor) -> Tensor:
        a, b = self._further(t, s)
        return (a / b) ** 2

    def _restored(
        self, expert: Expert, x: Tensor, z: Tensor, t: Tensor, s: Tensor, c: Text | None
    ) -> Tensor:
        """E[x_t | x_s, k]: alpha_t x0 + (a sigma_t^2 / sigma_s) eps, of the expert at (x_s, s)."""
        a, b = self._further(t, s)
        x_s = expand(a, x) * x + expand(b, x) * z
        x_expert, t_expert = self.alignment.expert_input(self.path, expert.schedule, x_s, s)
        x0, eps = expert.denoise(x_expert, t_expert, c)
        kept = a * self.path.sigma(t) ** 2 / self.path.sigma(s)
        return expand(self.path.alpha(t), x) * x0 + expand(kept, x) * eps


class Captions(nn.Module):
    """log p(c | k) [B, K]: a kernel density over the pooled captions on each expert's card.

    cards: for each expert its distinct captions [M, P] and how often each occurs [M]. The Gaussian
    kernel's width is a quarter of the least distance between two captions, so that a caption on a
    card outweighs its neighbours by e^8. To each card one caption is added, of the density of all
    cards together: a cluster that lacks a caption is improbable, not impossible, and a caption on
    no card goes by the nearest. A row without a caption has no evidence.
    """

    def __init__(self, cards: Sequence[tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        for k, (pooled, counts) in enumerate(cards):
            self.register_buffer(f"pooled_{k}", pooled)
            self.register_buffer(f"log_counts_{k}", counts.log())
        self.experts = len(cards)
        sizes = torch.stack([counts.sum() for _, counts in cards])
        self.log_sizes: Tensor
        self.register_buffer("log_sizes", sizes.double().log())
        apart = torch.pdist(torch.cat([pooled for pooled, _ in cards]).unique(dim=0))
        self.width = float(apart.min()) / 4 if len(apart) else 1.0

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        if c is None:
            raise ValueError("this rule reads captions; Text.null() stands for none")
        each = [
            self._log_mass(c, self.get_buffer(f"pooled_{k}"), self.get_buffer(f"log_counts_{k}"))
            for k in range(self.experts)
        ]
        mass = torch.stack(each, dim=1)  # of n_k captions
        together = mass.logsumexp(dim=1, keepdim=True) - self.log_sizes.logsumexp(dim=0)
        log_p = torch.logaddexp(mass, together) - self.log_sizes.exp().log1p()
        return torch.where(c.keep[:, None], log_p, 0.0).to(x)

    def _log_mass(self, c: Text, pooled: Tensor, log_counts: Tensor) -> Tensor:
        # Not by the matrix product, whose rounding keeps equal captions a little apart.
        d = torch.cdist(c.pooled, pooled, compute_mode="donot_use_mm_for_euclid_dist")
        d = d.double()  # exp(-d^2) of far captions is compared, not added
        return (log_counts.to(d) - (d / self.width) ** 2 / 2).logsumexp(dim=1)


class Without(nn.Module):
    """p restricted to the experts that are left, and renormalised: exact if p was."""

    def __init__(self, router: Posterior, removed: Sequence[int]) -> None:
        super().__init__()
        self.router, self.removed = router, list(removed)

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        p = self.router(x, t, c)
        kept = p.clamp(min=torch.finfo(p.dtype).tiny).clone()  # a row that has lost all is uniform
        kept[:, self.removed] = 0
        return kept / kept.sum(dim=1, keepdim=True)


class Joined(nn.Module):
    """A router of the old experts, joined by those that it never saw.

    p_k = q_k of the rule for a newcomer, and (1 - sum of those) p_old(k) for the others: the rule
    says how much goes to the newcomers, the router goes on dividing the rest.
    """

    def __init__(self, router: Posterior, rule: nn.Module, newcomers: Sequence[int]) -> None:
        super().__init__()
        self.router, self.rule = Without(router, newcomers), rule
        self.newcomers = list(newcomers)

    def forward(self, x: Tensor, t: Tensor, c: Text | None = None) -> Tensor:
        q = self.rule(x, t, c)[:, self.newcomers]
        p = (1 - q.sum(dim=1, keepdim=True)).clamp(min=0) * self.router(x, t, c)
        p[:, self.newcomers] = q
        return p
