"""The evidence lower bound of a Gaussian q = N(m, s²I) on logits, with the prior N(0, τ²I).

    −ELBO = E_q L(z) + KL(q ‖ N(0, τ²I)),    L(z) = −ln p(y | z)

A loss L is a function of logits [N, K] with a value an example, [N]; m is [K], of one example; s and τ are
in the units of logits, above 0. Everything is in nats and in float64. The expectation is taken by quadrature,
for a few logits, or over draws, for any number of them.

Source: Advanced Perspectives and Applications; Bishop 2006, section 10.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import mpmath
import numpy as np
from scipy import optimize

Loss = Callable[[np.ndarray], np.ndarray]
NODES = 20  # of Gauss and Hermite, a logit: exact for polynomials up to degree 39


@cache
def grid(logits: int, nodes: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Gauss and Hermite's points of N(0, I), [nodes^K, K] for K logits, and their weights, which sum to 1."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    total = np.prod(np.meshgrid(*[weights] * logits, indexing="ij"), axis=0).ravel()
    places = np.stack(np.meshgrid(*[points] * logits, indexing="ij"), -1).reshape(-1, logits)
    return places, total / total.sum()


def expectation(loss: Loss, m: np.ndarray, s: float, nodes: int = NODES) -> float:
    """E_q L(z), by quadrature."""
    points, weights = grid(len(m), nodes)
    return float(weights @ loss(m + s * points))


def log_loss(z: np.ndarray) -> np.ndarray:
    """Cross-entropy at logits [N, K], the first class being true, without Keras: searches call it often."""
    return np.logaddexp.reduce(z, axis=1) - z[:, 0]


def squared_error(z: np.ndarray) -> np.ndarray:
    """½ ‖z − y‖² at logits [N, K], the first class being true, whose Hessian is the identity."""
    return ((z - np.eye(z.shape[1])[0]) ** 2).sum(1) / 2


def excess(loss: Loss, m: np.ndarray, s: float, nodes: int = NODES) -> float:
    """E_q L(z) − L(m): what is left out where L is taken at the mean. For small s it is ½ s² tr ∇²L(m)."""
    return expectation(loss, m, s, nodes) - float(loss(m[None])[0])


def divergence(m: Sequence[float] | np.ndarray, s: float, tau: float) -> float:
    """KL(q ‖ N(0, τ²I)) = Σ_k (s² + m_k²)/(2τ²) − ½ + ln(τ/s).

    Raises:
        ValueError: if s or τ is not above 0.
    """
    if not (s > 0 and tau > 0):
        raise ValueError(f"Standard deviations must be above 0, not s = {s} and τ = {tau}.")
    return float(((s**2 + np.asarray(m) ** 2) / (2 * tau**2) - 0.5 + np.log(tau / s)).sum())


def divergence_by_integration(m: float, s: float, tau: float) -> float:
    """The same of one logit, ∫ q ln (q / prior)."""
    q = lambda z: mpmath.npdf(z, m, s)
    integrand = lambda z: q(z) * (mpmath.log(q(z)) - mpmath.log(mpmath.npdf(z, 0, tau)))
    return float(mpmath.quad(integrand, mpmath.linspace(m - 12 * s, m + 12 * s, 9)))


def negative_elbo(loss: Loss, m: np.ndarray, s: float, tau: float, nodes: int = NODES) -> float:
    """−ELBO, by quadrature. It is at least −ln of the evidence, and equals it where q is the posterior.

    Raises:
        ValueError: if s or τ is not above 0.
    """
    return expectation(loss, m, s, nodes) + divergence(m, s, tau)


def drawn(m: np.ndarray, s: float, tau: float, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draws z = m + s · noise of q, [N, K], and ln q(z) − ln N(z; 0, τ²I), [N], for standard normal noise.

    The mean of L(z) plus those logarithms estimates −ELBO without bias.
    """
    z = m + s * noise
    log_ratio = (z**2 / (2 * tau**2) - noise**2 / 2).sum(-1) + len(m) * np.log(tau / s)
    return z, log_ratio


def best_mean(loss: Loss, s: float, tau: float, logits: int) -> np.ndarray:
    """The m, [K], at which −ELBO is least while s is held; searched from m = 0."""
    return optimize.minimize(lambda m: negative_elbo(loss, m, s, tau), np.zeros(logits), tol=1e-9).x


def best(loss: Loss, tau: float, logits: int) -> tuple[np.ndarray, float]:
    """The m, [K], and the s at which −ELBO is least, for K logits; searched from m = 0 and s = τ/2."""

    def objective(m_and_log_s: np.ndarray) -> float:
        return negative_elbo(loss, m_and_log_s[:-1], np.exp(m_and_log_s[-1]), tau)

    least = optimize.minimize(objective, [*np.zeros(logits), np.log(tau / 2)], tol=1e-9).x
    return least[:-1], float(np.exp(least[-1]))
