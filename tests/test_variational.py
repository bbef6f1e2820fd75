"""The evidence bound against integrals by SciPy, and against a model whose evidence has a closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from crosscheck.lab import variational

NOISE, TAU = 0.8, 1.7  # of the labels, and of the prior
Y = np.array([0.6, -1.1, 2.0])
M = np.array([0.4, -0.9, 1.3])


def gaussian(z: np.ndarray) -> np.ndarray:
    """−ln N(y; z, NOISE²I): with the prior N(0, TAU²I) the posterior is Gaussian, of equal widths."""
    return -stats.norm(z, NOISE).logpdf(Y).sum(-1)


EVIDENCE = stats.norm(0, np.hypot(NOISE, TAU)).logpdf(Y).sum()
MEAN = Y * TAU**2 / (TAU**2 + NOISE**2)  # of the posterior
WIDTH = (NOISE**-2 + TAU**-2) ** -0.5


def softmax(z: np.ndarray) -> np.ndarray:
    """Cross-entropy where the first class is true."""
    return np.logaddexp.reduce(z, -1) - z[:, 0]


def integral(function, m: float = 0.0, s: float = 1.0) -> float:
    return integrate.quad(function, m - 12 * s, m + 12 * s, epsabs=1e-13, epsrel=1e-12, limit=200)[0]


def test_the_grid_has_the_moments_of_the_standard_normal() -> None:
    points, weights = variational.grid(2, 6)
    assert points.shape == (36, 2) and weights.shape == (36,)
    for i, j in ((0, 0), (1, 0), (2, 0), (4, 2), (10, 8), (3, 5)):
        moment = stats.norm.moment(i) * stats.norm.moment(j)
        assert weights @ (points[:, 0] ** i * points[:, 1] ** j) == pytest.approx(moment, abs=1e-9)


def test_the_last_axis_of_the_grid_runs_fastest() -> None:
    points, _ = variational.grid(2, 3)
    assert (np.diff(points[:3, 0]) == 0).all() and (np.diff(points[:3, 1]) > 0).all()


@pytest.mark.parametrize(("m", "s"), [(0.0, 0.1), (-3.0, 1.0), (2.0, 2.0)])
def test_the_expectation_of_a_logistic_loss_is_scipy_s_integral(m: float, s: float) -> None:
    mean = variational.expectation(lambda z: np.logaddexp(0, z[:, 0]), np.array([m]), s, nodes=60)
    truth = integral(lambda z: np.logaddexp(0, z) * stats.norm(m, s).pdf(z), m, s)
    assert mean == pytest.approx(truth, rel=1e-7)


def test_the_excess_of_a_quadratic_is_half_the_trace_times_the_variance() -> None:
    h = np.array([[2.0, 0.3, 0], [0.3, 1, -0.5], [0, -0.5, 4]])
    excess = variational.excess(lambda z: np.einsum("ni,ij,nj->n", z, h, z) / 2, M, 0.7)
    assert excess == pytest.approx(0.7**2 / 2 * np.trace(h), rel=1e-12)


def test_the_excess_of_an_exponential() -> None:
    """E exp(aᵀz) = exp(aᵀm + ½ s² ‖a‖²)."""
    a, s = np.array([0.5, -1, 0.2]), 0.9
    excess = variational.excess(lambda z: np.exp(z @ a), M, s)
    assert excess == pytest.approx(np.exp(a @ M) * np.expm1(s**2 * (a @ a) / 2), rel=1e-12)


@pytest.mark.parametrize(("s", "tau"), [(1.0, 1.0), (0.1, 2.0), (2.0, 0.7)])
def test_the_divergence_is_scipy_s_integral(s: float, tau: float) -> None:
    def integrand(m: float):
        q, prior = stats.norm(m, s), stats.norm(0, tau)
        return lambda z: q.pdf(z) * (q.logpdf(z) - prior.logpdf(z))

    truth = sum(integral(integrand(m), m, s) for m in M)
    assert variational.divergence(M, s, tau) == pytest.approx(truth, rel=1e-9)


def test_at_the_posterior_the_bound_is_the_evidence() -> None:
    assert variational.negative_elbo(gaussian, MEAN, WIDTH, TAU) == pytest.approx(-EVIDENCE, rel=1e-12)


@pytest.mark.parametrize(("m", "s"), [(MEAN, 1.0), (M, WIDTH), (np.zeros(3), TAU)])
def test_elsewhere_it_lacks_the_divergence_from_the_posterior(m: np.ndarray, s: float) -> None:
    apart = variational.divergence(m - MEAN, s, WIDTH)
    assert variational.negative_elbo(gaussian, m, s, TAU) == pytest.approx(apart - EVIDENCE, rel=1e-12)


def test_the_bound_of_a_binary_label_stays_below_its_evidence() -> None:
    loss = lambda z: np.logaddexp(0, -z[:, 0])
    evidence = integral(lambda z: stats.norm(0, TAU).pdf(z) / (1 + np.exp(-z)), 0, TAU)
    m, s = variational.best(loss, TAU, 1)
    least = variational.negative_elbo(loss, m, s, TAU)
    assert -np.log(evidence) < least < -np.log(evidence) + 0.05
    for nudged in ((m + 0.1, s), (m - 0.1, s), (m, 1.1 * s), (m, 0.9 * s)):
        assert variational.negative_elbo(loss, *nudged, TAU) > least


def test_the_best_of_a_gaussian_model_is_its_posterior() -> None:
    m, s = variational.best(gaussian, TAU, 3)
    np.testing.assert_allclose(m, MEAN, atol=1e-6)
    assert s == pytest.approx(WIDTH, rel=1e-6)


def test_the_logarithms_of_draws_are_scipy_s() -> None:
    noise = np.random.default_rng(0).normal(size=(50, 3))
    z, log_ratio = variational.drawn(M, 0.6, TAU, noise)
    np.testing.assert_array_equal(z, M + 0.6 * noise)
    truth = stats.norm(M, 0.6).logpdf(z).sum(1) - stats.norm(0, TAU).logpdf(z).sum(1)
    np.testing.assert_allclose(log_ratio, truth, atol=1e-12)


@pytest.mark.parametrize("loss", [gaussian, softmax])
def test_draws_and_quadrature_agree(loss) -> None:
    noise = np.random.default_rng(1).normal(size=(100_000, 3))
    z, log_ratio = variational.drawn(M, 0.9, TAU, noise)
    draws = loss(z) + log_ratio
    error = draws.std() / np.sqrt(len(draws))
    assert draws.mean() == pytest.approx(variational.negative_elbo(loss, M, 0.9, TAU), abs=5 * error)


@pytest.mark.parametrize(("s", "tau"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (np.nan, 1.0)])
def test_a_width_that_is_not_above_zero_is_refused(s: float, tau: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        variational.divergence(M, s, tau)
