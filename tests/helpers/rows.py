"""What a row of a table names, read off its stages; nothing is run.

At `small`, and at the paper's own dials on digits, where guidance and steps are the printed ones.
"""

from dataclasses import replace
from types import SimpleNamespace

import torch

from datamodules.sources.source import Split
from experiments.recipes.images import SCALES
from experiments.scores.within import WithinClusters
from experiments.stages.prompts import Heldout, InClusters
from experiments.stages.samples import Sample
from modules.alignment import MatchSNR, SameTime, WholeIndex
from modules.denoising import DDPMExpert, FlowMatchingExpert, VExpert, X0Expert
from modules.guard import Guard, LogisticDamping, NoDamping, StepDamping
from modules.schedules import Cosine, Linear
from modules.solvers import Euler
from modules.timesteps import Thousand

SEED = 3
"""Not the first, lest a table that forgets its seed goes unseen."""
EIGHT = tuple(range(8))
FM, FM_COSINE = (FlowMatchingExpert, Linear()), (FlowMatchingExpert, Cosine())
DDPM, X0, V = (DDPMExpert, Cosine()), (X0Expert, Cosine()), (VExpert, Cosine())  # §6.2: cosine
CASES = {  # a scale, the "one data cluster" and (steps, guidance) of §3.1 and of §3.3.1
    "small": SimpleNamespace(
        scale=SCALES["small"],
        pair=EIGHT,
        repeated=(40, 10),
        settings={"table 1": (25, 1.0), "aligned": (25, 2.0), "conversion": (38, 1.6)},
    ),
    "paper": SimpleNamespace(
        scale=SCALES["paper"],
        pair=(0,),
        repeated=(100, 10),  # §3.4.1
        settings={"table 1": (50, 7.5), "aligned": (50, 7.5), "conversion": (75, 6.0)},
    ),
}
EARLY = Guard(20.0, 0.01, damping=LogisticDamping())  # §6.2
LATE = Guard(20.0, 0.01, 1e-4, StepDamping())  # §8.3.4
READINGS = {
    "literal §6.2": (SameTime(), EARLY),
    "literal §8.3.4": (SameTime(), LATE),
    "literal §6.2, expert's derivatives": (SameTime(True), EARLY),
    "literal §8.3.4, expert's derivatives": (SameTime(True), LATE),
    "corrected": (MatchSNR(), Guard(t_max=0.95)),
    "equal time, to t = 0.95": (SameTime(), Guard(t_max=0.95)),
    "equal SNR, guards of §8.3.4": (MatchSNR(), LATE),
    "corrected, to t = 0.98": (MatchSNR(), Guard(t_max=0.98)),
}
FURTHER = {
    "literal §6.2, path's inverse": (SameTime(path_inverse=True), EARLY),
    "literal §8.3.4, path's inverse": (SameTime(path_inverse=True), LATE),
    "literal §6.2, clipped after guidance": (SameTime(), replace(EARLY, clip_guided=True)),
    "literal §8.3.4, clipped after guidance": (SameTime(), replace(LATE, clip_guided=True)),
    "literal §8.3.4, whole indices": (WholeIndex(SameTime()), LATE),
    "corrected, whole indices": (WholeIndex(MatchSNR()), Guard(t_max=0.95)),
}
"""What Table 3 alone asks."""
ALONE, WITHOUT = "equal time, to t = 0.95, ", "literal §8.3.4 without the "
GUARDS = {
    f"{ALONE}clip (Eq. 28) alone": Guard(20.0, t_max=0.95),
    "equal time, floor (Eq. 29) alone": Guard(alpha_floor=0.01),
    f"{ALONE}differences (Eq. 30) alone": Guard(difference=1e-4, t_max=0.95),
    f"{ALONE}damping (Eq. 31) alone": Guard(damping=StepDamping(), t_max=0.95),
    f"{WITHOUT}clip (Eq. 28)": Guard(None, 0.01, 1e-4, StepDamping()),
    f"{WITHOUT}floor (Eq. 29), to t = 0.95": Guard(20.0, None, 1e-4, StepDamping(), t_max=0.95),
    f"{WITHOUT}differences (Eq. 30)": Guard(20.0, 0.01, None, StepDamping()),
    f"{WITHOUT}damping (Eq. 31)": Guard(20.0, 0.01, 1e-4, NoDamping()),
}
"""One guard of §8.3.4 at a time."""
FURTHER |= {how: (SameTime(), guard) for how, guard in GUARDS.items()}
BEGUN = {
    "": (MatchSNR(), Guard(t_max=0.95)),
    ", from t = 0.999": (MatchSNR(), Guard(t_max=0.999)),
    ", from t = 0.999, x0 in [-1, 1]": (MatchSNR(), Guard(1.0, t_max=0.999)),
}
"""How a native sampler's row ends; the last keeps x0 among pixels."""
TABLE_3 = {  # above t = 0.5, and below (§3.3.1); LPIPS, FID, CLIP
    "Native DDPM": (DDPM, DDPM, 0.787, 27.04, 0.316),
    "FM": (FM, FM, 0.752, 20.23, 0.324),
    "DDPM→FM": (DDPM, DDPM, 0.761, 25.61, 0.319),
    "Combined, same schedule": (FM_COSINE, DDPM, 0.782, 32.67, 0.312),
    "Combined, different schedules": (FM, DDPM, 0.777, 33.29, 0.312),
}
TABLE_4 = {  # DDPM experts of eight, setting: FID
    (0, "aligned"): 12.45,
    (1, "conversion"): 19.75,
    (2, "conversion"): 15.09,
    (2, "aligned"): 11.88,
}
THREE = ("literal §6.2", "literal §8.3.4", "corrected")


def rows_of(script, case):
    """{names: row}; no two rows have one name, or one measurement."""
    rows = script.TABLE.rows(case.scale, SEED)
    names = [tuple(row.names.values()) for row in rows]
    assert len(set(names)) == len({(row.measured.key, row.at) for row in rows}) == len(rows)
    return dict(zip(names, rows, strict=True))


def kind(expert):
    """What an expert predicts, and on which schedule it was trained."""
    return expert.module, expert.schedule


def weights(sample, t, p=None):
    """What the experts weigh at time t under these probabilities, or equal ones."""
    k = len(sample.experts)
    p = torch.full((k,), 1 / k) if p is None else p
    return sample.selection.weights(p[None], torch.tensor([t]))[0]


def asked(sample, t):
    """The kinds of the experts that have a weight at time t."""
    pairs = zip(sample.experts, weights(sample, t).tolist(), strict=True)
    return [kind(expert) for expert, weight in pairs if weight > 0]


def sampled(row, case, setting, path=Linear(), solver=Euler(), reading=None, steps=None):
    """The row's sample set, drawn as a setting of the paper and a reading of the conversion say.

    reading: a name, or an alignment and a guard.  steps: where they are not the setting's.
    """
    sample = row.measured.pictures
    assert isinstance(sample, Sample)
    how = sample.setting
    own_steps, guidance = case.settings[setting]
    assert (how.steps, how.guidance) == (own_steps if steps is None else steps, guidance)
    assert (how.path, how.solver) == (path, solver)
    if reading is not None:
        alignment, guard = READINGS[reading] if isinstance(reading, str) else reading
        if guard.x0_clip == 20.0 and case.scale.data.latents.pixels:
            guard = replace(guard, x0_clip=5.0)  # Eq. 28 clips pixels at 5
        assert (how.alignment, how.guard) == (alignment, guard)
    assert {sample.seed, *(expert.seed for expert in sample.experts)} == {SEED}
    return sample


def pair(row, case, path=Linear(), solver=Euler(), reading=None, steps=None):
    """The sample set of experts of the one data cluster, which ask no router (§3.3.1)."""
    sample = sampled(row, case, "conversion", path, solver, reading, steps)
    assert {expert.clusters for expert in sample.experts} == {case.pair}
    shapes = {replace(expert.network, time=Thousand()) for expert in sample.experts}
    assert len(shapes) == len({expert.optim for expert in sample.experts}) == 1
    assert sample.router is None
    within(row.measured, case)
    return sample


def within(score, case):
    """What the experts of one cluster were never shown is neither asked nor compared with."""
    inside, n = case.pair != EIGHT, score.pictures.n
    assert score.pictures.asked == (InClusters(case.pair, n) if inside else Heldout(n))
    assert isinstance(score.judge, WithinClusters) == inside
    if inside:
        assert (score.judge.clusters, score.judge.places.split) == (case.pair, Split.HELDOUT)


def converted(sample, other=DDPM):
    """The clusters whose experts are of the other kind: FM has the rest, one expert a cluster."""
    assert [expert.clusters for expert in sample.experts] == [(k,) for k in EIGHT]
    assert {kind(expert) for expert in sample.experts} <= {FM, other}
    return [k for k, expert in enumerate(sample.experts) if kind(expert) == other]


def form(router):
    """The paper's router or Paris 2.0's, of all clusters and of the row's own seed."""
    assert (router.clusters, router.seed) == (EIGHT, SEED)
    return "text-aware" if router.reads_text else "text-free"
