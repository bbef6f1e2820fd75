"""The 0-1 loss beside other losses of classes and logits, and what each expects at a known chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy import optimize

from crosscheck import autodiff, data

WIDTH = 0.1  # of the sigmoid that smooths a step


def missed(y: Any, z: Any) -> Any:
    """1 where the largest logit is not that of the class, by Keras' own accuracy: [N] of [N] and [N, K].

    Optimisers refuse a loss without any gradient: one of 0 is added.
    """
    right = ops.cast(keras.metrics.sparse_categorical_accuracy(y, z), z.dtype)
    return 1 - right + 0 * ops.sum(z, axis=-1)


def smoothed(y: Any, z: Any) -> Any:
    """The 0-1 loss with its step smoothed: σ((max_{j ≠ y} z_j − z_y) / WIDTH)."""
    own = ops.one_hot(y, z.shape[-1], dtype="bool")
    right = ops.sum(ops.where(own, z, ops.zeros_like(z)), axis=-1)
    best = ops.max(ops.where(own, ops.full_like(z, -float("inf")), z), axis=-1)
    return ops.sigmoid((best - right) / WIDTH)


def written_out(y: Any, z: Any) -> Any:
    """Cross-entropy as ln Σ e^z − z_y, of classes [N] and logits [N, K]."""
    own = ops.one_hot(y, z.shape[-1], dtype=z.dtype)
    return ops.logsumexp(z, axis=-1) - ops.sum(own * z, axis=-1)


def expected_at_best(loss: Callable[[Any, Any], Any], q: float, dtype: str) -> float:
    """Σ_y q_y L(y, z) at the logits ln q, with q the probability of class 1."""
    z = np.log(np.array([[1 - q, q]] * 2)).astype(dtype)
    by_label = autodiff.numbers(loss(*autodiff.tensors(np.array([0, 1], "int32"), z)))
    return float(np.array([1 - q, q]) @ by_label)


def largest_slope(loss: Callable[[Any, Any], Any], dtype: str) -> float:
    """The largest component of the gradient, at 256 random examples of ten classes."""
    rng = np.random.default_rng(0)
    y, z = rng.integers(10, size=256).astype("int32"), rng.normal(scale=3, size=(256, 10)).astype(dtype)
    return float(np.abs(autodiff.logit_gradient(loss, y, z)).max())


def pulls(loss: Callable[[Any, Any], Any], p: float, dtype: str = "float64") -> np.ndarray:
    """The slopes at the log-odds of p that one example of class 0 gives, and one of class 1: [2]."""
    z = np.array([[0.0, np.log(p) - np.log1p(-p)]] * 2).astype(dtype)
    return autodiff.logit_gradient(loss, np.array([0, 1], "int32"), z)[:, 1].astype("float64")


# --- what theory has, by other ways ---


def entropy(q: float) -> float:
    return float(-q * np.log(q) - (1 - q) * np.log(1 - q))


def least_expected(q: float) -> float:
    """The expected cross-entropy at its minimum over the logit, by search."""
    cost = lambda z: q * np.logaddexp(0, -z) + (1 - q) * np.logaddexp(0, z)
    return float(optimize.minimize_scalar(cost, bracket=(-1, 1), tol=1e-12).fun)


def bayes_error_by_quadrature(separation: float, prior: float) -> float:
    mixture = data.GaussianMixture(separation, 1, prior)
    x, weight = data.first_feature_nodes(mixture, 20_001)
    return float(weight @ (1 - np.abs(2 * mixture.posterior(x[:, None]) - 1)) / 2)  # of min(η, 1 − η)


def hinge_slope_by_minimisation(separation: float) -> float:
    """What `data.hinge_slope` gives, by search over sums at nodes 2e-4 apart."""
    t = np.linspace(-8, 8, 80_001)
    cost = lambda w: np.exp(-(t**2) / 2) @ np.maximum(0, 1 - w * (t + separation / 2))
    return float(optimize.minimize_scalar(cost, bracket=(0.5, 2)).x)
