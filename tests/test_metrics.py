"""The metrics, one by one, against formulas in NumPy and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from predicted import binary_predictions, plain_gap, plainly, predictions, value
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from crosscheck import metrics
from crosscheck.metrics import expected_calibration_error
from crosscheck.metrics._base import beside
from crosscheck.metrics._brier import TERMS
from crosscheck.metrics._calibration import log_odds_cells
from crosscheck.report import figures

pytestmark = pytest.mark.every_backend


# --- the calibration error of arrays ----------------------------------------------------------------


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_it_follows_its_definition(bins: int) -> None:
    p, y = predictions(1)
    assert expected_calibration_error(p, y, bins) == pytest.approx(plainly(p, y, bins))


def test_replicates_are_taken_one_by_one() -> None:
    p, y = np.stack([predictions(seed)[0] for seed in range(3)]), predictions(0)[1]
    expected = [plainly(probabilities, y, 15) for probabilities in p]
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


def test_nan_stays_nan() -> None:
    p, y = predictions(1, n=20)
    p[3] = np.nan
    assert np.isnan(expected_calibration_error(p, y))


# --- the calibration error as a metric --------------------------------------------------------------


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("batch", [20, 48])
def test_the_metric_follows_the_definition(bins: int, batch: int) -> None:
    p, y = predictions(1)
    metric = metrics.ExpectedCalibrationError(bins, dtype="float64")
    assert value(metric, y, p, batch=batch) == pytest.approx(plainly(p, y, bins), rel=1e-12)
    again = metrics.ExpectedCalibrationError(bins)
    assert value(again, y, p) == pytest.approx(expected_calibration_error(p, y, bins), abs=1e-6)


@pytest.mark.parametrize("scheme", ["equal_width", "equal_mass"])
def test_the_positive_class_is_scikit_learns_calibration_curve(scheme: str) -> None:
    p = 1 / (1 + np.exp(-np.linspace(-8, 8, 100)))
    y = (np.random.default_rng(4).random(100) < p**2).astype(int)
    strategy = {"equal_width": "uniform", "equal_mass": "quantile"}[scheme]
    accuracy, confidence = calibration_curve(y, p, n_bins=10, strategy=strategy)
    metric = metrics.ExpectedCalibrationError(10, scheme, "positive_class", dtype="float64")
    metric.update_state(y, p[:, None])
    seen = metric.reliability()
    filled = seen.count > 0
    if scheme == "equal_mass":
        np.testing.assert_allclose(seen.count, 10)
        assert cut_weight(p, 10) == 0, "each edge lies between two cells, so that nothing is shared"
    np.testing.assert_allclose(seen.confidence[filled], confidence, rtol=1e-12)
    np.testing.assert_allclose(seen.accuracy[filled], accuracy, rtol=1e-12, atol=1e-14)
    expected = np.sum(seen.count[filled] * abs(accuracy - confidence)) / 100
    assert float(metric.result()) == pytest.approx(expected, rel=1e-12)


def cut_weight(confidence: np.ndarray, bins: int) -> float:
    """The fraction of examples in cells that an edge between bins of equal mass cuts."""
    low, _ = log_odds_cells()
    count = np.bincount(np.searchsorted(low, confidence) - 1, minlength=len(low))
    upper = np.cumsum(count)
    edges = np.arange(1, bins) * len(confidence) / bins
    cut = ((upper - count)[:, None] < edges - 1e-9) & (edges + 1e-9 < upper[:, None])
    return count[cut.any(1)].sum() / len(confidence)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0.1, 20))
def test_equal_mass_is_near_to_sorting_by_twice_what_is_cut(seed: int, bins: int, sharpness: float) -> None:
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-sharpness * rng.normal(size=120)))
    y = rng.integers(0, 2, 120)
    order = np.argsort(p)
    mass = np.clip(np.arange(1, bins + 1)[:, None] * 120 / bins - np.arange(120), 0, 1)
    mass = np.diff(mass, axis=0, prepend=0)  # [bins, 120]: what each bin takes of each example in order
    sorting = np.abs(mass @ (y - p)[order]).sum() / 120
    metric = metrics.ExpectedCalibrationError(bins, "equal_mass", "positive_class", dtype="float64")
    assert abs(value(metric, y, p[:, None]) - sorting) <= 2 * cut_weight(p, bins) + 1e-9


def test_ties_are_shared_between_bins_of_equal_mass() -> None:
    p = np.full((8, 1), 0.8)
    for y in ([1, 1, 1, 1, 0, 0, 0, 0], [0, 1, 0, 1, 0, 1, 0, 1]):
        metric = metrics.ExpectedCalibrationError(2, "equal_mass", "positive_class", dtype="float64")
        assert value(metric, np.array(y), p) == pytest.approx(0.3)
        np.testing.assert_allclose(metric.reliability().count, 4)


def test_a_cut_cell_gives_each_side_its_share() -> None:
    """Of three examples at 0.8, one third goes to the one at 0.2, and two thirds to the upper bin."""
    p, y = np.array([[0.2], [0.8], [0.8], [0.8]]), np.array([1, 1, 0, 0])
    lower, upper = (1 - 0.2) + (1 - 3 * 0.8) / 3, (1 - 3 * 0.8) * 2 / 3
    metric = metrics.ExpectedCalibrationError(2, "equal_mass", "positive_class", dtype="float64")
    assert value(metric, y, p) == pytest.approx((abs(lower) + abs(upper)) / 4)


def test_class_wise_is_the_mean_over_classes_against_the_rest() -> None:
    p, y = predictions(5)
    expected = np.mean([plain_gap(p[:, k], y == k, 15) for k in range(5)])
    metric = metrics.ExpectedCalibrationError(kind="class_wise", dtype="float64")
    assert value(metric, y, p) == pytest.approx(expected, rel=1e-12)
    assert metric.reliability().count.shape == (5, 15)


def test_norms_by_hand() -> None:
    """One example at 0.9 that is right, three at 0.6 of which one is right: gaps 0.1 and 0.6 − 1/3."""
    p = np.array([[0.1, 0.9], [0.4, 0.6], [0.4, 0.6], [0.6, 0.4]])
    y, gaps, parts = np.array([1, 1, 0, 1]), np.array([0.1, 0.6 - 1 / 3]), np.array([1, 3]) / 4
    by_norm = {"l1": parts @ gaps, "l2": np.sqrt(parts @ gaps**2), "max": gaps.max()}
    for norm, expected in by_norm.items():
        metric = metrics.ExpectedCalibrationError(10, norm=norm, dtype="float64")
        assert value(metric, y, p) == pytest.approx(expected, rel=1e-12)


def test_zero_one_and_edges_have_their_bins() -> None:
    p = np.array([[0.0], [0.25], [0.5], [0.50001], [1.0]])
    metric = metrics.ExpectedCalibrationError(4, kind="positive_class")
    metric.update_state(np.zeros(5), p)
    np.testing.assert_array_equal(metric.reliability().count, [2, 1, 1, 1])


# --- Brier score and likelihood ---------------------------------------------------------------------


def test_the_brier_score_is_scikit_learns() -> None:
    p, y = binary_predictions(7)
    actual = value(metrics.BrierScore(dtype="float64"), y, p[:, None])
    assert actual == pytest.approx(brier_score_loss(y, p), rel=1e-12)
    p, y = predictions(7)
    actual = value(metrics.BrierScore(dtype="float64"), y, p)
    expected = brier_score_loss(y, p, scale_by_half=False, labels=range(5))
    assert actual == pytest.approx(expected, rel=1e-12)


def test_the_terms_of_the_brier_score_by_hand() -> None:
    p, y = predictions(8)
    hot, bins = np.eye(5)[y], 6
    terms = dict.fromkeys(TERMS, 0.0)
    terms["score"] = np.square(p - hot).sum(1).mean()
    for k in range(5):
        forecast, outcome = p[:, k], hot[:, k]
        terms["uncertainty"] += outcome.mean() * (1 - outcome.mean())
        for b in range(bins):
            inside = (forecast > b / bins) & (forecast <= (b + 1) / bins)
            if inside.any():
                part, f, o = inside.mean(), forecast[inside], outcome[inside]
                terms["reliability"] += part * (f.mean() - o.mean()) ** 2
                terms["resolution"] += part * (o.mean() - outcome.mean()) ** 2
                terms["within"] += part * (f.var() - 2 * np.cov(f, o, bias=True)[0, 1])
    metric = metrics.BrierScore(bins, dtype="float64")
    metric.update_state(y, p)
    actual = metric.decomposition()
    assert actual == pytest.approx(terms, rel=1e-10)
    identity = actual["reliability"] - actual["resolution"] + actual["uncertainty"] + actual["within"]
    assert identity == pytest.approx(actual["score"], rel=1e-14)
    for term in TERMS:
        alone = metrics.BrierScore(bins, term, dtype="float64")
        assert value(alone, y, p) == pytest.approx(terms[term], rel=1e-10)


def test_forecasts_of_their_own_bin_leave_nothing_within() -> None:
    rng = np.random.default_rng(9)
    p, y = rng.choice([0.05, 0.35, 0.75], (48, 1)), rng.integers(0, 2, 48)
    metric = metrics.BrierScore(10, dtype="float64")
    metric.update_state(y, p)
    actual = metric.decomposition()
    assert actual["within"] == pytest.approx(0, abs=1e-14) and actual["resolution"] > 1e-6
    assert actual["score"] == pytest.approx(brier_score_loss(y, p[:, 0]), rel=1e-12)


def test_the_likelihood_is_scikit_learns() -> None:
    p, y = predictions(10)
    expected = log_loss(y, p)
    assert value(metrics.NegativeLogLikelihood(dtype="float64"), y, p) == pytest.approx(expected, rel=1e-12)
    from_logits = metrics.NegativeLogLikelihood(from_logits=True, dtype="float64")
    assert value(from_logits, y, np.log(p) + 3) == pytest.approx(expected, rel=1e-12)
    p, y = binary_predictions(10)
    from_logits = metrics.NegativeLogLikelihood(from_logits=True, dtype="float64")
    assert value(from_logits, y, np.log(p / (1 - p))[:, None]) == pytest.approx(log_loss(y, p), rel=1e-9)


def test_the_likelihood_clips_nothing() -> None:
    far = metrics.NegativeLogLikelihood(from_logits=True)
    assert value(far, np.array([1, 0]), np.array([[-1e4], [1e4]])) == 1e4
    never, sure = metrics.NegativeLogLikelihood(), metrics.NegativeLogLikelihood()
    assert value(never, np.array([1]), np.array([[1.0, 0.0]])) == np.inf
    assert value(sure, np.array([0]), np.array([[1.0, 0.0]])) == 0


# --- the information gap ----------------------------------------------------------------------------


def test_the_information_gap_by_hand() -> None:
    rng = np.random.default_rng(11)
    y, single, joint = rng.integers(0, 2, (50, 3)), rng.normal(size=(50, 3)), rng.normal(size=(50, 8))
    p = 1 / (1 + np.exp(-single))
    independent = -np.log(np.where(y == 1, p, 1 - p)).sum(1)
    place = y @ [4, 2, 1]
    together = np.log(np.exp(joint).sum(1)) - joint[np.arange(50), place]
    weight = rng.integers(0, 3, 50)
    metric, both = metrics.MutualInformationGap(dtype="float64"), np.concatenate([single, joint], 1)
    expected = np.average(independent - together, weights=weight)
    assert value(metric, y, both, weight, batch=7) == pytest.approx(expected, rel=1e-12)


def test_true_predictions_give_the_mutual_information() -> None:
    law = np.array([[0.4, 0.1], [0.1, 0.4]])  # P(y₁, y₂)
    y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    marginals = np.outer(law.sum(1), law.sum(0))
    heads = np.concatenate([np.zeros((4, 2)), np.tile(np.log(law.ravel()), (4, 1))], 1)
    actual = value(metrics.MutualInformationGap(dtype="float64"), y, heads, law.ravel())
    assert actual == pytest.approx(np.sum(law * np.log(law / marginals)), rel=1e-12)


def test_the_information_gap_wants_hard_labels_and_both_heads() -> None:
    with pytest.raises(ValueError, match=r"2 binary and 4 joint.*\(1, 5\)"):
        metrics.MutualInformationGap().update_state(np.zeros((1, 2)), np.zeros((1, 5)))
    assert np.isnan(value(metrics.MutualInformationGap(), np.array([[0.5, 1]]), np.zeros((1, 6))))
    masked = value(
        metrics.MutualInformationGap(), np.ones((2, 1)), np.array([[9.0, np.nan, 0], [0, 0, 0]]), np.eye(2)[1]
    )
    assert masked == 0


# --- gradients, labels of replicates, the diagram ---------------------------------------------------


def test_the_gradients_size_and_how_it_is_spread() -> None:
    y, p = np.array([[1.0, 0, 0], [0, 1, 0]]), np.array([[0.5, 0.5, 0], [0, 1, 0]])
    np.testing.assert_allclose(metrics.gradient_size(y, p), [np.sqrt(0.5), 0])
    np.testing.assert_allclose(metrics.gradient_size(np.array([[1.0]]), np.array([[0.2]])), [0.8])
    size = np.array([np.arange(20.0), np.ones(20)])[:, ::-1]
    np.testing.assert_allclose(metrics.hardest_share(size), [(19 + 18) / np.arange(20).sum(), 0.1])
    np.testing.assert_allclose(metrics.hardest_share(size, parts=4)[1], 0.25)
    np.testing.assert_allclose(metrics.quiet_share(size), [1 / 20, 0])
    assert np.isnan(metrics.hardest_share(np.zeros(10)))
    assert np.isnan(metrics.quiet_share(np.full(10, np.nan))), "what is no number is not quiet, nor loud"
    with pytest.raises(ValueError, match="9 examples"):
        metrics.hardest_share(np.ones(9))


def test_labels_are_shared_or_each_replicates_own() -> None:
    y = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(beside(y, 2, 3), y)
    np.testing.assert_array_equal(beside(y[0], 2, 3), [y[0], y[0]])
    square = np.arange(9).reshape(3, 3)
    assert beside(square, 3, 3).shape == (3, 3, 3), "where R = N the labels are shared"
    with pytest.raises(ValueError, match=r"\[2, 3\]"):
        beside(y, 3, 4)


def test_the_diagram_leaves_empty_bins_out() -> None:
    _, (ax,) = figures.panels()
    p, y = predictions(25)
    metric = metrics.ExpectedCalibrationError(10)
    metric.update_state(y, p)
    seen = metric.reliability()
    assert np.isnan(seen.confidence[0]) and seen.count[0] == 0 and seen.count.sum() == 48
    for label in ("one", "two"):
        figures.reliability_diagram(ax, seen.confidence, seen.accuracy, seen.count, label)
    _, first, second = ax.lines
    filled = seen.count > 0
    np.testing.assert_array_equal(first.get_xdata(), seen.confidence[filled])
    np.testing.assert_array_equal(second.get_ydata(), seen.accuracy[filled])
    areas = ax.collections[0].get_sizes()
    np.testing.assert_allclose(areas / areas.sum(), seen.count[filled] / 48, rtol=1e-6)
    assert [text.get_text() for text in ax.legend().get_texts()] == ["honest", "one", "two"]
