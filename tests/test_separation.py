"""Descents on separable points: their separators and laws, against independent evaluations."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck import data
from crosscheck.lab import separation


@pytest.mark.parametrize("seed", range(4))
def test_the_separator_tried_out_is_that_of_a_solver(seed: int) -> None:
    x, y = data.separable(np.random.default_rng(seed), 24, margin=0.2)
    ours = separation.separator(x, y)
    assert np.linalg.norm(ours) == pytest.approx(data.separator_norm(x, y), rel=1e-6)
    assert ((2 * y - 1) * (x.astype(float) @ ours)).min() == pytest.approx(1, rel=1e-6)


def test_without_a_separator_there_is_none() -> None:
    assert np.isnan(separation.separator(np.array([[1.0, 0], [1.0, 0]]), np.array([1, 0]))).all()


@pytest.mark.parametrize("seed", range(4))
def test_two_points_are_nearest_and_the_rest_three_times_as_far(seed: int) -> None:
    x, y, along, (a, b) = separation.two_near(np.random.default_rng(seed))
    np.testing.assert_allclose(separation.separator(x, y), along, atol=1e-6)
    signed = (2 * y - 1)[:, None] * x.astype(float)
    margins, across = signed @ along, signed @ [-along[1], along[0]]
    assert margins[:2] == pytest.approx(1, rel=1e-6) and margins[2:].min() >= 3 - 1e-6
    assert across[:2] == pytest.approx([a, -b], rel=1e-6)


def test_the_angle_is_measured_without_cancellation() -> None:
    angles = np.array([1e-9, 1e-3, 1.0])
    weights = np.stack([np.cos(angles), np.sin(angles)], axis=1)[None]  # [1, 3, 2]
    bend = separation.one_less_cosine(weights, np.tile([2.0, 0.0], (3, 1)))[0]
    np.testing.assert_allclose(bend, 2 * np.sin(angles / 2) ** 2, rtol=1e-12)


def test_the_law_of_a_single_point_is_that_of_its_flow() -> None:
    t = np.array(separation.LATE)
    m = np.log(3 * t)
    for _ in range(60):  # e^m + m = ‖x‖² t + const, by Newton
        m -= (np.exp(m) + m - 3.0 * t - 1) / (np.exp(m) + 1)
    assert separation.bend_drop_of_one(3.0) == pytest.approx(2 * np.log(m[1] / m[0]), rel=1e-4)


def test_a_fall_is_taken_between_the_ends_of_the_span() -> None:
    time, bend = np.array([1.0, 10, 100, 1000]), np.exp(-np.array([[0.0], [1], [3], [9]]))
    assert separation.drop(time, bend, (10, 100)) == pytest.approx([2])
