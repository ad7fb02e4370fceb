"""What HDDM says of decentralised against monolithic models, and of which experts to ask."""

from experiments.tables.claim import Claim, Expected, Test, above, below
from experiments.tables.contrasts import Value

FORMS = ("text-free", "text-aware")
"""The paper's router reads no text (Eq. 2); under one that does, every claim is read again."""
MONOLITH = ("Monolithic", "")


RULES = ("heads", "denoising error", "card text", "card text, denoising error")
JOINING = {
    "one removed": ("trained before, masked", *RULES),
    "one added later": tuple(f"trained before, {rule}" for rule in RULES),
}


def _against_monolith(strategy: str, worse: bool) -> tuple[Test, ...]:
    compare = above if worse else below
    return tuple(compare(f, "table1", "fid", (strategy, f), MONOLITH) for f in FORMS)


def _better(a: str, b: str, key: str = "fid") -> tuple[Test, ...]:
    return tuple(below(f, "ablation-selection", key, (a, f), (b, f)) for f in FORMS)


ROUTING = (
    Claim(
        "§3.2, Table 1",
        "Top-2 beats the monolith in FID, by 23.7 %.",
        "22.60 − 29.64 = −7.04",
        _against_monolith("Top-2", worse=False),
    ),
    Claim(
        "§3.2, Table 1",
        "The full ensemble is worse than the monolith.",
        "47.89 − 29.64 = +18.25",
        _against_monolith("Full", worse=True),
    ),
    Claim(
        "Table 1",
        "Top-1 is worse than the monolith.",
        "30.60 − 29.64 = +0.96",
        _against_monolith("Top-1", worse=True),
    ),
    Claim("§3.2, §7.5", "Top-2 beats Top-1.", "22.60 − 30.60 = −8.00", _better("Top-2", "Top-1")),
    Claim("§3.2, §7.5", "Top-2 beats Full.", "22.60 − 47.89 = −25.29", _better("Top-2", "Full")),
    Claim(
        "§3.2",
        "Selective activation is crucial: even Top-1 beats Full.",
        "30.60 − 47.89 = −17.29",
        _better("Top-1", "Full"),
    ),
    Claim(
        "§7.5",
        "Ensembles of 2-3 experts outperform larger ones: Top-3 beats Top-6.",
        "no number",
        _better("Top-3", "Top-6"),
    ),
    Claim(
        "§7.5",
        "Top-K is cheaper than Full: fewer evaluations of experts.",
        "no number",
        _better("Top-2", "Full", "expert_evaluations"),
    ),
    Claim(
        "§7.5",
        "Full over-smooths: sharp features blur, colours are inconsistent.",
        why="seen in pictures; no measure of it here that is not also one of obeying the prompt",
    ),
    Claim(
        "§2.1, §6.3",
        "The router learns the clusters of noisy inputs: it is right more often than if it always "
        "named the largest.",
        "no number",
        tuple(
            Test(
                f"{form}; t = {t}",
                "ablation-router",
                "over_majority",
                Value((form, "as trained", t)),
                Expected.ABOVE,
            )
            for form in FORMS
            for t in ("0.05", "0.5", "0.95")
        ),
    ),
    Claim(
        "§5 (iv)",
        "Adding or removing experts requires retraining the router: every other rule is worse.",
        "no number",
        tuple(
            above(f"{case}: {rule}", "ablation-join", "fid", (case, rule), (case, "trained"))
            for case, rules in JOINING.items()
            for rule in rules
        ),
    ),
    Claim(
        "§3.2.1, Table 2",
        "72 GPU-days reach an FID that needed 1176 in prior work's scale of training.",
        "12.45 against 5.5-10.5",
        why="two systems at a size of which nothing here is a sample",
    ),
    Claim(
        "§2.1",
        "Clustering DINOv2 features gives semantically coherent partitions.",
        why="no DINOv2 features at this scale",
    ),
)
