"""The tables of video: equal budgets, the same prompts and noise, what the router is shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.encoders.causal import CausalPatches
from datamodules.encoders.encoder import PixelFeatures, PixelLatents, TinyClipText
from datamodules.sources.digits import Digits
from datamodules.sources.moving_digits import MovingDigits
from datamodules.sources.source import Split
from experiments.cli.dials import filled
from experiments.measures import budgets
from experiments.measures.evidence import Evidence, Shown
from experiments.paris2 import i2v, later, specialization, switching, table1
from experiments.paris2.__main__ import TABLES
from experiments.pipeline.files import read_json
from experiments.recipes import experts, scores
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.scores.score import Score
from experiments.stages.clusters import Clusters
from experiments.stages.encode import Encode
from experiments.stages.prompts import Heldout, InClusters
from experiments.stages.samples import Sample
from modules.denoising import FlowMatchingExpert
from modules.mmdit import MMSize
from modules.selection import Alternate
from tests.helpers.stages import make

SMALL = VIDEO_SCALES["small"]
every_scale = pytest.mark.parametrize("scale", VIDEO_SCALES.values(), ids=list(VIDEO_SCALES))


def samples(table):
    found = [row.measured for row in table.rows(SMALL, 0)]
    return [m.pictures for m in found if isinstance(m, Score) and isinstance(m.pictures, Sample)]


@every_scale
def test_experts_and_monolith_spend_the_same(scale):
    """kills: an expert at the monolith's batch, a cluster trained on by nobody or twice."""
    trained, monolith = (
        experts.mixed(scale, FlowMatchingExpert, {}, 0),
        experts.monolith(scale, FlowMatchingExpert, 0),
    )
    assert sum(budgets.samples_seen(e.optim) for e in trained) == budgets.samples_seen(
        monolith.optim
    )
    assert sorted(k for e in trained for k in e.clusters) == list(monolith.clusters)
    assert {e.network for e in trained} == {monolith.network}
    assert {e.optim.steps for e in trained} == {monolith.optim.steps}
    if scale is SMALL:  # of the paper's 11.9B the meta device takes a minute
        assert sum(map(budgets.flops, trained)) == budgets.flops(monolith)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_rows_are_the_same_for_every_seed(table):
    """kills: a row that comes and goes with the seed, two rows of one name, seeds that share
    what they train."""
    one, two = (table.rows(SMALL, seed) for seed in (0, 1))
    assert [row.names for row in one] == [row.names for row in two]
    assert len({tuple(row.names.values()) for row in one}) == len(one)
    pairs = [(a.measured, b.measured) for a, b in zip(one, two, strict=True) if a.measured]
    assert all(a.key != b.key for a, b in pairs)


@pytest.mark.parametrize("table", [table1.TABLE, switching.TABLE, i2v.TABLE])
def test_rows_are_asked_the_same_from_the_same_noise(table):
    """kills: a strategy on prompts, seeds, steps or guidance of its own."""
    found = samples(table)
    assert len(found) >= 4
    assert len({(s.asked, s.seed, s.setting) for s in found}) == 1
    for other in found[1:]:
        assert torch.equal(other.noise(range(3)), found[0].noise(range(3)))


@every_scale
def test_a_router_reads_what_its_experts_draw(scale):
    """kills: a router of the first stage's size beside experts of the last, which would end a run
    after weeks at its first sample."""
    for table in (table1.TABLE, i2v.TABLE):
        for row in table.rows(scale, 0):
            drawn = getattr(row.measured, "pictures", None)
            if isinstance(drawn, Sample) and drawn.router is not None:
                read = {expert.network.latent for expert in drawn.experts}
                assert read == {drawn.router.network.latent} == {drawn.shards.latent_shape}


def test_later_stages_keep_the_first_ones_clusters(store):
    """kills: centroids found anew, by which expert 0 would go on with another's data."""
    paper = VIDEO_SCALES["paper"]
    first = experts.mixed(paper, FlowMatchingExpert, {}, 0)[0]
    assert later.later(paper, first).shards.clusters.of == first.shards.clusters
    parts = PixelLatents(), PixelFeatures(), TinyClipText()
    train, heldout = (Encode(Digits(64, 64, 32), s, *parts) for s in (Split.TRAIN, Split.HELDOUT))
    found = Clusters(train, 8, 3)
    other = Clusters(heldout, 8, 3, of=found)
    make(store, other)
    centroids = np.load(store.file(found, "centroids.npy"))
    x = heldout.array(store, "features")
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    nearest = (unit @ centroids.T / np.linalg.norm(centroids, axis=1)).argmax(axis=1)
    assert np.load(store.file(other, "assignment.npy")).tolist() == nearest.tolist()
    assert read_json(store.file(other, "balance.json"))["sizes"] == np.bincount(nearest).tolist()


@pytest.mark.parametrize(
    ("dials", "said"),
    [
        ({"data.clusters": 2, "train.batch": 72}, "moving-digits needs 3"),
        ({"router.frame_feature": 100}, "144 pixels"),
        ({"train.batch": 10}, "does not divide"),
        ({"study.prompts": 1}, "at least 2"),
        ({"draw.guidance": -1.0}, "negative"),
    ],
)
def test_dials_that_make_no_sense_are_named(dials, said):
    """kills: a scene without an expert, a feature of another width, met after minutes of work."""
    with pytest.raises(ValueError, match=said):
        turned(SMALL, dials)


@pytest.mark.parametrize(
    "value", [lambda: MMSize(16, 1, 1, 0), lambda: MovingDigits(frames=1), lambda: CausalPatches(0)]
)
def test_values_that_make_no_sense_are_refused(value):
    """kills: a division by zero for an answer."""
    with pytest.raises(ValueError, match=r"positive|frames"):
        value()


def test_another_source_is_that_of_later_stages_too():
    """kills: experts that go on with the clusters of other data, a last stage at the first one's
    size."""
    paper = VIDEO_SCALES["paper"]
    other = turned(paper, {"data.source": replace(paper.data.source, name="mine", root="clips")})
    later = filled(other, paper).study.later
    assert [ahead.source.name for ahead in later] == ["mine", "mine"]
    assert [ahead.source.image for ahead in later] == [256, 768]
    assert filled(paper, paper) == paper


def test_alternating_changes_at_every_step():
    """kills: turns longer than a step where the solver has another number of them."""
    (turns,) = (s for s in switching.schedules(SMALL).values() if isinstance(s, Alternate))
    n = SMALL.draw.steps
    t = torch.tensor([(n - i) / n for i in range(n)])
    asked = turns.weights(torch.full((n, 2), 0.5), t).argmax(1)
    assert asked.tolist() == [i % 2 for i in range(n)]


def test_own_and_other_prompts_part_the_clusters():
    """kills: own prompts among the others', a monolith asked other prompts than the expert."""
    rows = specialization.TABLE.rows(SMALL, 0)
    for k in range(SMALL.data.clusters):
        mine = {
            (row.names["Model"], row.names["Prompts"]): row.measured.pictures.asked
            for row in rows
            if row.names["Cluster"] == f"{k}"
        }
        assert (
            mine["Expert", "own"] == mine["Monolith", "own"] == InClusters((k,), SMALL.study.probe)
        )
        others = mine["Expert", "others"]
        assert others == mine["Monolith", "others"]
        assert {*others.clusters} == {*range(SMALL.data.clusters)} - {k}


def test_prompts_of_clusters_are_taken_in_turn():
    """kills: all of one cluster first, a row twice while there are others, another cluster's."""
    rows = InClusters((2, 0), 6).rows(np.array([0, 1, 2, 0, 2, 1]))
    assert rows.tolist() == [2, 0, 4, 3, 2, 0]
    with pytest.raises(ValueError, match="no held-out picture"):
        InClusters((3,), 2).rows(np.array([0, 1]))


def test_first_frames_go_with_held_out_prompts_alone():
    """kills: first frames of other clips than the captions are of."""
    given = [s for s in samples(i2v.TABLE) if s.first]
    assert given
    assert all(isinstance(s.asked, Heldout) for s in given)
    with pytest.raises(ValueError, match="first frames"):
        scores.score(
            SMALL,
            given[0].experts,
            None,
            given[0].selection,
            0,
            asked=InClusters((0,), 2),
            first=True,
        )


def test_the_router_is_shown_what_the_row_says():
    """kills: state and caption exchanged, noise that differs between rows, a frame of another."""
    n = 5
    own = torch.arange(n, dtype=torch.float32)
    data = {
        "x0": own.reshape(n, 1, 1, 1, 1).expand(n, 2, 3, 4, 4),
        **{name: own[:, None].expand(n, 3) for name in ("frame_feature", "pooled")},
        "tokens": own[:, None, None].expand(n, 2, 3),
    }
    other = torch.tensor([1, 2, 3, 4, 0])
    evidence = Evidence(experts.router(SMALL, True, 0), experts.corpus(SMALL, SMALL.data.source), 0)
    states = {shown: evidence._states(data, shown, other, 7, 0.25) for shown in Shown}
    noise = states[Shown.ALL][2]
    for shown, (x, t, eps, c) in states.items():
        assert torch.equal(eps, noise)
        assert set(t.tolist()) == {0.25}
        seen = ((x - 0.25 * eps) / 0.75).mean(dim=(1, 2, 3, 4)).round()
        state = other if shown in (Shown.CAPTION, Shown.NOTHING) else own
        assert torch.equal(seen, state.float()), shown
        said = other if shown in (Shown.STATE, Shown.NOTHING) else own
        assert torch.equal(c.pooled[:, 0], said.float()), shown
        assert c.keep.all() == (shown is not Shown.SILENT)
        assert (c.first is not None) == (shown is Shown.FIRST)
    assert torch.equal(states[Shown.FIRST][3].first.feature[:, 0], own)
