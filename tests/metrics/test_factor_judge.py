"""The judge of scenes: how large its features are."""

import copy

import pytest
import torch

from metrics.factor_judge import FactorJudge, _scale, train_judge

PICTURE, VALUES = (3, 16, 16), (4, 8, 2)


def drawn(step):
    g = torch.Generator().manual_seed(step)
    values = [torch.randint(v, (16,), generator=g) for v in VALUES]
    return torch.randn(16, *PICTURE, generator=g), torch.stack(values, dim=1)


def test_features_have_unit_variance_over_what_was_learnt_last():
    """kills: features of a size that training leaves to chance, a scale from other pictures."""
    judge = train_judge(drawn, PICTURE, VALUES, 40, seed=0)
    pictures = torch.cat([drawn(step)[0] for step in range(8, 40)])
    assert judge.body(pictures).var(dim=0).mean().item() == pytest.approx(1, rel=1e-5)


def test_the_scale_changes_nothing_that_is_read():
    """kills: a head left as it was, a bias of the features left or of the head divided."""
    torch.manual_seed(0)
    judge, (pictures, _) = FactorJudge(PICTURE, VALUES).requires_grad_(False), drawn(0)
    scaled = copy.deepcopy(judge)
    _scale(scaled, pictures)
    features, before = scaled.body(pictures), judge.body(pictures)
    unit = before.var(dim=0).mean().sqrt()
    assert not torch.isclose(unit, torch.tensor(1.0), rtol=0.1)
    torch.testing.assert_close(features * unit, before)
    for now, then in zip(scaled.logits(features), judge.logits(before), strict=True):
        torch.testing.assert_close(now, then)
