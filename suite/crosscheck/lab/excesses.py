"""Excess errors beside excess losses, and where an expected loss of K classes is least.

Of a label that is 1 with chance η a score z decides for 1 where z > 0. Its excess 0-1 risk is |2η − 1| where
it decides wrongly, else 0; its excess under a loss L is E L(z) − min E L.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from scipy import optimize

from crosscheck import autodiff, losses
from crosscheck.lab import risk

STARTS = 2


def error(eta: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The excess 0-1 risk, [N], at η ≠ ½ and z ≠ 0."""
    return np.abs(2 * eta - 1) * ((z > 0) != (eta > 0.5))


def of_margin_loss(loss: Callable[[Any, Any], Any], eta: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The excess of a Keras loss of labels ±1 and scores [N, 1], its least searched in [−3, 3]: [N]."""
    grid = np.linspace(-3, 3, 1201)

    def both(scores: np.ndarray) -> list[np.ndarray]:
        (column,) = autodiff.tensors(scores[:, None])
        return [autodiff.numbers(loss(sign * np.ones((len(scores), 1)), column)) for sign in (1, -1)]

    right, wrong = both(grid)
    least = (eta[:, None] * right + (1 - eta[:, None]) * wrong).min(1)
    right, wrong = both(z)
    return eta * right + (1 - eta) * wrong - least


def points() -> tuple[np.ndarray, np.ndarray]:
    """Chances η and scores z, [N] each: also close to even odds, and to the boundary."""
    eta = np.array([0.01, 0.1, 0.3, 0.45, 0.49, 0.51, 0.6, 0.8, 0.99])
    z = np.array([0.001, 0.01, 0.12, 0.5, 1.1, 3, 9])
    one, other = np.meshgrid(eta, np.concatenate([-z, z]))
    return one.ravel(), other.ravel()


BY_CLASS = {
    "cross-entropy": losses.categorical_crossentropy,
    "multi-class hinge": keras.losses.categorical_hinge,
    "Brier score": losses.categorical_brier,
}


def expected(name: str, q: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Σ_k q_k L(k, z) for chances q [K] and logits z [N, K]: [N]."""
    labels, logits = autodiff.tensors(np.repeat(np.eye(len(q)), len(z), 0), np.tile(z, (len(q), 1)))
    return q @ autodiff.numbers(BY_CLASS[name](labels, logits)).reshape(len(q), len(z))


def lead(name: str, q: np.ndarray) -> float:
    """By how much the likeliest class's logit leads where the expected loss is least, by simplex search."""
    cost = lambda z: float(expected(name, q, z[None])[0])
    starts = np.random.default_rng(0).normal(size=(STARTS, len(q)))
    options = {"xatol": 1e-4, "fatol": 1e-9, "maxiter": 2000}
    found = [optimize.minimize(cost, z, method="Nelder-Mead", options=options) for z in starts]
    z = min(found, key=lambda each: each.fun).x
    return float(z[q.argmax()] - np.delete(z, q.argmax()).max())


def least_hinge(*q: float) -> float:
    """min E max(0, 1 + max_{j ≠ y} z_j − z_y): 1, where all logits tie, if no class has a majority."""
    return min(1.0, 2 * (1 - max(q)))


def least_hinge_by_programme(*q: float) -> float:
    """The same as a linear programme in z and one slack a label."""
    k = len(q)
    rows = [
        [(i == j) - (i == y) for i in range(k)] + [-float(i == y) for i in range(k)]
        for y in range(k)
        for j in range(k)
        if j != y
    ]
    bounds = [(None, None)] * k + [(0, None)] * k
    found = optimize.linprog([0.0] * k + list(q), A_ub=rows, b_ub=[-1.0] * len(rows), bounds=bounds)
    return float(found.fun)


def log_excess(eta: np.ndarray, z: np.ndarray) -> np.ndarray:
    """KL(η‖σ(z)), measured as a difference of expected cross-entropies: [N]."""
    return risk.excess("cross-entropy", eta, z)
