"""Validation in a training run: what it draws, what it measures, and that it changes nothing."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from datamodules.sources.source import Split
from datamodules.validation import ValidationBatches
from experiments.pipeline.store import Store
from experiments.recipes import experts
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.stages.run import Validation
from experiments.training.callbacks import Curve
from modules.blocks import Size
from modules.denoising import DDPMExpert, FlowMatchingExpert, VExpert, X0Expert
from modules.dit import DiT, TextShape
from modules.training import Optim
from tests.helpers.stages import killed_at, make

SMOKE = turned(SCALES["smoke"], {"expert.size": Size(8, 1, 2)})
LONG = turned(
    SMOKE, {"train.steps": 120, "train.batch": 32, "train.ema": 0.9, "train.ema_start": 30}
)
"""Unless validated, a run of these has checkpoints after steps 24, 48, 72, 96, 120."""
SHAPE = DiT(Size(8, 1, 2), 4, 2, 2, text=TextShape(3, 6, 5))


def validated(every, scale=LONG, optim=None):
    plain = experts.expert(scale, FlowMatchingExpert, 0, 0)
    encoded = experts.encoded(scale, Split.HELDOUT)
    stage = replace(plain, validation=Validation(encoded, every, draws=3))
    return stage if optim is None else replace(stage, optim=optim)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A store that holds the shards and the held-out pictures of smoke."""
    store = Store(tmp_path_factory.mktemp("prepared"))
    for stage in (experts.shards(SMOKE), experts.encoded(SMOKE, Split.HELDOUT)):
        make(store, stage)
    return store


@pytest.fixture
def store(prepared, tmp_path):
    shutil.copytree(prepared.root, tmp_path / "store")
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def straight(prepared, tmp_path_factory):
    """Runs of LONG without a break: not validated, and validated at two paces."""
    root = tmp_path_factory.mktemp("straight") / "store"
    shutil.copytree(prepared.root, root)
    store = Store(root)
    for stage in (replace(validated(10), validation=None), validated(10), validated(24)):
        make(store, stage)
    return store


def read(store, stage, name):
    return (make(store, stage) / name).read_bytes()


def pictures(n):
    g = torch.Generator().manual_seed(0)
    shapes = {"x0": (n, 2, 4, 4), "tokens": (n, 3, 6), "pooled": (n, 5)}
    return {key: torch.randn(shape, generator=g) for key, shape in shapes.items()}


def joined(heldout):
    batches = [heldout[i] for i in range(len(heldout))]
    return {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}


def test_draws_depend_on_the_picture_and_the_seed_alone():
    """kills: draws from a running state, by place in the batch, or by which pictures are chosen;
    a picture lost at the end; t and eps of one draw given to another."""
    data, rows = pictures(7), torch.tensor([2, 3, 5, 7, 11, 13, 17])
    whole = joined(ValidationBatches(data, rows, 3, 4, batch=100))
    assert all(
        torch.equal(x, joined(ValidationBatches(data, rows, 3, 4, 7))[k]) for k, x in whole.items()
    )
    some = joined(
        ValidationBatches({k: x[3:5] for k, x in data.items()}, rows[3:5], 3, 4, batch=100)
    )
    assert all(torch.equal(some[key], x[9:15]) for key, x in whole.items())
    assert len(whole["t"]) == 21
    for i, row in enumerate(rows.tolist()):
        for j in range(3):
            state = np.random.SeedSequence([4, row, j]).generate_state(1, np.uint64)
            g = torch.Generator().manual_seed(int(state[0]))
            assert whole["t"][3 * i + j] == (j + torch.rand((), generator=g)) / 3
            assert torch.equal(whole["eps"][3 * i + j], torch.randn(2, 4, 4, generator=g))
            assert torch.equal(whole["tokens"][3 * i + j], data["tokens"][i])
    assert not torch.equal(whole["eps"], joined(ValidationBatches(data, rows, 3, 5, 100))["eps"])


class Exact(torch.nn.Module):
    """The network that is right where all data is 0: eps = x_t / sigma; and off by `error`."""

    def __init__(self, module, error):
        super().__init__()
        self.row, self.schedule, self.error = module.objective.row, module.schedule, error

    def forward(self, x_t, t, c):
        assert bool(c.keep.all())
        b = self.row(self.schedule, t)[1] / self.schedule.sigma(t)
        return b[:, None, None, None] * x_t + self.error


@pytest.mark.parametrize("kind", [FlowMatchingExpert, DDPMExpert, X0Expert, VExpert])
@pytest.mark.parametrize("error", [0.0, 0.3])
def test_the_validation_loss_of_a_known_network(kind, error):
    """kills: another target, t or eps than the batch brings, captions dropped, a sum for a mean."""
    module = kind(SHAPE, Optim(1, 1, 1e-3), text_dropout=1.0)
    module.network = Exact(module, error)
    module.log = lambda *_, **__: None
    data = {**pictures(5), "x0": torch.zeros(5, 2, 4, 4)}
    loss = module.validation_step(ValidationBatches(data, torch.arange(5), 4, 0, 100)[0], 0)
    assert loss.item() == pytest.approx(error**2, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("every", [10, 24])
def test_a_validated_run_trains_to_the_same_bits(straight, every):
    """kills: validation that draws from a state training reads, leaves the average swapped in, or
    the network in evaluation; a log that validation writes to."""
    plain = replace(validated(10), validation=None)
    for name in ("weights.safetensors", "log.csv"):
        assert read(straight, plain, name) == read(straight, validated(every), name)
    curve = validated(every).validated(straight)
    assert curve["step"].tolist() == list(range(every, 121, every))
    assert not (straight.path(plain) / "validation.csv").exists()


@pytest.mark.parametrize(
    ("every", "place", "name", "steps"),
    [
        (10, FlowMatchingExpert, "pose", [26, 60, 97]),
        (24, FlowMatchingExpert, "pose", [24, 49, 119]),
        (24, Curve, "on_validation_end", [None]),
        (24, ModelCheckpoint, "on_validation_end", [None]),
        (24, FlowMatchingExpert, "validation_loss", [None]),
        (10, Curve, "on_train_end", [None]),
    ],
)
def test_a_killed_run_resumes_to_the_same_curve(store, straight, every, place, name, steps):
    """kills: a validation lost between checkpoint and kill, told twice, made of other weights, or
    out of step after the resume."""
    stage = validated(every)
    for step in steps:
        killed_at(store, stage, place, name, step)
    for file in ("validation.csv", "weights.safetensors"):
        assert read(store, stage, file) == read(straight, stage, file)


def test_the_average_is_validated_once_it_has_begun(store):
    """kills: the last weights validated in place of the average, or, before it begins, the weights
    of before the first step, which is what Lightning's own average holds then."""
    optim = Optim(steps=12, batch=4, lr=1e-2, ema=0.6, ema_start=6)
    stage = validated(2, SMOKE, optim)
    make(store, stage)
    curve = dict(stage.validated(store).itertuples(index=False))
    for steps, ema in ((4, None), (6, None), (12, 0.6)):
        part = replace(optim, steps=steps, ema=ema, ema_start=6 if ema else 0)
        short = replace(stage, validation=None, optim=part)
        make(store, short)
        module = short.load(store)
        module.log = lambda *_, **__: None
        batch = stage.validation.heldout(store, (0,))[0]
        with torch.no_grad():
            assert module.validation_step(batch, 0).item() == pytest.approx(curve[steps], rel=1e-5)
    assert curve[4] < 0.999 * curve[2]


def test_a_validation_counts_optimiser_steps(store):
    """kills: an interval counted in batches where several make a step."""
    stage = validated(3, SMOKE, Optim(steps=7, batch=4, lr=1e-2, accumulate=2))
    make(store, stage)
    assert stage.validated(store)["step"].tolist() == [3, 6]


def test_only_held_out_pictures_of_the_experts_clusters_are_seen(store):
    """kills: all clusters validated on; a cluster without pictures validated as a loss of none."""
    encoded = experts.encoded(SMOKE, Split.HELDOUT)
    data, mine = encoded.load(store), Validation(encoded, 1, 1).heldout(store, (0, 3))
    assert set(data["cluster"][mine.rows].tolist()) == {0, 3}
    assert len(mine.rows) == sum(k in (0, 3) for k in data["cluster"].tolist())
    assert torch.equal(joined(mine)["x0"], data["x0"][mine.rows])
    with pytest.raises(ValueError, match="no held-out pictures"):
        Validation(encoded, 1, 1).heldout(store, ())
    assert encoded in validated(2).inputs()
    assert validated(2).key != validated(3).key
