"""What HDDM says of decentralised against monolithic models, and of which experts to ask."""

from dataclasses import replace

from experiments.hddm.readings import PIPED
from experiments.hddm.statements import margins
from experiments.hddm.variants import HETEROGENEOUS
from experiments.tables.claim import Claim, Test, above, below, every
from experiments.tables.contrasts import Less, Value
from experiments.tables.verdicts import Expected, half

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


def _cheaper(form: str) -> Test:
    counted = below(
        form, "ablation-selection", "expert_evaluations", ("Top-2", form), ("Full", form)
    )
    return replace(counted, construction="Top-2 asks two experts of eight: that is what it means")


def _blurred(piped: str) -> Test:
    """Whether Full of a mixed ensemble has less fine detail than either of those with fewer."""
    row = (piped, HETEROGENEOUS)
    each = [Less((*row, "Full"), (*row, few)) for few in ("Top-1", "Top-2")]
    return every(row[0], "ablation-sharpness", "detail", each, Expected.BELOW)


def _routed(form: str, t: str) -> Test:
    """Whether the router is right more often than the largest cluster's share."""
    row = (form, "as trained", t)
    why = {
        "text-aware": "a caption names the digit, and with it most often the cluster",
        "text-free": "" if t == "0.95" else "a picture that is half data shows its own cluster",
    }
    where, contrast = f"{form}; t = {t}", Value(row)
    key = "over_majority"
    return Test(where, "ablation-router", key, contrast, Expected.ABOVE, construction=why[form])


def _better(a: str, b: str) -> tuple[Test, ...]:
    return tuple(below(f, "ablation-selection", "fid", (a, f), (b, f)) for f in FORMS)


ROUTING = (
    Claim(
        "§3.2, Table 1",
        "Top-2 beats the monolith in FID, by 23.7 %.",
        "22.60 − 29.64 = −7.04",
        _against_monolith("Top-2", worse=False),
        half(22.60 - 29.64, 29.64),
    ),
    Claim(
        "§3.2, Table 1",
        "The full ensemble is worse than the monolith.",
        "47.89 − 29.64 = +18.25",
        _against_monolith("Full", worse=True),
        half(47.89 - 29.64, 29.64),
    ),
    Claim(
        "Table 1",
        "Top-1 is worse than the monolith.",
        "30.60 − 29.64 = +0.96",
        _against_monolith("Top-1", worse=True),
        half(30.60 - 29.64, 29.64),
    ),
    Claim(
        "§3.2, §7.5",
        "Top-2 beats Top-1.",
        "22.60 − 30.60 = −8.00",
        _better("Top-2", "Top-1"),
        half(22.60 - 30.60, 30.60),
    ),
    Claim(
        "§3.2, §7.5",
        "Top-2 beats Full.",
        "22.60 − 47.89 = −25.29",
        _better("Top-2", "Full"),
        half(22.60 - 47.89, 47.89),
    ),
    Claim(
        "§3.2",
        "Selective activation is crucial: even Top-1 beats Full.",
        "30.60 − 47.89 = −17.29",
        _better("Top-1", "Full"),
        half(30.60 - 47.89, 47.89),
    ),
    Claim(
        "§7.5",
        "Ensembles of 2-3 experts outperform larger ones: Top-3 beats Top-6.",
        "no number",
        _better("Top-3", "Top-6"),
        margins.FID,
    ),
    Claim(
        "§7.5",
        "Top-K is cheaper than Full: fewer evaluations of experts.",
        "no number",
        tuple(_cheaper(form) for form in FORMS),
    ),
    Claim(
        "§7.5",
        "Full over-smooths: sharp features blur that Top-1 and Top-2 keep.",
        "pictures",
        tuple(_blurred(piped) for piped in PIPED.values()),
        margins.DETAIL,
    ),
    Claim(
        "§2.1, §6.3",
        "The router learns the clusters of noisy inputs: it is right more often than if it always "
        "named the largest.",
        "no number",
        tuple(_routed(form, t) for form in FORMS for t in ("0.05", "0.5", "0.95")),
        margins.MAJORITY,
    ),
    Claim(
        "§5 (iv)",
        "Adding or removing experts requires retraining the router: every other rule is worse.",
        "no number",
        tuple(
            every(
                f"{case}: every rule",
                "ablation-join",
                "fid",
                [Less((case, rule), (case, "trained")) for rule in rules],
                Expected.ABOVE,
            )
            for case, rules in JOINING.items()
        ),
        margins.FID,
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
