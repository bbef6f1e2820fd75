"""Posteriors' modes against the gradient of the log posterior, and priors' laws against SciPy's densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special, stats

from crosscheck import losses
from crosscheck.data import logistic
from crosscheck.lab import posteriors
from crosscheck.regularizers import GaussianPrior, LaplacePrior

pytestmark = pytest.mark.every_backend

N, TAU = 60, 0.8
W = np.random.default_rng(3).normal(size=12)


def examples(seed: int = 0):
    x, y, _ = logistic(np.random.default_rng(seed), N, 4)
    return x.astype("float64"), y[:, 0].astype("float64")


def slope_with_bias(x: np.ndarray, y: np.ndarray, w: np.ndarray, b: float, tau: float) -> np.ndarray:
    """The gradient of −ln posterior, whose prior is on the weights alone."""
    off = special.expit(x @ w + b) - y
    return np.append(x.T @ off + w / tau**2, off.sum())


def test_models_are_trained_to_where_the_log_posterior_is_flat_each_with_its_own_prior() -> None:
    taus, sets = (0.3, 1.0), [examples(seed) for seed in (0, 1)]
    x, y = (np.stack(arrays).astype("float32") for arrays in zip(*sets, strict=True))
    l2 = [GaussianPrior(tau, N).l2 for tau in taus]
    kernels, biases = posteriors.trained(x, y[..., None], losses.binary_crossentropy, l2)
    assert kernels.shape == (2, 4, 1) and biases.shape == (2, 1)
    for (features, labels), w, b, tau in zip(sets, kernels[..., 0], biases[:, 0], taus, strict=True):
        np.testing.assert_allclose(slope_with_bias(features, labels, w, b, tau), 0, atol=2e-3)


def test_weighted_examples_count_as_often_as_their_weight() -> None:
    x, y = (array.astype("float32")[None] for array in examples())
    first = np.where(np.arange(N) < N // 2, 2, 0)[None].astype("float32")
    l2, loss = [GaussianPrior(TAU, N // 2).l2], losses.binary_crossentropy
    weighted, _ = posteriors.trained(x, y[..., None], loss, l2, sample_weight=first)
    alone, _ = posteriors.trained(x[:, : N // 2], y[:, : N // 2, None], loss, l2)
    np.testing.assert_allclose(weighted, alone, atol=1e-3)


def test_scikit_learn_s_mode_is_where_the_log_posterior_is_flat() -> None:
    x, y = examples()
    w = posteriors.mode(x, y, TAU, bias=False)
    np.testing.assert_allclose(x.T @ (special.expit(x @ w) - y) + w / TAU**2, 0, atol=1e-5)


def test_several_classes_have_a_column_each() -> None:
    x = examples()[0]
    assert posteriors.mode(x, np.arange(N) % 3, TAU).shape == (4, 3)


def test_a_prior_on_logits_is_scipy_s_optimum() -> None:
    x, y = examples()
    x = x * np.geomspace(0.1, 3, 4)

    def objective(w: np.ndarray) -> float:
        z = x @ w
        return (np.logaddexp(0, z) - y * z).sum() + z @ z / (2 * TAU**2)

    mode = x @ optimize.minimize(objective, np.zeros(4), tol=1e-10).x
    assert posteriors.distance(posteriors.mode_of_logits(x, y, TAU), mode) < 1e-4


def test_distance_is_relative_to_the_truth() -> None:
    assert posteriors.distance(np.array([[3.0, 4], [0, 0]]), np.array([[0.0, 0], [0, 2]])) == pytest.approx(
        np.sqrt(29) / 2
    )


@pytest.mark.parametrize("tau", [0.1, 2.0])
def test_the_gaussian_law_is_scipy_s_density(tau: float) -> None:
    law = posteriors.gaussian(W, tau)
    density = stats.norm(0, tau)
    assert law["penalty"] == pytest.approx(W.size * density.logpdf(0) - density.logpdf(W).sum(), rel=1e-13)
    np.testing.assert_allclose(law["gradient"], W / tau**2, rtol=1e-15)


@pytest.mark.parametrize("b", [0.1, 2.0])
def test_the_laplace_law_is_scipy_s_density(b: float) -> None:
    law = posteriors.laplace(W, b)
    density = stats.laplace(0, b)
    assert law["penalty"] == pytest.approx(W.size * density.logpdf(0) - density.logpdf(W).sum(), rel=1e-13)
    np.testing.assert_allclose(law["gradient"], np.sign(W) / b, rtol=1e-15)


@pytest.mark.parametrize(("prior", "law"), [(GaussianPrior, "gaussian"), (LaplacePrior, "laplace")])
def test_n_penalties_are_the_law(prior, law: str) -> None:
    by_keras, by_law = posteriors.penalties(prior(0.7, 9), 9, W), getattr(posteriors, law)(W, 0.7)
    for name in ("penalty", "gradient"):
        np.testing.assert_allclose(by_keras[name], by_law[name], rtol=1e-14)
