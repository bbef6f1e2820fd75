"""Predictions of a logistic model of a few weights, averaged over its posterior under a Gaussian prior.

Labels y in {0, 1} have the probability σ(wᵀx), no bias; the prior is N(0, τ²I). Expectations under it are
taken by Gauss and Hermite's quadrature.

Source: Bishop 2006, sections 3.3 and 4.5.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from crosscheck.lab import variational

NODES = 24  # a weight


def predictive(x: np.ndarray, y: np.ndarray, fresh: np.ndarray, tau: float, nodes: int = NODES) -> np.ndarray:
    """p(y = 1 | x_new, data) for new inputs [M, D], after x [N, D] and y [N]: [M]."""
    points, weights = variational.grid(x.shape[1], nodes)
    w = tau * points  # [Q, D]
    signed = np.where(y[:, None] == 1, x, -x)  # [N, D]
    likelihood = special.log_expit(w @ signed.T).sum(1)
    posterior = weights * np.exp(likelihood - likelihood.max())
    return posterior @ special.expit(w @ fresh.T) / posterior.sum()


def expected_loss(q: np.ndarray, p: np.ndarray) -> float:
    """Cross-entropy of probabilities p [M] where the truth is q [M]: labels averaged over, not drawn."""
    return float(-(special.xlogy(q, p) + special.xlog1py(1 - q, -p)).mean())
