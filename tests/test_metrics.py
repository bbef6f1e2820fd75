"""The calibration error against a plain second implementation of its definition."""

from __future__ import annotations

import numpy as np
import pytest

from suite.metrics import expected_calibration_error


def plainly(p: np.ndarray, y: np.ndarray, bins: int) -> float:
    confidence, right = p.max(1), p.argmax(1) == y
    total = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def predictions(seed: int, n: int = 400, k: int = 5):
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(k), size=n), rng.integers(0, k, n)


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_it_follows_its_definition(bins: int) -> None:
    p, y = predictions(1)
    assert expected_calibration_error(p, y, bins) == pytest.approx(plainly(p, y, bins))


def test_replicates_are_taken_one_by_one() -> None:
    p, y = np.stack([predictions(seed)[0] for seed in range(3)]), predictions(0)[1]
    expected = [plainly(each, y, 15) for each in p]
    np.testing.assert_allclose(expected_calibration_error(p, y), expected)


def test_full_confidence_falls_into_the_last_bin() -> None:
    p, y = np.eye(2)[[0, 0, 1, 1]], np.array([0, 1, 1, 1])
    assert expected_calibration_error(p, y) == pytest.approx(0.25)


def test_labels_drawn_from_the_predictions_are_calibrated() -> None:
    p, _ = predictions(2, n=50_000)
    y = (np.random.default_rng(3).random((len(p), 1)) > p.cumsum(1)).sum(1)
    assert expected_calibration_error(p, y) < 0.01


def test_a_confidence_on_an_edge_belongs_to_the_bin_below() -> None:
    p, y = np.array([[0.5, 0.5], [0.6, 0.4]]), np.array([1, 0])
    assert expected_calibration_error(p, y, bins=2) == pytest.approx((0.5 + 0.4) / 2)
