"""Samples beside others of the same noise: how far each lies from theirs."""

from types import SimpleNamespace

import numpy as np
import pytest

from experiments.scores.apart import apart, beside
from experiments.scores.score import Score
from experiments.stages.prompts import Heldout
from experiments.stages.samples import Sample
from modules.selection import Full
from tests.helpers.tables import BrightJudge


class Fixed(Sample):
    """Samples whose pictures are all of one value, the batch size, for want of networks."""

    def __post_init__(self):
        pass

    @property
    def shards(self):
        return SimpleNamespace(heldout=self.setting)

    def images(self, store, first=None, device=None):
        return np.full((4, 3, 2, 2), self.batch, np.float32)


def drawn(value, seed=0, n=4, data="a"):
    return Score(Fixed((), None, Full(), Heldout(n), value, seed, data), BrightJudge())


def test_a_distance_is_a_root_mean_square_to_each_reference(tmp_path, monkeypatch):
    """kills: a mean or a sum of squares, references exchanged, the score's own numbers lost,
    a distance of 0 to themselves as the best."""
    monkeypatch.setattr(Score, "measure", lambda self, folder, context: {"fid": 1.0})
    score = beside(drawn(3), {"near": drawn(2), "far": drawn(-2)})
    found = score.measure(tmp_path, SimpleNamespace(store=None))
    assert found == {"fid": 1.0, "apart near": 1.0, "apart far": 5.0}
    assert apart("far").key == "apart far"
    assert [*beside(drawn(3), {"own": drawn(3), "far": drawn(2)}).called] == ["far"]
    assert {each.batch for each in score.inputs() if isinstance(each, Fixed)} == {3, 2, -2}


@pytest.mark.parametrize("other", [drawn(2, seed=1), drawn(2, n=5), drawn(2, data="b")])
def test_other_noise_or_prompts_are_refused(other):
    """kills: the spread of noise told as an error of a solver or of a student."""
    with pytest.raises(ValueError, match=r"far and .* began otherwise"):
        beside(drawn(3), {"far": other})
