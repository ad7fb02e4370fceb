"""What HDDM says of conversion, of combining two experts, of thresholds, order and schedules."""

from experiments.claims import Claim, Expected, Less, Swing, Test, above, below

READINGS = ("literal §6.2", "literal §8.3.4", "corrected")
SAMPLERS = ("DDIM", "ancestral")
FM = ("FM", "")
SAME, DIFFERENT = "Combined, same schedule", "Combined, different schedules"


def _converted(key: str, other: str, *, lower: bool) -> tuple[Test, ...]:
    """Every reading of the conversion against every native sampler, or against FM."""
    compare = below if lower else above
    others = [(other, sampler) for sampler in SAMPLERS] if other == "Native DDPM" else [FM]
    return tuple(
        compare(
            f"{reading}; {sampler}" if sampler else reading,
            "table3",
            key,
            ("DDPM→FM", reading),
            (name, sampler),
        )
        for reading in READINGS
        for name, sampler in others
    )


def _combined(key: str, *, lower: bool) -> tuple[Test, ...]:
    """Both combinations, under every reading, against FM alone."""
    compare = below if lower else above
    return tuple(
        compare(f"{name.removeprefix('Combined, ')}; {reading}", "table3", key, (name, reading), FM)
        for name in (SAME, DIFFERENT)
        for reading in READINGS
    )


def _thresholds(key: str, a: str, b: str, *, lower: bool) -> tuple[Test, ...]:
    """Two thresholds, under the paper's schedule and guards and under the corrected ones."""
    compare = below if lower else above
    return tuple(
        compare(name, "ablation-threshold", key, (name, a), (name, b))
        for name in ("same, §8.3.4", "same, corrected", "different, corrected")
    )


ORDERINGS = ("unified, §8.3.4", "different, §8.3.4", "different, corrected")

CONVERSION = (
    Claim(
        "§3.3.2 (1), Table 3",
        "Conversion improves on native DDPM in FID.",
        "25.61 − 27.04 = −1.43",
        _converted("fid", "Native DDPM", lower=True),
    ),
    Claim(
        "§3.3.2 (1), Table 3",
        "A converted DDPM expert follows the prompt better than a native one (CLIP).",
        "0.319 − 0.316 = +0.003",
        _converted("accuracy", "Native DDPM", lower=False),
    ),
    Claim(
        "§3.3.2 (1), Table 3",
        "FM is the strongest single expert: the converted one has a higher FID.",
        "25.61 − 20.23 = +5.38",
        _converted("fid", "FM", lower=False),
    ),
    Claim(
        "§3.3.2 (2), Table 3",
        "Native DDPM samples are more diverse than those of FM.",
        "0.787 − 0.752 = +0.035",
        tuple(above(s, "table3", "spread", ("Native DDPM", s), FM) for s in SAMPLERS),
    ),
    Claim(
        "§3.3.2 (2), Table 3",
        "Combining experts raises diversity over FM alone.",
        "0.782, 0.777 − 0.752 = +0.030, +0.025",
        _combined("spread", lower=False),
    ),
    Claim(
        "§3.3.2, Table 3",
        "Combining experts costs FID against FM alone.",
        "32.67, 33.29 − 20.23 = +12.44, +13.06",
        _combined("fid", lower=False),
    ),
    Claim(
        "Table 3",
        "Combining experts costs agreement with the prompt (CLIP).",
        "0.312 − 0.324 = −0.012",
        _combined("accuracy", lower=True),
    ),
    Claim(
        "§3.3.2 (3), Table 3",
        "The same schedule for both gives a marginally better FID than different ones.",
        "32.67 − 33.29 = −0.62",
        tuple(below(r, "table3", "fid", (SAME, r), (DIFFERENT, r)) for r in READINGS),
    ),
    Claim(
        "§3.3.2 (3)",
        "Objectives drive the gain in diversity, not schedules: the schedule changes it less.",
        "|0.777 − 0.782| < |0.777 − 0.752|",
        tuple(
            Test(
                reading,
                "table3",
                "spread",
                Swing((DIFFERENT, reading), (SAME, reading), (DIFFERENT, reading), FM),
                Expected.BELOW,
            )
            for reading in READINGS
        ),
    ),
    Claim(
        "§3.3.3, Fig 4",
        "A threshold of 0.2 has a better FID than 0.5.",
        "38.28 at 0.2, the best",
        _thresholds("fid", "0.2", "0.5", lower=True),
    ),
    Claim(
        "§3.3.3, Fig 4",
        "A threshold of 0.5 is more diverse than 0.2.",
        "no number",
        _thresholds("spread", "0.5", "0.2", lower=False),
    ),
    Claim(
        "§3.3.3 and blog",
        "A threshold of 0.7 degrades FID.",
        "no number",
        _thresholds("fid", "0.7", "0.2", lower=False),
    ),
    Claim(
        "blog",
        "A threshold of 0.7 degrades diversity.",
        "no number",
        _thresholds("spread", "0.7", "0.5", lower=True),
    ),
    Claim(
        "§7.3, Fig 13",
        "FM→DDPM is better than DDPM→FM at every switching time.",
        "pictures",
        tuple(
            below(
                f"{name}; t = {t}",
                "ablation-ordering",
                "fid",
                (name, "FM→DDPM", t),
                (name, "DDPM→FM", t),
            )
            for name in ORDERINGS
            for t in ("0.3", "0.5", "0.7")
        ),
    ),
    Claim(
        "§7.3, Fig 13",
        "DDPM→FM is worse the longer DDPM goes first (switch at t = 0.3 against 0.7).",
        "pictures",
        tuple(
            above(n, "ablation-ordering", "fid", (n, "DDPM→FM", "0.3"), (n, "DDPM→FM", "0.7"))
            for n in ORDERINGS
        ),
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
    ),
    Claim(
        "§7.3, §8.2",
        "The safeguards bias converted samples: without them, at equal noise level, FID is better.",
        "no number",
        tuple(
            Test(r, "table3", "fid", Less(("DDPM→FM", "corrected"), ("DDPM→FM", r)), Expected.BELOW)
            for r in READINGS[:2]
        ),
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
    ),
)
