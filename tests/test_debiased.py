"""The calibration error without its bias, and the floor of the one with it, against other implementations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from predicted import predictions, value
from scipy import stats

from crosscheck import metrics

pytestmark = pytest.mark.every_backend


def over_pairs(p: np.ndarray, y: np.ndarray, bins: int) -> float:
    """The definition: Σ_b (n_b / N) times the mean of g_i g_j over the pairs i ≠ j of the bin."""
    gap, bin_of = (p.argmax(1) == y) - p.max(1), np.ceil(p.max(1) * bins)
    total = 0.0
    for b in range(1, bins + 1):
        inside = gap[bin_of == b]
        if len(inside) > 1:
            total += len(inside) * np.mean([2 * a * c for a, c in itertools.combinations(inside, 2)]) / 2
    return total / len(y)


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_it_is_the_mean_over_pairs_of_different_examples(bins: int) -> None:
    p, y = predictions(1)
    expected = over_pairs(p, y, bins)
    assert metrics.squared_calibration_error(p, y, bins) == pytest.approx(expected, rel=1e-12)
    assert value(metrics.SquaredCalibrationError(bins, dtype="float64"), y, p) == pytest.approx(expected)
    batched = value(metrics.SquaredCalibrationError(bins), y, p, batch=20)
    assert batched == pytest.approx(expected, abs=1e-6)


def test_it_is_the_estimator_of_kumar_liang_and_ma_where_confidences_are_alike() -> None:
    """(c − ȳ)² − ȳ (1 − ȳ) / (n − 1) in every bin."""
    rng, expected = np.random.default_rng(2), 0.0
    confidences, counts = (0.55, 0.7, 0.9), (13, 20, 15)
    p = np.repeat([[c, 1 - c] for c in confidences], counts, axis=0)
    y = (rng.random(48) > 0.6).astype(int)
    for c, n, right in zip(confidences, counts, np.split(y == 0, np.cumsum(counts)[:-1]), strict=True):
        expected += n / 48 * ((c - right.mean()) ** 2 - right.mean() * (1 - right.mean()) / (n - 1))
    assert metrics.squared_calibration_error(p, y, 10) == pytest.approx(expected, rel=1e-9)


def test_replicates_are_taken_one_by_one_with_labels_shared_or_their_own() -> None:
    p, y = map(np.stack, zip(*(predictions(seed) for seed in range(3)), strict=True))
    own = [over_pairs(*pair, 15) for pair in zip(p, y, strict=True)]
    np.testing.assert_allclose(metrics.squared_calibration_error(p, y), own, rtol=1e-12)
    shared = [over_pairs(one, y[0], 15) for one in p]
    np.testing.assert_allclose(metrics.squared_calibration_error(p, y[0]), shared, rtol=1e-12)


def test_chance_does_not_raise_it_where_it_raises_the_plug_in_to_the_floor() -> None:
    rng, n = np.random.default_rng(3), 250
    c = rng.uniform(0.5, 1, (2000, n))
    y = (rng.random((2000, n)) > c).astype(int)
    p = np.stack([c, 1 - c], -1)
    squared, floor = metrics.squared_calibration_error(p, y), metrics.calibration_floor(p).mean()
    assert abs(squared.mean()) < 4 * squared.std() / np.sqrt(2000)
    plug_in = np.mean([metrics.expected_calibration_error(p[i], y[i]) for i in range(2000)])
    assert plug_in == pytest.approx(floor, rel=0.05) and floor > 0.05


def test_the_floor_is_the_mean_distance_of_a_share_from_its_chance() -> None:
    """Of one bin: E|X/n − c| of a binomial X, which a normal law gives to a per cent for n c (1 − c) ≥ 10."""
    p = np.tile([0.72, 0.28], (60, 1))
    hits = np.arange(61)
    exact = np.abs(hits / 60 - 0.72) @ stats.binom.pmf(hits, 60, 0.72)
    assert metrics.calibration_floor(p) == pytest.approx(exact, rel=0.01)
    assert metrics.calibration_floor(np.stack([p, p])) == pytest.approx(metrics.calibration_floor(p))


def test_a_single_example_in_a_bin_counts_nothing_and_nan_shows() -> None:
    p, y = np.array([[0.9, 0.1], [0.7, 0.3], [0.7, 0.3]]), np.array([1, 0, 0])
    assert metrics.squared_calibration_error(p, y, 10) == pytest.approx(2 / 3 * 0.3**2)
    p[0] = np.nan
    assert np.isnan(metrics.squared_calibration_error(p, y, 10))
