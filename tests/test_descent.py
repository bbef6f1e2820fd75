"""Descents watched as they go, against the theory of their flow and against plain second implementations."""

import numpy as np
import pytest

from crosscheck import losses
from crosscheck.data import separable, separator_norm
from crosscheck.lab import descent


def test_a_crossing_is_interpolated_and_nan_where_there_is_none() -> None:
    logits = np.array([[-3.0, -3.0, -1.0], [-1.0, -2.0, 1.0], [3.0, -1.0, 2.0]])
    np.testing.assert_allclose(descent.first_crossing(logits), [1.25, np.nan, 0.5])


def test_a_descent_crosses_when_its_flow_does() -> None:
    x, b, rate = np.array([[1.0, 2.0], [0.5, 0.0]], "float32"), np.array([2.0, 3.0]), 0.01
    steps = descent.crossing_time(x, b, losses.binary_crossentropy, rate, steps=2000, stride=10)
    flow = (b + 1 - np.exp(-b)) / (rate * (1 + (x**2).sum(1)))
    np.testing.assert_allclose(steps, flow, rtol=0.02)
    early = descent.crossing_time(x, b, losses.binary_crossentropy, rate, steps=int(steps.min()), stride=10)
    assert np.isnan(early).any()


def test_a_descent_is_that_of_numpy() -> None:
    x, y = separable(np.random.default_rng(0), 16, margin=0.3)
    phases = ((20, 0.5), (20, 2.0))
    time, weights = descent.descend(x[None], y[None], phases, np.array([0.01]), stride=10)
    loss, norm = descent.mean_loss(weights, x[None], y[None]), np.linalg.norm(weights, axis=2)
    np.testing.assert_allclose(time, [5, 10, 30, 50])
    w = flows_start()
    signed = np.where(y == 1, 1, -1)[:, None] * x.astype("float64")
    seen = []
    for steps, rate in phases:
        for step in range(steps):
            pull = -(signed / (1 + np.exp(signed @ w))[:, None]).mean(0)
            w = w - rate * 0.01 * w - rate * pull
            if step % 10 == 9:
                seen.append((np.logaddexp(0, -signed @ w).mean(), np.linalg.norm(w)))
    np.testing.assert_allclose(np.stack([loss[:, 0], norm[:, 0]], axis=1), seen, rtol=1e-4)


def flows_start() -> np.ndarray:
    """The weights that replicate 0 starts from, [D]."""
    from crosscheck import models, replicates

    (kernel,) = replicates.Replicates(models.perceptron(2, [], 1, use_bias=False), [0]).get_weights()
    return kernel[0, :, 0].astype("float64")


def test_a_slope_is_fitted_within_the_span_alone() -> None:
    time = np.array([1.0, 10, 100, 1000])
    values = np.stack([3 - 2 * np.log(time), 0.5 * np.log(time)], axis=1)
    values[0] = 99
    np.testing.assert_allclose(descent.log_slope(time, values, (10, 1000)), [-2, 0.5])


def test_the_separator_is_that_of_two_points_and_none_where_there_is_none() -> None:
    x = np.array([[2.0, 0.0], [-0.5, 3.0]])
    assert separator_norm(x[:1], np.array([1])) == pytest.approx(0.5)
    # 2 w₀ = 1 and w₀/2 − 3 w₁ = 1: both points lie on the margin.
    assert separator_norm(x, np.array([1, 0])) == pytest.approx(np.hypot(1 / 2, 1 / 4))
    assert np.isnan(separator_norm(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([1, 0])))


@pytest.mark.parametrize(("power", "loss"), [(0, losses.binary_crossentropy), (1, losses.brier)])
def test_a_crossing_by_hand_is_that_of_the_trained_model(power: int, loss) -> None:
    x, b = np.array([[1.0, 2.0], [0.5, 0.0]], "float32"), np.array([1.0, 2.0])
    trained = descent.crossing_time(x, b, loss, 0.02, steps=5_000, stride=10)
    np.testing.assert_allclose(descent.crossing_by_hand(x, b, power, 0.02, stride=10), trained, rtol=1e-4)
