"""The error that dials are chosen by: of experts whose error is known, and of whose pictures."""

import numpy as np
import pytest
import torch

from datamodules.sources.source import Split
from experiments.hddm import tuning
from experiments.measures.tuning import VelocityError, velocity_errors
from experiments.pipeline.store import Context
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.tables.columns import FID
from modules.blocks import Size
from modules.denoising import FlowMatchingExpert
from modules.expert import Expert
from modules.guard import Guard
from modules.objectives import Epsilon, Velocity
from modules.schedules import Cosine, Linear
from tests.helpers.stages import make

SMOKE = turned(SCALES["smoke"], {"expert.size": Size(8, 1, 2)})


def batch(n=6):
    g = torch.Generator().manual_seed(0)
    x0, eps = (torch.randn(n, 2, 4, 4, generator=g, dtype=torch.float64) for _ in range(2))
    t = torch.linspace(0.1, 0.9, n, dtype=torch.float64)
    captions = {"tokens": torch.zeros(n, 3, 6), "pooled": torch.zeros(n, 5)}
    return {"x0": x0, "eps": eps, "t": t, **captions}


def test_an_fm_experts_error_is_its_loss():
    """kills: an error of x0, a mean over the batch, another path's target."""
    asked = batch()
    exact = asked["eps"] - asked["x0"]
    expert = Expert(lambda x, t, c: exact + 0.3, Velocity(), Linear())
    assert velocity_errors(expert, asked) == pytest.approx(torch.full((6,), 0.09))


def test_an_error_of_eps_grows_as_the_picture_fades():
    """d in eps is -d sigma / alpha in x0, so d / (1 - t) in the velocity of the linear path.

    kills: the expert asked at its own time rather than at equal signal-to-noise ratio.
    """
    asked = batch()
    expert = Expert(lambda x, t, c: asked["eps"] + 0.3, Epsilon(), Cosine())
    assert velocity_errors(expert, asked).tolist() == pytest.approx(
        (0.3 / (1 - asked["t"])).square().tolist()
    )
    kept = velocity_errors(expert, asked, Guard(t_max=0.5))
    assert kept[-1] < velocity_errors(expert, asked)[-1]
    assert kept[0] == velocity_errors(expert, asked)[0]


def test_every_picture_is_asked_of_its_own_expert(store, tmp_path):
    """kills: every expert asked about all pictures, experts weighed alike, pictures trained on."""
    scale = SMOKE.tuning()
    encoded = experts.encoded(scale, Split.HELDOUT)
    trained = [experts.expert(scale, FlowMatchingExpert, k, 0) for k in (0, 1)]
    for stage in (encoded, *trained):
        make(store, stage)
    cluster = np.load(store.file(encoded, "cluster.npy"))
    assert len(cluster) == 200
    together, *alone = (
        VelocityError(some, encoded, 4).measure(tmp_path, Context(store))["velocity_error"]
        for some in (tuple(trained), *((each,) for each in trained))
    )
    counts = [(cluster == k).sum() for k in (0, 1)]
    assert together == pytest.approx(np.average(alone, weights=counts))
    assert alone[0] != pytest.approx(alone[1])


def test_the_value_of_the_lowest_mean_error_is_chosen():
    """kills: the highest, the monolith's alone, a value picked from another dial's rows, LAST by
    its error though it is a dial of sampling."""

    class Made:
        rows = (
            [
                tuning._row(tuning.STEPS, 0.5, tuning.EXPERTS, None),
                tuning._row(tuning.STEPS, 0.5, tuning.MONOLITH, None),
                tuning._row(tuning.STEPS, 1.0, tuning.EXPERTS, None),
                tuning._row(tuning.STEPS, 1.0, tuning.MONOLITH, None),
                tuning._row(tuning.LATEST, 0.9, tuning.CONVERTED, None),
                tuning._row(tuning.LATEST, 0.95, tuning.CONVERTED, None),
            ],
        )
        errors = ([0.4, 0.6], [0.6, 0.4], [0.7, 0.5], [0.3, 0.3], [0.1, 0.1], [0.2, 0.3])
        fids = ([1, 1], [1, 1], [2, 2], [2, 2], [6, 7], [5, 7])

        def values(self, row, column):
            return {tuning.ERROR: self.errors, FID: self.fids}[column][row]

    assert tuning.chosen(Made()) == {tuning.STEPS: 1.0, tuning.LATEST: 0.95}
    steps = tuning.above_best(Made(), tuning.STEPS, 1.0)  # by seed 0.5 less 0.5, 0.5 less 0.4
    assert steps.keys() == {0.5}
    assert (steps[0.5].mean, steps[0.5].n) == (pytest.approx(0.05), 2)
    assert steps[0.5].half_width == pytest.approx(0.05 * 12.7062047, rel=1e-6)  # Student's t, n = 2
    (later,) = tuning.above_best(Made(), tuning.LATEST, 0.95).values()  # by FID: 1 and 0
    assert (later.mean, later.half_width) == (pytest.approx(0.5), pytest.approx(6.35310237))


def test_a_scale_without_records_set_apart_has_no_such_table():
    """kills: dials that are chosen on the pictures that score them."""
    assert set(tuning.TABLE.scales) == {"smoke", "small", "scenes"}
    with pytest.raises(ValueError, match="set apart"):
        SCALES["medium"].tuning()
