"""Maximum likelihood in small: the maximiser of a product at many digits, and the minimiser of a loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from scipy import optimize

from crosscheck.lab import pointwise

DIGITS = 50


def problem(number: int, examples: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """One of a fixed series of logistic regressions with a finite optimum: inputs [N, 2] and labels [N].

    The first input is 1, the other runs evenly from −2 to 2; labels that a threshold could tell apart are
    passed over.
    """
    rng, found = np.random.default_rng(0), -1
    x = np.stack([np.ones(examples), np.linspace(-2, 2, examples)], axis=1)
    while True:
        y = rng.integers(0, 2, examples)
        found += np.abs(np.diff(y)).sum() > 1
        if found == number:
            return x, y.astype(float)


def likeliest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The weights [D] where the product of all labels' probabilities, ∏ p, is greatest, at 50 digits."""
    with mpmath.workdps(DIGITS):
        signed = mpmath.matrix(np.where(y == 1, 1, -1)[:, None] * x)

        def likelihood(*w: Any) -> Any:
            margins = signed * mpmath.matrix(w)
            return mpmath.fprod(1 / (1 + mpmath.exp(-m)) for m in margins)

        def slopes(*w: Any) -> list[Any]:
            orders = np.eye(len(w), dtype=int).tolist()
            return [mpmath.diff(likelihood, w, tuple(order)) for order in orders]

        start = tuple(least_loss_by_hand(x, y))
        return np.array([float(w) for w in mpmath.findroot(slopes, start, tol=1e-30)])


def least_loss_by_hand(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A few steps of Newton on cross-entropy, from 0: where the search for the likeliest weights starts."""
    w = np.zeros(x.shape[1])
    for _ in range(4):
        p = 1 / (1 + np.exp(-x @ w))
        w -= np.linalg.solve((x.T * (p * (1 - p))) @ x, x.T @ (p - y))
    return w


def least_loss(loss: Callable[[Any, Any], Any], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The weights [D] where the gradient of the summed loss of binary logits vanishes, in float64."""
    slope = lambda w: x.T @ pointwise.slopes(loss, x @ w, y, "float64")
    return np.array(optimize.root(slope, np.zeros(x.shape[1]), tol=1e-15).x)


def gone_after(p: float, dtype: Any, product: Callable[[np.ndarray], float]) -> int:
    """From how many factors p on a product is 0 in the floats of a dtype, by bisection."""
    few, many = 1, 100_000
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if product(np.full(middle, p, dtype)) == 0 else (middle, many)
    return many


def underflow(p: float, dtype: Any) -> float:
    """So many factors p make half of the dtype's least positive number: ln(½ · least) / ln p."""
    least = float(np.finfo(dtype).smallest_subnormal)
    return (math.log(least) - math.log(2)) / math.log(p)


def running_product(factors: np.ndarray) -> float:
    """One factor after the other, each product rounded to the factors' dtype."""
    return math.prod(factors, start=factors.dtype.type(1))
