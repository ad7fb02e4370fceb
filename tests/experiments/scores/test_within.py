"""Samples of one cluster are judged beside the held-out samples of that cluster."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from datamodules.sources.source import Split
from experiments.hddm import settings
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.recipes import experts, scores
from experiments.recipes.images import SCALES
from experiments.recipes.scale import turned
from experiments.recipes.video import VIDEO_SCALES
from experiments.scores.published import PublishedMetrics
from experiments.scores.within import PublishedWithin, TrainedWithin
from metrics.embedded import classify
from metrics.frechet import frechet_distance, kernel_distance
from modules.denoising import FlowMatchingExpert
from modules.selection import Only
from tests.helpers.stages import make

SMOKE = turned(
    SCALES["smoke"],
    {"train.steps": 3, "train.warmup": 1, "draw.samples": 12, "judge.steps": 5, "study.pair": (2,)},
)


def test_a_pair_is_asked_and_compared_with_within_its_cluster(tmp_path):
    """kills: captions or held-out pictures of all clusters, those of the others, the judge's rows
    taken for the split's, numbers of the whole kept for FID or KID."""
    store = Store(tmp_path)
    expert = settings.paired(SMOKE, FlowMatchingExpert, 0)
    score = settings.pair_score(SMOKE, [expert], Only(0), 0, scores.default(SMOKE))
    make(store, score)
    held = SMOKE.data.source.read(Split.HELDOUT)
    places = experts.encoded(SMOKE, Split.HELDOUT)
    inside = np.flatnonzero(np.load(store.file(places, "cluster.npy")) == 2)
    assert 2 <= len(inside) < len(held)
    captions, labels = score.pictures.prompts(store)
    own = [(held.captions[i], held.labels[i]) for i in inside]
    assert [*zip(captions, labels, strict=True)] == (own * 12)[:12]
    judge = score.judge.judge.load(store)
    real, drawn = (
        classify(judge, x)[0] for x in (held.images[inside], score.pictures.images(store))
    )
    found = score.read(store)
    assert found["fid"] == pytest.approx(frechet_distance(drawn, real), rel=1e-5)
    assert found["kid"] == pytest.approx(kernel_distance(drawn, real), rel=1e-4)
    whole = replace(score, judge=score.judge.judge)
    make(store, whole)
    same = {k: v for k, v in whole.read(store).items() if k not in ("fid", "kid")}
    assert {k: found[k] for k in same} == same
    assert whole.read(store)["fid"] != found["fid"]
    assert f"its own {len(inside)} of those" in score.remarks(store)[-1]


def test_a_pair_of_every_cluster_is_scored_as_before():
    """kills: another judge, and other keys, where a cluster is too small to be scored alone."""
    scale = replace(SMOKE, study=replace(SMOKE.study, pair=None))
    expert = settings.paired(scale, FlowMatchingExpert, 0)
    setting = settings.conversion(scale)
    score = settings.pair_score(scale, [expert], Only(0), 0, setting)
    assert score == scores.alone(scale, expert, 0, setting)


@dataclass(frozen=True)
class Split3(Stage):
    """Keys of an encoded split, in two parts."""

    keys: tuple[str, ...]

    def parts(self, store):
        return [
            SimpleNamespace(about={"keys": self.keys[:3]}),
            SimpleNamespace(about={"keys": self.keys[3:]}),
        ]

    def make(self, folder, context):
        (folder / "made").write_text("")


@dataclass(frozen=True)
class Placed(Stage):
    """The cluster of each of those keys."""

    encoded: Split3
    cluster: tuple[int, ...]

    def make(self, folder, context):
        np.save(folder / "cluster.npy", np.array(self.cluster))


@dataclass(frozen=True)
class Reference(PublishedMetrics):
    """Features that are numbers, of twelve held-out pictures, a to l."""

    source: None = None
    n: int = 12

    def make(self, folder, context):
        rng = np.random.default_rng(0)
        for network in self.networks.features:
            np.save(folder / f"{network.name}.npy", rng.normal(size=(12, 2)))

    def keys(self, store):
        return list("abcdefghijkl")


def test_the_published_metrics_keep_the_rows_of_the_cluster(tmp_path):
    """kills: rows by number where the encoder left a picture out, features of the other clusters,
    one network's rows for the other's."""
    store = Store(tmp_path)
    places = Placed(Split3(tuple("abdefghijkl")), (0, *9 * (1,), 0))  # c was refused
    within = PublishedWithin(Reference(), places, (1,))
    make(store, within)
    inside = [1, 3, 4, 5, 6, 7, 8, 9, 10]
    assert within.rows(store).tolist() == inside
    rng = np.random.default_rng(1)
    inception, dinov2 = (network.name for network in within.judge.networks.features)
    samples = {inception: rng.normal(size=(6, 2)), dinov2: rng.normal(size=(6, 2))}
    found = within.beside(samples, Context(store))
    real = within.judge.reference(store)
    for key, name in (("fid", inception), ("fd_dinov2", dinov2)):
        expected = frechet_distance(samples[name], real[name][inside])
        assert found[key] == pytest.approx(expected)


@pytest.mark.parametrize(("pictures", "few"), [(2, True), (3, False)])
def test_a_covariance_without_full_rank_is_said(tmp_path, pictures, few):
    """n pictures give a covariance of rank n - 1, and features here are two. kills: a bound of one
    picture more or less, the pictures of all clusters counted."""
    store = Store(tmp_path)
    places = Placed(Split3(tuple("abdefghijkl")), (*pictures * (1,), *(11 - pictures) * (0,)))
    within = PublishedWithin(Reference(), places, (1,))
    make(store, within)
    inside = within.judge.reference(store)[within.judge.networks.inception.name][within.rows(store)]
    assert (np.linalg.matrix_rank(np.cov(inside, rowvar=False)) < 2) == few
    line = within.remarks(store)[-1]
    assert f"its own {pictures} of those" in line
    assert ("2 features no full rank" in line) is few


def test_a_cluster_without_held_out_pictures_is_refused(tmp_path):
    """kills: moments of no picture, or of one."""
    places = Placed(Split3(tuple("abde")), (0, 1, 1, 1))
    with pytest.raises(ValueError, match="1 held-out samples of clusters 0"):
        make(Store(tmp_path), PublishedWithin(Reference(), places, (0,)))


def test_each_scale_says_who_judges_within():
    """kills: a digits' judge for published metrics; clips' refused in silence."""
    for name, kind in (("small", TrainedWithin), ("scenes", TrainedWithin)):
        scale = turned(SCALES[name], {"study.pair": (0,)})
        expert = settings.paired(scale, FlowMatchingExpert, 0)
        score = settings.pair_score(scale, [expert], Only(0), 0, settings.conversion(scale))
        assert type(score.judge) is kind
    clips = VIDEO_SCALES["small"]
    with pytest.raises(ValueError, match="all that are held out"):
        clips.judge.within(clips.data.source, 0, None, (0,))
