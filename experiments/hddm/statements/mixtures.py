"""What HDDM says of heterogeneous against homogeneous experts, and of how experts are trained."""

from dataclasses import replace

from experiments.hddm.readings import (
    BY_CAPTION,
    CORRECTED,
    EARLY,
    LATE,
    NULL_HALF,
    PIPED,
    SLOPES,
)
from experiments.hddm.statements import margins
from experiments.hddm.variants import DDPM_CLUSTERS, MIXES
from experiments.measures.losses import THIRDS
from experiments.tables.claim import Claim, Test, above, below, every, no_less
from experiments.tables.contrasts import Less, Value
from experiments.tables.verdicts import Expected, half

ROUTED = (
    *(("text-aware", how) for how in (EARLY, LATE, *SLOPES, CORRECTED)),
    *(("text-free", how) for how in (EARLY, LATE, CORRECTED)),
)
"""The router and the reading of the conversion. The paper's router reads no text: text-free with
the guards of §6.2 or of §8.3.4 is its own pipeline."""
TWO, ONE, NONE = reversed(MIXES)


def _mixed(key: str, setting: str, *, lower: bool) -> tuple[Test, ...]:
    """2DDPM:6FM against 8FM under every reading."""
    compare = below if lower else above
    readings = [*((form, how, "") for form, how in ROUTED), ("text-aware", BY_CAPTION, NULL_HALF)]
    pairs = {
        f"{form}; {how}": ((form, TWO, setting, how), (form, NONE, setting, plain))
        for form, how, plain in readings
    }
    return tuple(compare(f"{setting}; {n}", "table4", key, *rows) for n, rows in pairs.items())


def _settings(a: tuple[str, str], b: tuple[str, str]) -> tuple[Test, ...]:
    """One (mix, setting) below another in FID, under every reading."""
    return tuple(
        below(f"{form}; {how}", "table4", "fid", (form, *a, how), (form, *b, how))
        for form, how in ROUTED
    )


DDPM = "noise (DDPM), cosine"
VELOCITIES = ("velocity (FM), linear", "v, cosine")


def _errs(name: str, level: str, *, lower: bool) -> Test:
    """The x0 error of an expert at a noise level, against the DDPM expert's."""
    compare = below if lower else above
    where = f"{name}; noise level {level}"
    return compare(where, "ablation-weights", "x0_error", (name, level), (DDPM, level))


def _weighs(name: str) -> Test:
    """The share of its gradient that an expert has at high noise, against the DDPM expert's."""
    compared = above(name, "ablation-weights", "share", (name, THIRDS[2]), (DDPM, THIRDS[2]))
    return replace(compared, construction="the weights of Eqs. 9-11 say so, whatever is learned")


def _excels(cluster: int) -> tuple[Test, ...]:
    """FID of 7 FM experts and a DDPM expert of this cluster, against none of DDPM, and against one
    of each cluster that was not chosen."""

    def single(k: int) -> tuple[str, str, str]:
        return "nested" if k == DDPM_CLUSTERS[0] else "one by one", "1", f"{k}"

    own, none = single(cluster), ("nested", "0", "")
    each = [Less(own, single(k)) for k in range(8) if k not in DDPM_CLUSTERS]
    where = f"a DDPM expert of cluster {cluster}"
    return (
        below(f"{where}, against none", "ablation-ratio", "fid", own, none),
        every(
            f"{where}, against every cluster that was not chosen",
            "ablation-ratio",
            "fid",
            each,
            Expected.BELOW,
        ),
    )


EQUAL_COST = replace(
    no_less(
        "FLOPs", "table2", "flops", ("Ours (Homo)", "this scale"), ("Ours (Hetero)", "this scale")
    ),
    construction="one network, batch and number of steps, whatever it predicts",
)
BEGUN = (
    *(("0", "Eq. 20"), ("3", "Eq. 20"), ("0", "Eq. 20, text projection zero")),
    ("0", "Eq. 20, the recipe's new layers"),
)
"""The third is §6.2's letter, and the last changes nothing but the weights that are taken over."""

MIXTURES = (
    Claim(
        "§3.4.1, Table 4",
        "2DDPM:6FM beats 8FM in FID.",
        "11.88 − 12.45 = −0.57",
        _mixed("fid", "aligned", lower=True) + _mixed("fid", "conversion", lower=True),
        half(11.88 - 12.45, 12.45),
    ),
    Claim(
        "§3.2.1, blog",
        "Heterogeneous objectives come at no extra training cost.",
        "72 against 72 GPU-days",
        (EQUAL_COST,),
    ),
    Claim(
        "§3.4.1",
        "2DDPM:6FM is more diverse within a prompt than 8FM.",
        "0.631 − 0.617 = +0.014",
        _mixed("diversity", "aligned", lower=False),
        half(0.631 - 0.617, 0.617),
    ),
    Claim(
        "§3.4.1, Table 4",
        "Two DDPM experts beat one in FID.",
        "15.09 − 19.75 = −4.66",
        _settings((TWO, "conversion"), (ONE, "conversion")),
        half(15.09 - 19.75, 19.75),
    ),
    Claim(
        "Table 4",
        "For 2DDPM:6FM the aligned setting beats the conversion setting in FID.",
        "11.88 − 15.09 = −3.21",
        _settings((TWO, "aligned"), (TWO, "conversion")),
        half(11.88 - 15.09, 15.09),
    ),
    Claim(
        "§1, §3.2.2, Fig 3",
        "Initialised from another objective's checkpoint (Eq. 20) an expert converges 1.2 times "
        "sooner: no less, to half of the gain.",
        "1.2 ×",
        tuple(
            Test(
                f"cluster {cluster}; {begun}; to scratch's {where} loss",
                "ablation-init",
                f"speedup_{where}",
                Value((cluster, begun), less=1.2),
                Expected.NO_LESS,
            )
            for cluster, begun in BEGUN
            for where in ("final", "lowest", "half")
        ),
        half(1.2 - 1, 1),
    ),
    Claim(
        "§3.2.2, Fig 3",
        "At 75K of 500K steps (15 %) the initialised expert is ahead, here in validation loss.",
        "pictures",
        tuple(
            below(
                f"cluster {cluster}; {begun}",
                "ablation-init",
                "loss_sampled",
                (cluster, f"{begun}, at 15 %"),
                (cluster, "scratch, at 15 %"),
            )
            for cluster, begun in BEGUN
        ),
        margins.LOSS,
    ),
    Claim(
        "§2.4",
        "Velocity experts get relatively stronger gradients at high noise than noise experts.",
        "w_v / w_eps = 1 / alpha^2",
        tuple(_weighs(name) for name in VELOCITIES),
    ),
    Claim(
        "§2.4",
        "Complementary specialisation: at high noise a velocity expert errs less in x0.",
        "no number",
        tuple(_errs(name, level, lower=True) for name in VELOCITIES for level in ("0.8", "0.95")),
        margins.ERRORS,
    ),
    Claim(
        "§2.4, blog",
        "Complementary specialisation: at low noise it errs more than a noise expert.",
        "no number",
        tuple(_errs(name, level, lower=False) for name in VELOCITIES for level in ("0.05", "0.2")),
        margins.ERRORS,
    ),
    Claim(
        "§1",
        "Diversity comes while coherence is maintained: prompts are obeyed as with 8FM.",
        "no number",
        tuple(
            no_less(
                f"{form}; {how}",
                "table4",
                "accuracy",
                (form, TWO, "aligned", how),
                (form, NONE, "aligned", ""),
            )
            for form, how in ROUTED
        ),
        margins.PROMPTS,
    ),
    Claim(
        "§3.1, §6.2",
        "Epsilon prediction excels on the clusters chosen for it, 0 and 3.",
        "no number",
        tuple(test for cluster in DDPM_CLUSTERS for test in _excels(cluster)),
        margins.FID,
    ),
    Claim(
        "§3.4.2, §7.2, Figs 5, 11, 12",
        "Homogeneous samples are softer in texture, heterogeneous ones sharper in detail.",
        "pictures",
        tuple(
            above(row, "ablation-sharpness", "detail", (row, TWO, "Top-2"), (row, NONE, "Top-2"))
            for row in PIPED.values()
        ),
        margins.DETAIL,
    ),
    Claim(
        "§2.5",
        "AdaLN-Single saves parameters at maintained quality: FID is no higher than AdaLN-Zero's.",
        "no number",
        tuple(
            no_less(f"AdaLN-{zero}", "ablation-adaln", "fid", (zero,), ("Single",))
            for zero in ("Zero, as wide", "Zero, as many parameters")
        ),
        margins.FID,
    ),
    Claim(
        "§3.2.2, Fig 3",
        "At 75K of 500K steps the initialised expert's samples are better aligned with prompts.",
        "pictures",
        tuple(
            above(
                f"cluster {cluster}; {begun}",
                "ablation-init",
                "accuracy",
                (cluster, f"{begun}, at 15 %"),
                (cluster, "scratch, at 15 %"),
            )
            for cluster, begun in BEGUN
        ),
        margins.PROMPTS,
    ),
)
