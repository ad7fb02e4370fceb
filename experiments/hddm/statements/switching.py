"""What HDDM says of switching between two experts: threshold, order, schedules."""

from experiments.hddm.readings import READINGS
from experiments.hddm.statements import margins
from experiments.tables.claim import Claim, Test, above, below, every
from experiments.tables.contrasts import Less, Swing
from experiments.tables.verdicts import Expected

THRESHOLDED = ("same, §8.3.4", "same, corrected", "different, §8.3.4", "different, corrected")


def _thresholds(key: str, a: str, b: str, *, lower: bool) -> tuple[Test, ...]:
    """Two thresholds, on either schedule, with the paper's guards and without."""
    compare = below if lower else above
    return tuple(
        compare(name, "ablation-threshold", key, (name, a), (name, b)) for name in THRESHOLDED
    )


def _best(threshold: str) -> tuple[Test, ...]:
    """A threshold against every other in FID."""
    others = [f"0.{i}" for i in range(1, 10) if f"0.{i}" != threshold]
    return tuple(
        every(
            f"{name}, against every other",
            "ablation-threshold",
            "fid",
            [Less((name, threshold), (name, other)) for other in others],
            Expected.BELOW,
        )
        for name in THRESHOLDED
    )


ORDERINGS = ("unified, §8.3.4", "unified, corrected", "different, §8.3.4", "different, corrected")

SWITCHING = (
    Claim(
        "§3.3.3, Fig 4",
        "A threshold of 0.2 has a better FID than 0.5, and the best.",
        "38.28 at 0.2, the best",
        _thresholds("fid", "0.2", "0.5", lower=True) + _best("0.2"),
        margins.FID,
    ),
    Claim(
        "§3.3.3, Fig 4",
        "A threshold of 0.5 is more diverse than 0.2.",
        "no number",
        _thresholds("spread", "0.5", "0.2", lower=False),
        margins.DIVERSITY,
    ),
    Claim(
        "§3.3.3, blog",
        "Lower thresholds favour quality, 0.2-0.3 against 0.4-0.5: 0.3 has a better FID than 0.4.",
        "no number",
        _thresholds("fid", "0.3", "0.4", lower=True),
        margins.FID,
    ),
    Claim(
        "§3.3.3, blog",
        "Mid-range thresholds favour diversity, 0.4-0.5 against 0.2-0.3: 0.4 has more than 0.3.",
        "no number",
        _thresholds("spread", "0.4", "0.3", lower=False),
        margins.DIVERSITY,
    ),
    Claim(
        "blog",
        "A threshold of 0.7 degrades FID.",
        "no number",
        _thresholds("fid", "0.7", "0.2", lower=False),
        margins.FID,
    ),
    Claim(
        "blog",
        "A threshold of 0.7 degrades diversity.",
        "no number",
        _thresholds("spread", "0.7", "0.5", lower=True),
        margins.DIVERSITY,
    ),
    Claim(
        "§7.3, blog",
        "Conversion should be restricted to t < 0.5: beyond, FID is worse (0.5 against 0.9).",
        "no number",
        _thresholds("fid", "0.5", "0.9", lower=True),
        margins.FID,
    ),
    Claim(
        "§7.3, Fig 13",
        "FM→DDPM is better than DDPM→FM at every switching time.",
        "pictures",
        tuple(
            every(
                f"{name}; every time",
                "ablation-ordering",
                "fid",
                [Less((name, "FM→DDPM", t), (name, "DDPM→FM", t)) for t in ("0.3", "0.5", "0.7")],
                Expected.BELOW,
            )
            for name in ORDERINGS
        ),
        margins.FID,
    ),
    Claim(
        "§7.3, Fig 13",
        "DDPM→FM is worse the longer DDPM goes first (switch at t = 0.3 against 0.7).",
        "pictures",
        tuple(
            above(n, "ablation-ordering", "fid", (n, "DDPM→FM", "0.3"), (n, "DDPM→FM", "0.7"))
            for n in ORDERINGS
        ),
        margins.FID,
    ),
    Claim(
        "§7.3, Fig 13",
        "The switching time matters less for FM→DDPM than for DDPM→FM.",
        "pictures",
        tuple(
            Test(
                n,
                "ablation-ordering",
                "fid",
                Swing(
                    (n, "FM→DDPM", "0.7"),
                    (n, "FM→DDPM", "0.3"),
                    (n, "DDPM→FM", "0.7"),
                    (n, "DDPM→FM", "0.3"),
                ),
                Expected.BELOW,
            )
            for n in ORDERINGS
        ),
        margins.FID,
    ),
    Claim(
        "§7.3, §8.2",
        "Where DDPM goes first the safeguards bias samples: without them, all else equal, FID is "
        "better.",
        "no number",
        tuple(
            below(
                f"unified; t = {t}",
                "ablation-ordering",
                "fid",
                ("unified, corrected", "DDPM→FM", t),
                ("unified, §8.3.4", "DDPM→FM", t),
            )
            for t in ("0.3", "0.5", "0.7")
        ),
        margins.FID,
    ),
    Claim(
        "§7.4, Fig 14",
        "Different schedules give better samples than the same schedule.",
        "pictures; Table 3 says the contrary",
        tuple(
            below(
                f"{mix}; {reading}",
                "ablation-schedules",
                "fid",
                (mix, "linear", "linear", reading),
                (mix, "cosine", "cosine", reading),
            )
            for mix in ("FM→DDPM at 0.5", "average")
            for reading in READINGS
        ),
        margins.FID,
    ),
    Claim(
        "§7.4",
        "The cosine schedule hinders an FM expert.",
        "no number",
        (
            above(
                "each on its own path",
                "ablation-schedules",
                "fid",
                ("FM alone", "cosine", "cosine"),
                ("FM alone", "linear", "linear"),
            ),
        ),
        margins.FID,
    ),
    Claim(
        "§7.4",
        "The cosine schedule benefits a DDPM expert.",
        "no number",
        (
            below(
                "each on its own path",
                "ablation-schedules",
                "fid",
                ("DDPM alone", "cosine", "cosine"),
                ("DDPM alone", "linear", "linear"),
            ),
        ),
        margins.FID,
    ),
)
