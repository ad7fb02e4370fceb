"""How the experts of ablation-init begin, for how long they train, and what is drawn of them.

The runs are FM's, of clusters that the checkpoint has not seen, validated on held-out pictures.
"""

from dataclasses import dataclass, replace

from datamodules.sources.source import Split
from experiments.hddm import settings
from experiments.hddm.prompts import PRINTED, can_show
from experiments.measures.losses import Sampled
from experiments.recipes import experts, scores
from experiments.recipes.images import ImageScale
from experiments.recipes.scale import turned
from experiments.scores.score import Drawn, Score
from experiments.stages.experts import Start, TrainExpert
from experiments.stages.prompts import Given, InClusters
from experiments.stages.run import Validation
from experiments.stages.samples import Sample
from experiments.stages.starts import PretrainedDiT
from modules.denoising import DDPMExpert, FlowMatchingExpert
from modules.dit import DiT
from modules.selection import Only
from modules.weights.pretrained import Transfer

VALIDATIONS = 50
DRAWS = 8
EARLY = 75_000 / 500_000
"""Of an expert's whole training, where §3.2.2 compares and Fig 3 shows samples."""
SHOWN = 8
"""Pictures of the one prompt that Fig 3 prints, each from noise of its own."""


@dataclass(frozen=True)
class Begin:
    """what: taken from the checkpoint, None for nothing.  The deviations of what is drawn anew;
    None for the recipe's own."""

    what: Transfer | None
    text_std: float | None = None
    head_std: float | None = None


SCRATCH, EQ20 = "scratch", "Eq. 20"
STARTS = {
    SCRATCH: Begin(None),
    EQ20: Begin(Transfer(), 0.02, 0.02),
    "Eq. 20, the recipe's new layers": Begin(Transfer()),
    "Eq. 20, text projection zero": Begin(Transfer(), 0.0, 0.02),
    "everything": Begin(Transfer(captions=True, head=True)),
}
"""An ImageNet DiT has no captions, so that there everything is without them."""
TARGETS = {0: tuple(STARTS), 3: (SCRATCH, EQ20)}
"""The clusters tried, which the checkpoint has not seen, and how an expert of each begins."""


def run(scale: ImageScale, seed: int, target: int, begin: Begin) -> TrainExpert:
    """An FM expert of the target cluster, validated on held-out pictures of that cluster."""
    steps = scale.study.init_steps
    unbegun = turned(scale, {"expert.pretrained": None, "train.steps": steps})
    plain = experts.expert(unbegun, FlowMatchingExpert, target, seed)
    every = max(1, steps // VALIDATIONS)
    return replace(
        plain,
        network=_network(scale, plain, begin),
        start=None if begin.what is None else _start(scale, seed, begin.what),
        validation=Validation(experts.encoded(scale, Split.HELDOUT), every, DRAWS),
    )


def early_steps(scale: ImageScale) -> int:
    """The steps of a short run: the share of a whole training that 75K of 500K are."""
    return min(max(1, round(EARLY * scale.train.steps)), scale.study.init_steps)


def early(scale: ImageScale, seed: int, target: int, begin: Begin) -> TrainExpert:
    """The same for those steps alone, at a constant rate after the warm-up, as the paper's is: its
    own run where one ends there, else another, since a run that goes on keeps no weights of then.
    """
    whole, steps = run(scale, seed, target, begin), early_steps(scale)
    if steps == scale.study.init_steps:
        return whole
    optim, given = whole.optim, whole.validation
    assert given is not None
    short = replace(
        optim,
        steps=steps,
        warmup=min(optim.warmup, steps),
        final_lr=None,
        ema_start=min(optim.ema_start, steps - 1),
    )
    return replace(whole, optim=short, validation=replace(given, every=steps))


def sampled(scale: ImageScale, seed: int, target: int, expert: TrainExpert) -> Sampled:
    """Samples for held-out captions of the expert's cluster, scored, where pictures can show no
    others; else for Fig 3's own prompt. Row i has one noise and one prompt whoever draws it."""
    how, shown = settings.conversion(scale), settings.conversions(scale)
    measured: Score | Drawn
    if can_show(scale.data.source):
        asked, batch = Given(SHOWN * PRINTED[3]), scale.draw.batch
        measured = Drawn(Sample((expert,), None, Only(0), asked, batch, seed, how))
    else:
        inside = InClusters((target,), shown.draw.samples)
        measured = scores.score(shown, [expert], None, Only(0), seed, how, inside)
    return Sampled(expert, measured)


def _network(scale: ImageScale, plain: TrainExpert, begin: Begin) -> DiT:
    """The shape of a run: of ImageNet's DiT's size, where there is one, from scratch as well; what
    is begun with it also reads time as Eq. 21 says."""
    shape, given = plain.network, scale.expert.pretrained
    assert isinstance(shape, DiT)
    assert given is None or isinstance(given, PretrainedDiT)
    text = shape.text_std if begin.text_std is None else begin.text_std
    head = shape.head_std if begin.head_std is None else begin.head_std
    drawn = replace(shape, text_std=text, head_std=head)
    if given is None:
        return drawn
    begun = given.shape(drawn, plain.module.objective)
    return begun if begin.what is not None else replace(begun, time=shape.time)


def _start(scale: ImageScale, seed: int, what: Transfer) -> Start:
    """ImageNet's DiT; or, in its place, a DDPM expert of the clusters that no target is."""
    if scale.expert.pretrained is not None:
        return Start(scale.expert.pretrained, replace(what, captions=False))
    others = tuple(k for k in range(scale.data.clusters) if k not in TARGETS)
    return Start(replace(settings.paired(scale, DDPMExpert, seed), clusters=others), what)
