"""Calibration: cases by hand, other implementations, and a temperature that is known."""

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from torch import from_numpy
from torchmetrics.functional.classification import multiclass_calibration_error

from metrics.calibration import calibration_error, log_loss, temperature


def probabilities(n=400, k=5, seed=0):
    """p [n, k] and labels that are right more often than p says."""
    g = np.random.default_rng(seed)
    logits = g.normal(size=(n, k))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([g.choice(k, p=row**3 / (row**3).sum()) for row in p])
    return p, labels


def exactly_calibrated():
    """Rows of p, each of them a hundred times, with labels in just these proportions."""
    hundredths = np.array([[70, 20, 10], [5, 90, 5], [30, 30, 40], [1, 9, 90], [50, 1, 49]])
    labels = np.concatenate([np.repeat([0, 1, 2], row) for row in hundredths])
    return np.repeat(hundredths / 100, 100, axis=0), labels


def test_the_calibration_error_of_a_case_by_hand():
    """kills: a squared gap, bins unweighed, the true label's probability for the confidence."""
    confidence = [0.55, 0.55, 0.95, 0.95, 0.75]
    p = np.array([[c, 1 - c] for c in confidence])
    labels = np.array([0, 1, 0, 0, 1])  # a hit, a miss; two hits; a miss
    gaps = [abs(1 / 2 - 0.55) * 2 / 5, abs(1 - 0.95) * 2 / 5, abs(0 - 0.75) * 1 / 5]
    assert calibration_error(p, labels, bins=10) == pytest.approx(sum(gaps), rel=1e-12)
    one_bin = abs(3 / 5 - np.mean(confidence))
    assert calibration_error(p, labels, bins=1) == pytest.approx(one_bin, rel=1e-12)


def test_certainty_has_a_bin():
    """kills: a confidence of 1 put in a bin of its own beyond the last, or lost."""
    p = np.array([[1.0, 0.0], [0.98, 0.02]])
    for labels, accuracy in (([0, 0], 1.0), ([1, 0], 0.5), ([1, 1], 0.0)):
        found = calibration_error(p, np.array(labels))
        assert found == pytest.approx(abs(accuracy - 0.99), rel=1e-9)


@pytest.mark.parametrize("bins", [4, 15, 40])
def test_the_calibration_error_is_torchmetrics(bins):
    """kills: bins of equal count, or a mean over all bins, empty ones too."""
    p, labels = probabilities()
    theirs = multiclass_calibration_error(from_numpy(p), from_numpy(labels), 5, bins, "l1")
    assert calibration_error(p, labels, bins) == pytest.approx(float(theirs), rel=1e-5)


def test_the_log_loss_is_sklearns():
    """kills: bits for nats, a sum, or the loss of the likeliest label."""
    p, labels = probabilities()
    assert log_loss(p, labels) == pytest.approx(sklearn_log_loss(labels, p), rel=1e-12)


def test_the_log_loss_of_the_impossible_is_finite():
    """kills: infinity or nan for one label of probability 0, under which no mean is left."""
    for dtype in (np.float32, np.float64):
        found = log_loss(np.array([[1, 0]], dtype=dtype), np.array([1]))
        assert found == pytest.approx(-np.log(np.finfo(np.float64).tiny))


@pytest.mark.parametrize("known", [0.3, 0.8, 1.0, 2.0, 6.0])
def test_the_temperature_undoes_what_sharpened(known):
    """kills: 1 / T for T, a grid too coarse, bounds too close, p used as logits."""
    p, labels = exactly_calibrated()
    sharpened = p**known / (p**known).sum(axis=1, keepdims=True)
    assert temperature(sharpened, labels) == pytest.approx(known, rel=1e-3)


@pytest.mark.parametrize(("right", "bound"), [(True, 0.05), (False, 20.0)])
def test_the_temperature_stays_within_its_bounds(right, bound):
    """kills: an optimiser that runs away where the best temperature is 0 or infinite."""
    p, _ = exactly_calibrated()
    labels = p.argmax(axis=1) if right else p.argmin(axis=1)
    assert temperature(p, labels) == pytest.approx(bound, rel=1e-3)


def test_probabilities_of_zero_have_a_temperature():
    """kills: nan from the logarithm of 0."""
    p = np.array([[1.0, 0.0], [0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    assert np.isfinite(temperature(p, np.array([0, 1, 1])))
