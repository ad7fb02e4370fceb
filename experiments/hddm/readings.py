"""The readings of HDDM's conversion of a prediction into a velocity, as named values.

The paper asks at equal time, states two dampings that exclude each other, and leaves open whose
derivatives enter Eq. 7 (§2.3, §6.2, §8.3): those of the sampling path, on which Eq. 1 needs its
velocities, or those of the expert's schedule, of which §8.1.2 and Eq. 30 speak. Corrected asks at
equal signal-to-noise ratio, and keeps an epsilon expert from t = 1, where it says nothing of x0.
"""

from dataclasses import replace

from experiments.hddm import settings
from experiments.hddm.variants import MIXES
from experiments.recipes import experts
from experiments.recipes.images import ImageScale
from experiments.stages.setting import Setting
from modules.alignment import MatchSNR, SameTime, WholeIndex
from modules.guard import LAST, Guard, NoDamping
from modules.schedules import Cosine
from modules.solvers import DDIM, Ancestral, Solver

EARLY, LATE, CORRECTED = "literal §6.2", "literal §8.3.4", "corrected"
READINGS = (EARLY, LATE, CORRECTED)
SLOPES = tuple(f"{how}, expert's derivatives" for how in (EARLY, LATE))
"""Names of readings; the last two differentiate the expert's schedule, not the sampling path."""
LATEST, STANDARD = 0.98, 0.999
"""Later LASTs, for Table 3; from the second a sampler of 1000 times begins, as most do."""
BEGUN = ("", f", from t = {STANDARD:g}", f", from t = {STANDARD:g}, x0 in [-1, 1]")
"""Where a native sampler begins, and to what x0 is clipped; the first is at LAST."""
SAMPLERS = tuple(f"{sampler}{begun}" for begun in BEGUN for sampler in ("DDIM", "ancestral"))
COUNTS = (25, 75, 300)
"""Steps at which native and converted sampling are compared. 75 is the paper's count."""
WHOLE = tuple(f"{how}, path's inverse" for how in (EARLY, LATE))
GUIDED = tuple(f"{how}, clipped after guidance" for how in (EARLY, LATE))
INDEXED = tuple(f"{how}, whole indices" for how in (LATE, CORRECTED))
OWN = (*SAMPLERS, EARLY, LATE, *SLOPES, *WHOLE, *GUIDED, INDEXED[0])
"""Readings that the paper's text allows, so that its numbers may be theirs."""
NULL_HALF = "null half routed by the caption"
BY_CAPTION = f"{CORRECTED}, {NULL_HALF}"

PIPELINES = {"text-free": LATE, "text-aware": CORRECTED}
"""The reading under each form of router: the first is the paper's own pipeline, as §2.3, §8.3 and
Eq. 2 have it, the second is ours."""
PIPED = {form: f"{form}, {how}" for form, how in PIPELINES.items()}
"""What a row of either pipeline is called."""

UNALIGNED, GUARDED = f"equal time, to t = {LAST:g}", "equal SNR, guards of §8.3.4"
GUARDS = ("clip (Eq. 28)", "floor (Eq. 29)", "differences (Eq. 30)", "damping (Eq. 31)")
CLIP, FLOOR, DIFFERENCES, DAMPING = GUARDS
ALONE = tuple(f"{'equal time' if g == FLOOR else UNALIGNED}, {g} alone" for g in GUARDS)
WITHOUT = tuple(
    f"{LATE} without the {g}{f', to t = {LAST:g}' if g == FLOOR else ''}" for g in GUARDS
)
"""Names of readings: one guard of §8.3.4 at a time, and all but one."""
ONE_BY_ONE = ((CORRECTED, UNALIGNED), (GUARDED, LATE), (CORRECTED, GUARDED), (UNALIGNED, LATE))
"""Pairs that differ in one thing: the alignment in the first two, the guards in the others."""


def corrected(setting: Setting, last: float = LAST) -> Setting:
    """Equal signal-to-noise ratio, nothing clipped or damped."""
    return replace(setting, alignment=MatchSNR(), guard=Guard(t_max=last))


def _literal(setting: Setting, guard: Guard, own_derivatives: bool) -> Setting:
    return replace(setting, alignment=SameTime(own_derivatives), guard=guard)


def literal(scale: ImageScale, setting: Setting) -> dict[str, Setting]:
    """Equal time, with the guards of §6.2 and of §8.3.4; Eq. 28 clips pixels at 5, latents at 20.

    The first two differentiate the sampling path in Eq. 7, the last two the expert's schedule.
    """
    guards = _guards(scale)
    return {
        name: _literal(setting, guard, own)
        for own, names in ((False, (EARLY, LATE)), (True, SLOPES))
        for name, guard in zip(names, guards, strict=True)
    }


def _guards(scale: ImageScale) -> tuple[Guard, Guard]:
    """Those of §6.2 and of §8.3.4, for what the latents are."""
    clip = 5.0 if experts.shards(scale).latents.pixels else 20.0
    return Guard.paper_6_2(clip), Guard.paper_8_3_4(clip)


def halves(scale: ImageScale, setting: Setting) -> dict[str, Setting]:
    """What corrected changes, one at a time: the alignment, and the guards; and a later LAST."""
    _, late = _guards(scale)
    return {
        UNALIGNED: _literal(setting, Guard(t_max=LAST), False),
        GUARDED: replace(setting, alignment=MatchSNR(), guard=late),
        f"corrected, to t = {LATEST:g}": corrected(setting, LATEST),
    }


def guards(scale: ImageScale, setting: Setting) -> dict[str, Setting]:
    """The guards of §8.3.4 at equal time, one by one: each alone, then each left out.

    Without a floor Eq. 5 divides by 0 at t = 1: there the expert is asked at t <= LAST instead.
    """
    _, late = _guards(scale)
    alone = {
        CLIP: Guard(late.x0_clip, t_max=LAST),
        FLOOR: Guard(alpha_floor=late.alpha_floor),
        DIFFERENCES: Guard(difference=late.difference, t_max=LAST),
        DAMPING: Guard(damping=late.damping, t_max=LAST),
    }
    without = {
        CLIP: replace(late, x0_clip=None),
        FLOOR: replace(late, alpha_floor=None, t_max=LAST),
        DIFFERENCES: replace(late, difference=None),
        DAMPING: replace(late, damping=NoDamping()),
    }
    named = dict(zip((*ALONE, *WITHOUT), (*alone.values(), *without.values()), strict=True))
    return {name: _literal(setting, guard, False) for name, guard in named.items()}


def further(scale: ImageScale, setting: Setting) -> dict[str, Setting]:
    """Readings that the text allows and whose effect Table 3 asks for, one change at a time.

    Eq. 8 taken whole: the path's alpha and sigma in Eq. 5 too. Eq. 28 after guidance, not before.
    Eq. 21's integers, for the DDPM expert.
    """
    printed = literal(scale, setting) | {CORRECTED: corrected(setting)}
    made = {}
    for whole, guided, how in zip(WHOLE, GUIDED, (EARLY, LATE), strict=True):
        each = printed[how]
        made[whole] = replace(each, alignment=SameTime(path_inverse=True))
        made[guided] = replace(each, guard=replace(each.guard, clip_guided=True))
    for indexed, how in zip(INDEXED, (LATE, CORRECTED), strict=True):
        each = printed[how]
        made[indexed] = replace(each, alignment=WholeIndex(each.alignment))
    return made


def native(scale: ImageScale, setting: Setting) -> dict[str, Setting]:
    """DDPM's own samplers: begun where a corrected expert is asked last, and where a standard one
    begins, there with x0 kept within the range of pixels as well, as Ho et al. (2020) keep it."""
    samplers: dict[str, Solver] = {"DDIM": DDIM(), "ancestral": Ancestral()}
    guards = [Guard(t_max=LAST), Guard(t_max=STANDARD)]
    if experts.shards(scale).latents.pixels:
        guards.append(Guard(1.0, t_max=STANDARD))
    return {
        f"{name}{begun}": replace(setting, solver=solver, guard=guard)
        for begun, guard in zip(BEGUN, guards, strict=False)
        for name, solver in samplers.items()
    }


def by_steps(how: str, setting: Setting) -> dict[str, Setting]:
    """The setting at other numbers of steps than its own."""
    others = [n for n in COUNTS if n != setting.steps]
    return {f"{how}, {n} steps": replace(setting, steps=n) for n in others}


def primary(scale: ImageScale, setting: Setting) -> dict[str, Setting]:
    """The two literal readings that follow the sampling path, and the corrected one."""
    printed = literal(scale, setting)
    return {EARLY: printed[EARLY], LATE: printed[LATE], CORRECTED: corrected(setting)}


def pipeline(scale: ImageScale, setting: Setting, form: str, mix: str) -> Setting:
    """The setting of a mixture in the pipeline of a form of router; 8FM converts nothing."""
    return primary(scale, setting)[PIPELINES[form] if MIXES[mix] else CORRECTED]


def crossed(scale: ImageScale, same: str) -> dict[str, Setting]:
    """The conversion setting on the cosine path, called `same`, and on the linear path, "different"
    since DDPM has the cosine schedule: each as in §8.3.4 and corrected."""
    setting = settings.conversion(scale)
    on = {same: replace(setting, path=Cosine()), "different": setting}
    return {
        f"{name}, {how.removeprefix('literal ')}": primary(scale, path)[how]
        for name, path in on.items()
        for how in (LATE, CORRECTED)
    }
