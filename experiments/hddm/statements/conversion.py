"""What HDDM says of conversion, of combining two experts, of thresholds, order and schedules."""

from experiments.hddm.readings import READINGS, SAMPLERS, SLOPES, WHOLE
from experiments.hddm.statements import margins
from experiments.tables.claim import Claim, Test, above, below, every, no_less
from experiments.tables.contrasts import Less, Names, Swing
from experiments.tables.verdicts import Expected, half

FM = ("FM", "")
SAME, DIFFERENT = "Combined, same schedule", "Combined, different schedules"


def _converted(key: str, others: tuple[Names, ...], *, lower: bool) -> tuple[Test, ...]:
    """Every reading of the conversion against every one of the others."""
    compare = below if lower else above
    return tuple(
        compare(f"{how}; {', '.join(filter(None, row))}", "table3", key, ("DDPM→FM", how), row)
        for how in (*READINGS, *SLOPES, *WHOLE)
        for row in others
    )


def _combined(key: str, *, lower: bool) -> tuple[Test, ...]:
    """Both combinations, under every reading, against FM alone.

    On one schedule §6.2 guards nothing and is the corrected reading: it counts once.
    """
    compare = below if lower else above
    readings = {SAME: READINGS[1:], DIFFERENT: READINGS}
    return tuple(
        compare(f"{name.removeprefix('Combined, ')}; {how}", "table3", key, (name, how), FM)
        for name, hows in readings.items()
        for how in hows
    )


NATIVE = tuple(("Native DDPM", sampler) for sampler in SAMPLERS)
"""The paper states neither its sampler nor where it begins."""

CONVERSION = (
    Claim(
        "§3.3.2 (1), Table 3",
        "Conversion improves on native DDPM in FID.",
        "25.61 − 27.04 = −1.43",
        _converted("fid", NATIVE, lower=True),
        half(25.61 - 27.04, 27.04),
    ),
    Claim(
        "§3.3.2 (1), Table 3",
        "Conversion preserves agreement with the prompt (CLIP), to a point.",
        "0.319 − 0.316 = +0.003",
        tuple(
            no_less(f"{how}; {row[1]}", "table3", "accuracy", ("DDPM→FM", how), row)
            for how in (*READINGS, *SLOPES, *WHOLE)
            for row in NATIVE
        ),
        margins.PROMPTS,
    ),
    Claim(
        "§3.3.2 (1), Table 3",
        "FM is the strongest single expert: the converted one has a higher FID.",
        "25.61 − 20.23 = +5.38",
        _converted("fid", (FM,), lower=False),
        half(25.61 - 20.23, 20.23),
    ),
    Claim(
        "§3.3.2 (1), Table 3",
        "FM is the strongest single expert: native DDPM has a higher FID.",
        "27.04 − 20.23 = +6.81",
        tuple(above(row[1], "table3", "fid", row, FM) for row in NATIVE),
        half(27.04 - 20.23, 20.23),
    ),
    Claim(
        "Table 3",
        "A converted expert's samples are more diverse than those of FM.",
        "0.761 − 0.752 = +0.009",
        _converted("spread", (FM,), lower=False),
        half(0.761 - 0.752, 0.752),
    ),
    Claim(
        "Table 3",
        "FM agrees best with the prompt (CLIP): a converted expert agrees less.",
        "0.319 − 0.324 = −0.005",
        _converted("accuracy", (FM,), lower=True),
        half(0.319 - 0.324, 0.324),
    ),
    Claim(
        "§3.3.2 (2), Table 3",
        "Native DDPM samples are more diverse than those of FM.",
        "0.787 − 0.752 = +0.035",
        tuple(above(s, "table3", "spread", ("Native DDPM", s), FM) for s in SAMPLERS),
        half(0.787 - 0.752, 0.752),
    ),
    Claim(
        "§3.3.2 (2), Table 3",
        "Combining experts raises diversity over FM alone.",
        "0.782, 0.777 − 0.752 = +0.030, +0.025",
        _combined("spread", lower=False),
        half(0.777 - 0.752, 0.752),
    ),
    Claim(
        "§3.3.2 (2), Table 3",
        "Combined experts come near the diversity of native DDPM, which is above FM's: nearer than "
        "FM alone does.",
        "0.782, 0.777 against 0.787; FM 0.752",
        tuple(
            every(
                f"{name.removeprefix('Combined, ')}; {how}; {native[1]}",
                "table3",
                "spread",
                (Less(FM, native), Swing((name, how), native, FM, native)),
                Expected.BELOW,
            )
            for name in (SAME, DIFFERENT)
            for how in READINGS[1:]
            for native in NATIVE
        ),
        half((0.787 - 0.777) - (0.787 - 0.752), 0.787),
    ),
    Claim(
        "§3.3.2, Table 3",
        "Combining experts costs FID against FM alone.",
        "32.67, 33.29 − 20.23 = +12.44, +13.06",
        _combined("fid", lower=False),
        half(32.67 - 20.23, 20.23),
    ),
    Claim(
        "Table 3",
        "Combining experts costs agreement with the prompt (CLIP).",
        "0.312 − 0.324 = −0.012",
        _combined("accuracy", lower=True),
        half(0.312 - 0.324, 0.324),
    ),
    Claim(
        "§3.3.2 (3), Table 3",
        "The same schedule for both gives a marginally better FID than different ones.",
        "32.67 − 33.29 = −0.62",
        tuple(below(r, "table3", "fid", (SAME, r), (DIFFERENT, r)) for r in READINGS),
        half(32.67 - 33.29, 33.29),
    ),
    Claim(
        "§3.3.2 (3)",
        "Objectives drive the gain in diversity over FM, not schedules: there is a gain, and the "
        "schedule changes it less.",
        "0.005 against 0.025",
        tuple(
            every(
                reading,
                "table3",
                "spread",
                (
                    Less(FM, (DIFFERENT, reading)),
                    Swing((DIFFERENT, reading), (SAME, reading), (DIFFERENT, reading), FM),
                ),
                Expected.BELOW,
            )
            for reading in READINGS
        ),
        half(0.005 - 0.025, 0.752),
    ),
)
