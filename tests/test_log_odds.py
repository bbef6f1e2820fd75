"""Linear models of two classes: each loss has been trained to its own optimum."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck import data
from crosscheck.lab import log_odds

SEPARATION = 2.0
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def samples():
    return data.samples([data.GaussianMixture(SEPARATION, 1, 0.5)], SEEDS, 4096)


def test_cross_entropy_ends_where_the_gradient_is_0(samples) -> None:
    x, y = samples
    slopes, offset = log_odds.by_cross_entropy(SEEDS, x, y)
    residual = 1 / (1 + np.exp(-(x @ slopes[..., None])[..., 0] - offset[:, None])) - y
    np.testing.assert_allclose(residual.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose((residual * x[..., 0]).mean(1), 0, atol=1e-6)


def test_hinge_ends_at_its_own_slope_which_is_not_that_of_the_posterior(samples) -> None:
    slopes, offset = log_odds.by_hinge(SEEDS, *samples)
    np.testing.assert_allclose(slopes[:, 0], data.hinge_slope(SEPARATION), rtol=0.1)  # 1.4, not 2
    np.testing.assert_allclose(offset, 0, atol=0.15)
