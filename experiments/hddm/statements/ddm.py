"""What DDM says, the method that HDDM extends, where scenes can tell.  (McAllister et al. 2025)

Its router reads no text; under one that does, claims are read again. Its numbers are of ImageNet.
"""

from experiments.hddm.statements import margins
from experiments.tables.claim import Claim, Test, above, below, no_less
from experiments.tables.verdicts import Margin, half

FORMS = ("text-free", "text-aware")
LOST = Margin(
    half(9.84 - 10.52, 10.52).share,
    "half of the 6.5% of FID by which DDM calls one expert better asked than all: no loss is "
    "printed as allowed",
)
STEPS, OWN = "as many solver steps", "the scale's"


def _sixteen(strategy: str) -> tuple[Test, ...]:
    """Sixteen experts against eight, drawn with as many solver steps."""
    rows = [((STEPS, f, strategy, "16"), (STEPS, f, strategy, "8")) for f in FORMS]
    return tuple(above(f, "ablation-k", "fid", *pair) for f, pair in zip(FORMS, rows, strict=True))


def _eight(strategy: str, other: tuple[str, str] | None = None) -> tuple[Test, ...]:
    """Eight experts below another row of the same router, or below the monolith."""
    monolith = STEPS, "", "Monolithic", "1"
    rows = {
        f: ((STEPS, f, strategy, "8"), monolith if other is None else (STEPS, f, *other))
        for f in FORMS
    }
    return tuple(below(f"{f}; {strategy}", "ablation-k", "fid", *rows[f]) for f in FORMS)


def _by_features(strategy: str, form: str) -> Test:
    rows = [(clusters, form, strategy) for clusters in ("features", "at random")]
    return below(f"{form}; {strategy}", "ablation-text", "fid", *rows)


DDM = (
    Claim(
        "experts",
        "Sixteen experts are worse than eight where all are asked.",
        "15.43 against 10.52",
        _sixteen("Full"),
        half(15.43 - 10.52, 10.52),
    ),
    Claim(
        "experts",
        "Sixteen experts are worse than eight where one is asked.",
        "12.51 against 9.84",
        _sixteen("Top-1"),
        half(12.51 - 9.84, 9.84),
    ),
    Claim(
        "experts",
        "Eight experts are better than four where one is asked.",
        "9.84 against 12.54",
        _eight("Top-1", ("Top-1", "4")),
        half(9.84 - 12.54, 12.54),
    ),
    Claim(
        "strategies",
        "Of eight experts one alone is better asked than all.",
        "9.84 against 10.52",
        _eight("Top-1", ("Full", "8")),
        half(9.84 - 10.52, 10.52),
    ),
    Claim(
        "strategies",
        "Eight experts of which one is asked are better than the monolith.",
        "9.84 against 12.81",
        _eight("Top-1"),
        half(9.84 - 12.81, 12.81),
    ),
    Claim(
        "strategies",
        "Eight experts that are all asked are better than the monolith.",
        "10.52 against 12.81",
        _eight("Full"),
        half(10.52 - 12.81, 12.81),
    ),
    Claim(
        "clustering",
        "Clusters of features are better than random ones.",
        "clearly, no number",
        tuple(_by_features(s, form) for form in FORMS for s in ("Top-1", "Full")),
        margins.FID,
    ),
    Claim(
        "distillation",
        "Distilled into one dense model, nothing is lost: no FID.",
        "7.76 against 7.82",
        tuple(
            no_less(
                f"Top-{k}", "distill", "fid",
                (f"Ensemble, Top-{k}", OWN), (f"Student of Top-{k}", OWN),
            )
            for k in (1, 2)
        ),
        LOST,
    ),
    Claim(
        "distillation",
        "Distilled into one dense model, nothing is lost: as many prompts are obeyed.",
        "none printed",
        tuple(
            no_less(
                f"Top-{k}", "distill", "accuracy",
                (f"Student of Top-{k}", OWN), (f"Ensemble, Top-{k}", OWN),
            )
            for k in (1, 2)
        ),
        margins.PROMPTS,
    ),
)  # fmt: skip
